"""What the manager ordered on demand in a run, by period: taken, refused, failed; from its journal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emulator.views import journal_queries
from protos.facts import FactKind


@dataclass
class OrderCount:
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


def order_counts(run_folder: Path) -> list[OrderCount]:
    """Return all orders by period and medium; none if the run was ended before there was a journal."""
    found: dict[tuple[int, str], OrderCount] = {}
    for item in journal_queries.if_any(lambda: journal_queries.orders(run_folder)):
        key = (item.period, item.medium)
        count = found.setdefault(key, OrderCount(*key))
        match item.kind:
            case FactKind.BOUGHT:
                count.orders, count.bought_units = item.orders, item.units
            case FactKind.REFUSED:
                count.refused_orders, count.refused_units = item.orders, item.units
            case FactKind.FAILED:
                count.failed_orders, count.failed_units = item.orders, item.units
                count.refunded = item.refund
    return [found[key] for key in sorted(found)]
