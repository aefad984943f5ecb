"""The manager's decisions in a run, when and why: decisions.parquet.

Plans and replans, reservations set up and taken down, orders and their outcome, agents that fell silent,
and messages that it rejected: one row each, in order, from the manager's journal.  Orders are also added
up by period and medium.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from emulator.results import journal_queries
from global_manager.provisioning.model import Request
from protos.facts import Details, FactKind

FILE = "decisions.parquet"


@dataclass(frozen=True)
class Decision:
    """One decision; `request` is empty and `period` -1 where it concerns none.

    `reason` puts `details` into words.
    """

    at_s: float
    decision: FactKind
    request: str
    period: int
    medium: str
    units: int
    cost: int
    about: str
    details: Details | None

    @property
    def reason(self) -> str:
        """Why, in words."""
        return self.details.text if self.details is not None else ""


def decisions(run_folder: Path, requests: Sequence[Request], window_s: float) -> list[Decision]:
    """Return all decisions of a run; none if it was ended before there was a journal."""
    return [
        Decision(
            at_s=item.window * window_s,
            decision=item.kind,
            request=requests[item.request].id if item.request >= 0 else "",
            period=item.period,
            medium=item.medium,
            units=item.units,
            cost=item.cost,
            about=item.peer,
            details=item.details,
        )
        for item in journal_queries.if_any(lambda: journal_queries.decided(run_folder))
    ]


def write(found: Sequence[Decision], run_folder: Path) -> None:
    """Write decisions as a compressed Parquet file, with one column per field and the reason as text."""
    names = [field.name for field in fields(Decision) if field.name != "details"]
    columns = {name: [getattr(item, name) for item in found] for name in (*names, "reason")}
    pq.write_table(pa.table(columns), run_folder / FILE, compression="zstd")


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
