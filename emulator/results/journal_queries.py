"""All queries over the facts of a run, with typed answers.

Only this module and `journal_news`, which follows journals that are being written, have SQL over facts;
values are bound, never written into a query.  A fact's details are read as JSON by their fields
(`protos.facts`).  Questions concern one entity, whose journal is read, and raise `JournalError` if there
is none; `if_any` turns that into no answers.  Nothing here knows what answers are for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from emulator.results.fact_columns import SEPARATOR, FactColumns
from emulator.store import journal, journals
from protos.core import FIBER_CONTROLLER, GLOBAL_MANAGER
from protos.facts import Details, FactKind, LinkState, Planned, details_of

Row = TypeVar("Row")
_Only = tuple[str, Sequence[object]]  # a condition, and the values bound to it

_PORTION, _ALL = 50_000, 2**62
USES = (FactKind.DEMANDED, FactKind.SHORT, FactKind.DELIVERED, FactKind.LAPSED)
"""What applications ask for, miss, get and go without."""
IN_STORES = (FactKind.KEPT, FactKind.EXPIRED)
"""What stores keep for a period, and what becomes too old in one."""
_ORDERS = (FactKind.BOUGHT, FactKind.REFUSED, FactKind.FAILED)
_PAID = (FactKind.BOUGHT, FactKind.FAILED)
_MONEY = (FactKind.PLANNED, FactKind.PERIOD, FactKind.RESERVED, FactKind.CHANGED, *_PAID)
_OF_SAES = (FactKind.ASKED, FactKind.GIVEN, FactKind.UNSENT)
_AT_THE_END = (FactKind.STORED, FactKind.EXPIRED)
_DECIDED = (
    FactKind.NOT_PLANNED,
    FactKind.REPLANNED,
    FactKind.RESERVED,
    FactKind.VERIFIED,
    FactKind.ORDERED,
    FactKind.REFUSED,
    FactKind.BOUGHT,
    FactKind.FAILED,
    FactKind.AGENT,
    FactKind.REJECTED,
)
_PER_KEY_OR_HOP = (
    FactKind.DELIVERED,
    FactKind.GENERATED,
    FactKind.CREATED,
    FactKind.RELAYED,
    FactKind.EXPIRED,
    FactKind.STORED,
)


class Book(Protocol):
    """Whoever adds up what entities noted."""

    def take(self, entity: str, facts: FactColumns) -> None:
        """Take facts of an entity; those of one entity come one after the other, in order."""


class PlanNoted(NamedTuple):
    """A plan as it came into force: its document, and for a later one why, and what it set up."""

    window: int
    period: int
    document: str
    reason: Details | None = None
    set_up: int = 0


class Decided(NamedTuple):
    """One decision of the manager; `request` is an index, -1 where it concerns none."""

    window: int
    kind: FactKind
    request: int
    period: int
    medium: str
    units: int
    cost: int
    peer: str
    details: Details | None


class OrdersNoted(NamedTuple):
    """Orders of one period to one medium with one end; `refund` is what they gave back."""

    period: int
    medium: str
    kind: FactKind
    units: int
    refund: int
    orders: int


class Reserved(NamedTuple):
    """What a request's reservation costs in each period from `period` on."""

    request: int
    period: int
    cost: int


class Purchase(NamedTuple):
    """What was bought for a request in a period, or, for FAILED, given back."""

    request: int
    period: int
    medium: str
    kind: FactKind
    cost: int
    units: int


class Payment(NamedTuple):
    """What the manager noted about money: a plan, a period that began, a reservation, a purchase."""

    kind: FactKind
    request: int
    period: int
    medium: str
    units: int
    cost: int
    document: str


class SaeFact(NamedTuple):
    """What a key manager noted about SAEs: a call, or a key that was given or taken back."""

    kind: FactKind
    end: str
    key_id: str
    fingerprint: bytes
    details: Details | None
    window: int


class Delivery(NamedTuple):
    """Units that were delivered at a source in one window."""

    window: int
    request: int
    units: int


class Followed(NamedTuple):
    """One fact about a request, as `qsagin trace` tells it."""

    window: int
    kind: FactKind
    medium: str
    peer: str
    units: int
    cost: int
    details: Details | None


