"""What the manager ordered on demand in a run, by period: taken, refused, failed; from its journal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emulator.runtime import journal
from protos.core import GLOBAL_MANAGER, FactKind

_KINDS = (FactKind.BOUGHT, FactKind.REFUSED, FactKind.FAILED)
_ORDERS = (
    "SELECT period, medium, kind, sum(units), -sum(cost), count(*) FROM fact WHERE kind IN "  # noqa: S608
    f"({', '.join(repr(kind.value) for kind in _KINDS)}) GROUP BY period, medium, kind"
)


@dataclass
class Dealing:
    """Orders of one period to one medium.

    What was `refused` cost nothing and was ordered elsewhere; what `failed` had been bought, and was
    `refunded`.
    """

    period: int
    medium: str
    orders: int = 0
    bought_units: int = 0
    refused_orders: int = 0
    refused_units: int = 0
    failed_orders: int = 0
    failed_units: int = 0
    refunded: int = 0


def dealings(run_folder: Path) -> list[Dealing]:
    """Return all orders by period and medium; none if the run was ended before there was a journal."""
    found: dict[tuple[int, str], Dealing] = {}
    try:
        rows = list(journal.rows(run_folder, GLOBAL_MANAGER, _ORDERS))
    except journal.JournalError:
        return []
    for period, medium, kind, units, refund, orders in rows:
        place = (int(str(period)), str(medium))
        deal, n_units, n_orders = (
            found.setdefault(place, Dealing(*place)),
            _int(units),
            _int(orders),
        )
        match FactKind(str(kind)):
            case FactKind.BOUGHT:
                deal.orders, deal.bought_units = n_orders, n_units
            case FactKind.REFUSED:
                deal.refused_orders, deal.refused_units = n_orders, n_units
            case FactKind.FAILED:
                deal.failed_orders, deal.failed_units, deal.refunded = (
                    n_orders,
                    n_units,
                    _int(refund),
                )
    return [found[place] for place in sorted(found)]


def _int(value: object) -> int:
    return int(str(value))