def if_any(answers: Callable[[], Iterable[Row]]) -> list[Row]:
    """Return all answers; none if the run was ended before there was a journal."""
    try:
        return list(answers())
    except journal.JournalError:
        return []


def last_window(folder: Path, entity: str) -> int:
    """Return the window of the last fact of an entity; 0 if it has noted none."""
    return _number(folder, entity, "SELECT coalesce(max(window), 0) FROM fact", ())


def periods_begun(folder: Path) -> int:
    """Return how many provisioning periods have begun."""
    query = "SELECT count(*) FROM fact WHERE kind = ?"
    return _number(folder, GLOBAL_MANAGER, query, (FactKind.PERIOD,))


def late_units(folder: Path, entity: str) -> int:
    """Return how many units were missing at a key manager when they were asked for."""
    query = "SELECT coalesce(sum(units), 0) FROM fact WHERE kind = ?"
    return _number(folder, entity, query, (FactKind.SHORT,))


def recourse_cost(folder: Path) -> int:
    """Return what has been paid on demand, less what was given back."""
    query = f"SELECT coalesce(sum(cost), 0) FROM fact WHERE kind IN {marks(_PAID)}"
    return _number(folder, GLOBAL_MANAGER, query, _PAID)


def plans(folder: Path) -> Iterator[PlanNoted]:
    """Yield all plans in order."""
    kinds = (FactKind.PLANNED, FactKind.REPLANNED)
    query = (
        "SELECT kind, window, period, details, units FROM fact "
        f"WHERE kind IN {marks(kinds)} ORDER BY rowid"
    )
    pending: PlanNoted | None = None
    for kind, window, period, details, units in _rows(folder, GLOBAL_MANAGER, query, kinds):
        if kind == FactKind.REPLANNED and pending is not None:
            pending = pending._replace(reason=_details(kind, details), set_up=units)
            continue
        if pending is not None:
            yield pending
        pending = PlanNoted(window, period, _document(_details(kind, details)))
    if pending is not None:
        yield pending


def first_plan(folder: Path) -> str | None:
    """Return the document of the first plan, as soon as there is one."""
    query = "SELECT details FROM fact WHERE kind = ? ORDER BY rowid LIMIT 1"
    found = _rows(folder, GLOBAL_MANAGER, query, (FactKind.PLANNED,))
    return next((_document(_details(FactKind.PLANNED, text)) for (text,) in found), None)


def decided(folder: Path) -> Iterator[Decided]:
    """Yield the manager's decisions in order."""
    query = (
        "SELECT window, kind, request, period, medium, units, cost, peer, details FROM fact "
        f"WHERE kind IN {marks(_DECIDED)} ORDER BY rowid"
    )
    for window, kind, *fields, details in _rows(folder, GLOBAL_MANAGER, query, _DECIDED):
        yield Decided._make((window, FactKind(kind), *fields, _details(kind, details)))


def orders(folder: Path) -> Iterator[OrdersNoted]:
    """Yield orders added up by period, medium and outcome."""
    query = (
        "SELECT period, medium, kind, sum(units), -sum(cost), count(*) FROM fact "
        f"WHERE kind IN {marks(_ORDERS)} GROUP BY period, medium, kind"
    )
    for period, medium, kind, *numbers in _rows(folder, GLOBAL_MANAGER, query, _ORDERS):
        yield OrdersNoted(period, medium, FactKind(kind), *numbers)


def reservations(folder: Path) -> Iterator[Reserved]:
    """Yield changes of what is reserved, in order."""
    query = "SELECT request, period, cost FROM fact WHERE kind = ? ORDER BY rowid"
    return (Reserved(*row) for row in _rows(folder, GLOBAL_MANAGER, query, (FactKind.RESERVED,)))


def changes(folder: Path) -> Iterator[Reserved]:
    """Yield what changes of reservations cost, each once in its period."""
    query = "SELECT request, period, sum(cost) FROM fact WHERE kind = ? GROUP BY request, period"
    return (Reserved(*row) for row in _rows(folder, GLOBAL_MANAGER, query, (FactKind.CHANGED,)))


def failed_plans(folder: Path) -> int:
    """Return how many times no plan could be made."""
    query = "SELECT count(*) FROM fact WHERE kind = ?"
    return _number(folder, GLOBAL_MANAGER, query, (FactKind.NOT_PLANNED,))


def plan_failures(folder: Path) -> list[str]:
    """Return why no plan could be made, or no order of a policy carried out, each reason once."""
    kind = FactKind.NOT_PLANNED
    query = "SELECT details FROM fact WHERE kind = ? GROUP BY details ORDER BY min(rowid)"
    found = (_details(kind, text) for (text,) in _rows(folder, GLOBAL_MANAGER, query, (kind,)))
    return [details.text for details in found if details is not None]


def refused_reservations(folder: Path) -> int:
    """Return how often the fiber controller refused a reservation, a request's in no period."""
    query = "SELECT count(*) FROM fact WHERE kind = ? AND request >= 0 AND period < 0"
    return _number(folder, GLOBAL_MANAGER, query, (FactKind.REJECTED,))


def purchases(folder: Path) -> Iterator[Purchase]:
    """Yield what was bought and given back, added up."""
    query = (
        "SELECT request, period, medium, kind, sum(cost), sum(units) FROM fact "
        f"WHERE kind IN {marks(_PAID)} GROUP BY request, period, medium, kind"
    )
    for request, period, medium, kind, cost, units in _rows(folder, GLOBAL_MANAGER, query, _PAID):
        yield Purchase(request, period, medium, FactKind(kind), cost, units)


def plan_gaps(folder: Path) -> Iterator[tuple[int, float]]:
    """Yield from which period on plans were in force, and their gaps, in order."""
    query = "SELECT period, json_extract(details, '$.gap') FROM fact WHERE kind = ? ORDER BY rowid"
    return _rows(folder, GLOBAL_MANAGER, query, (FactKind.PLANNED,))


def uses(folder: Path, entity: str) -> FactColumns:
    """Return what the applications at a key manager asked for, got and went without.

    And what its stores kept for a period, and what expired in one.
    """
    names = ("request", "period", "kind", "medium", "end", "units", "window")
    condition = (
        f"AND (kind IN {marks(USES)} AND \"end\" != 'target' "
        f"OR kind IN {marks(IN_STORES)} AND medium = 'end-to-end')"
    )
    (found,) = _columns(folder, entity, names, _ALL, (condition, (*USES, *IN_STORES)))
    return found


def expired_units(folder: Path, entity: str) -> int:
    """Return how many units in stores at a key manager have become too old."""
    query = "SELECT coalesce(sum(units), 0) FROM fact WHERE kind = ? AND medium = 'end-to-end'"
    return _number(folder, entity, query, (FactKind.EXPIRED,))


def payments(folder: Path) -> Iterator[Payment]:
    """Yield all that the manager noted about money, in order."""
    query = (
        "SELECT kind, request, period, medium, units, cost, details FROM fact "
        f"WHERE kind IN {marks(_MONEY)} ORDER BY rowid"
    )
    for kind, *fields, details in _rows(folder, GLOBAL_MANAGER, query, _MONEY):
        yield Payment._make((FactKind(kind), *fields, _document(_details(kind, details))))


def sae_facts(folder: Path, entity: str) -> Iterator[SaeFact]:
    """Yield what a key manager noted about SAEs, in order."""
    query = (
        'SELECT kind, "end", key_id, fingerprint, details, window FROM fact '
        f"WHERE kind IN {marks(_OF_SAES)} ORDER BY rowid"
    )
    for kind, end, key_id, fingerprint, details, window in _rows(folder, entity, query, _OF_SAES):
        yield SaeFact(FactKind(kind), end, key_id, fingerprint, _details(kind, details), window)


def deliveries(folder: Path, entity: str, medium: str) -> Iterator[Delivery]:
    """Yield what a medium brought to the applications at a key manager."""
    query = (
        "SELECT window, request, units FROM fact "
        "WHERE kind = ? AND medium = ? AND \"end\" != 'target'"
    )
    rows = _rows(folder, entity, query, (FactKind.DELIVERED, medium))
    return (Delivery(*row) for row in rows)


def carried_bits(
    folder: Path, entity: str, peers: tuple[str, str], from_window: float, to_window: float
) -> int:
    """Return how much of a link's key a node has used in windows from one up to, not including, another.

    `peers` are the names that the other end has in facts.
    """
    query = (
        "SELECT coalesce(sum(bits), 0) FROM fact WHERE kind = ? AND medium = 'fiber' "
        "AND peer IN (?, ?) AND window >= ? AND window < ?"
    )
    values = (FactKind.RELAYED, *peers, from_window, to_window)
    return _number(folder, entity, query, values)


def link_states(folder: Path) -> Iterator[tuple[int, LinkState]]:
    """Yield when the fiber controller found links down or up, in order."""
    query = "SELECT window, details FROM fact WHERE kind = ? ORDER BY rowid"
    for window, text in _rows(folder, FIBER_CONTROLLER, query, (FactKind.LINK,)):
        state = _details(FactKind.LINK, text)
        if isinstance(state, LinkState):
            yield window, state


def followed(folder: Path, entity: str, request: int, period: int | None) -> Iterator[Followed]:
    """Yield what an entity noted about a request in a period, or about its reservation."""
    query = (
        "SELECT window, kind, medium, peer, units, cost, details FROM fact "
        "WHERE request = ? AND (period = ? OR (? AND period < 0)) "
        f"AND kind NOT IN {marks(_PER_KEY_OR_HOP)} ORDER BY rowid"
    )
    values = (request, period, period is None, *_PER_KEY_OR_HOP)
    for window, kind, *fields, details in _rows(folder, entity, query, values):
        yield Followed._make((window, FactKind(kind), *fields, _details(kind, details)))


def everything(folder: Path, entity: str) -> Iterator[FactColumns]:
    """Yield all that an entity noted, in order, in portions with the columns of `journal.COLUMNS`."""
    return _columns(folder, entity, journal.COLUMNS, _PORTION)


def have_taken(folder: Path, books: Sequence[Book]) -> None:
    """Have books take all that was noted, entity by entity and in order; each fact is read once.

    Raises `JournalError`.
    """
    for entity in journals.entities(folder):
        for facts in everything(folder, entity):
            for book in books:
                book.take(entity, facts)


def until(folder: Path, entity: str, window: int) -> Iterator[tuple[Any, ...]]:
    """Yield all that an entity noted up to a window, but for what is noted when a run ends."""
    query = (
        f"SELECT {journal.NAMES} FROM fact WHERE window <= ? "
        f"AND kind NOT IN {marks(_AT_THE_END)} ORDER BY rowid"
    )
    return _rows(folder, entity, query, (window, *_AT_THE_END))


def _columns(
    folder: Path, entity: str, names: Sequence[str], portion: int, only: _Only = ("", ())
) -> Iterator[FactColumns]:
    """Yield columns of facts, in portions; of those that meet a condition only, if there is one.

    They are in the order of facts: SQLite visits a table, and an index of it on one entity, by `rowid`.
    """
    joined = ", ".join(f"group_concat({_plain(name)}, '{SEPARATOR}')" for name in names)
    condition, values = only
    query = f"SELECT count(*), {joined} FROM fact WHERE rowid > ? AND rowid <= ? {condition}"
    for count, *texts in journals.portions(folder, entity, query, values, portion):
        yield FactColumns(entity, count, dict(zip(names, texts, strict=True)))


def _plain(name: str) -> str:
    return f"hex({name})" if name == "fingerprint" else f'"{name}"'


def _rows(
    folder: Path, entity: str, query: str, values: journals.Values
) -> Iterator[tuple[Any, ...]]:
    return journals.rows(folder, entity, query, values)


def _number(folder: Path, entity: str, query: str, values: journals.Values) -> int:
    ((found,),) = _rows(folder, entity, query, values)
    return int(found)


def marks(kinds: tuple[FactKind, ...]) -> str:
    """Return a question mark per kind, in brackets."""
    return f"({', '.join('?' * len(kinds))})"


_details = lru_cache(maxsize=1000)(details_of)  # few of them differ


def _document(details: Details | None) -> str:
    return details.document if isinstance(details, Planned) else ""
