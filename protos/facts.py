"""Facts, the entries of journals: each has a kind, numbers, and details of a type of its own.

A fact carries data.  `text` puts its details into words for people; no code reads these back.  Details are
written as JSON (`written`) and come back as the same values (`details_of`).  A link is a pair of nodes,
never a string.  Nothing here knows who notes a fact, or where it is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from typing import Any, NamedTuple, get_type_hints

LinkEnds = tuple[str, str]


class FactKind(StrEnum):
    """What a journal can say."""

    PLANNED = "planned"
    NOT_PLANNED = "not-planned"
    RESERVED = "reserved"
    ACTIVE = "active"
    VERIFIED = "verified"
    PERIOD = "period"
    DEMANDED = "demanded"
    SHORT = "short"
    LAPSED = "lapsed"
    ORDERED = "ordered"
    REFUSED = "refused"
    LINK = "link"
    REPLANNED = "replanned"
    CHANGED = "changed"
    BOUGHT = "bought"
    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"
    AGENT = "agent"
    GENERATED = "generated"
    CREATED = "created"
    RELAYED = "relayed"
    STORED = "stored"
    DELIVERED = "delivered"
    EXPIRED = "expired"
    KEPT = "kept"
    DESTROYED = "destroyed"
    ROTATED = "rotated"
    ASKED = "asked"
    GIVEN = "given"
    UNSENT = "unsent"
    SET = "set"


class LinkCondition(StrEnum):
    """The state of a link: up, or nothing comes through (loss), or too many errors (noise).

    One that is out was taken out of service by an operator.
    """

    UP = "up"
    LOSS = "loss"
    NOISE = "noise"
    OUT = "out"


class AgentCondition(StrEnum):
    """What the manager learns of an agent."""

    SILENT = "silent"
    ANSWERS = "answers"
    BACK = "back"


class ReplanCause(StrEnum):
    """Why a plan is made again."""

    LINK_DOWN = "link-down"
    LINK_UP = "link-up"
    DEMAND = "demand"
    FORECAST = "forecast"
    HOUR = "hour"
    OPERATOR = "operator"


class OrderCause(StrEnum):
    """Why an order goes where it goes."""

    CHEAPEST = "cheapest"
    SILENT = "silent"
    SHARED = "shared"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, as the JSON document that `plan.json` begins with."""

    document: str

    @property
    def text(self) -> str:
        """The document."""
        return self.document


@dataclass(frozen=True, slots=True)
class Shares:
    """What a fact about the key of one link and epoch says of each reservation, in columns.

    The fact itself is of no request, and has the sum of the `bits`, in as many `units` as there are shares.
    Of key that was made, `qber` has what was measured, None where there was nothing to compare, and
    `discarded` the requests whose blocks were given up for it.  Where blocks take several epochs to fill,
    `filled` is the part of one that had been gathered in the end, 1 or more if it was distilled, and
    `distilled_bits` the key that came of it.  A column of which nothing is known is empty.
    """

    requests: tuple[int, ...]
    bits: tuple[int, ...]
    qber: tuple[float | None, ...] = ()
    discarded: tuple[int, ...] = ()
    filled: tuple[float | None, ...] = ()
    distilled_bits: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """The shares in words."""
        measured = [qber for qber in self.qber if qber is not None]
        qber = f", qber {sum(measured) / len(measured):.4f}" if measured else ""
        discarded = f", {len(self.discarded)} discarded" if self.discarded else ""
        return f"{len(self.requests)} reservations{qber}{discarded}"


@dataclass(frozen=True, slots=True)
class LinkState:
    """A link has gone down or come up; `qber` is what was seen of it."""

    link: LinkEnds
    condition: LinkCondition
    qber: float

    @property
    def cause(self) -> str:
        """Why it is down, in words; empty if it is up."""
        match self.condition:
            case LinkCondition.UP:
                return ""
            case LinkCondition.LOSS:
                return "no signal"
            case LinkCondition.NOISE:
                return f"qber {self.qber:.4f}"
            case LinkCondition.OUT:
                return "out of service"

    @property
    def text(self) -> str:
        """The state in words."""
        match self.condition:
            case LinkCondition.UP:
                return "up"
            case LinkCondition.LOSS:
                return "down"
            case LinkCondition.NOISE:
                return f"down: {self.cause}"
            case LinkCondition.OUT:
                return self.cause


@dataclass(frozen=True, slots=True)
class AgentState:
    """What the manager has learned of an agent."""

    condition: AgentCondition

    @property
    def text(self) -> str:
        """The state in words."""
        return {
            AgentCondition.SILENT: "does not answer",
            AgentCondition.ANSWERS: "answers again",
            AgentCondition.BACK: "is back",
        }[self.condition]


@dataclass(frozen=True, slots=True)
class Replanned:
    """Why a plan was made again: because of a `link`, or of demand whose mean is `mean_units` now."""

    cause: ReplanCause
    link: LinkEnds | None = None
    noisy: bool = False
    mean_units: float = 0.0

    @property
    def text(self) -> str:
        """The reason in words."""
        if self.cause is ReplanCause.HOUR:
            return "another hour"
        if self.cause is ReplanCause.FORECAST:
            return f"demand of {self.mean_units:.2f} units is foreseen"
        if self.cause is ReplanCause.OPERATOR:
            return "an operator asked for it"
        if self.link is None:
            return f"demand drifted to {self.mean_units:.2f} units"
        name = label_of(self.link)
        if self.cause is ReplanCause.LINK_UP:
            return f"fiber {name} is up"
        return f"fiber {name} is down" + (" with too many errors" if self.noisy else "")


@dataclass(frozen=True, slots=True)
class Ordered:
    """Why an order goes to this medium: `other` is the controller or medium that did not serve, and why."""

    cause: OrderCause
    units: int
    other: str = ""
    reason: str = ""

    @property
    def text(self) -> str:
        """The reason in words."""
        match self.cause:
            case OrderCause.CHEAPEST:
                return f"{self.units} units short; cheapest first"
            case OrderCause.SILENT:
                return f"{self.units} units short; {self.other} does not answer"
            case OrderCause.SHARED:
                return "best use of what all share"
            case _:
                return f"{self.other} {self.cause.value}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Verified:
    """Whether the fiber controller's table agrees with the plan."""

    agrees: bool

    @property
    def text(self) -> str:
        """The result in words."""
        return "as planned" if self.agrees else "differs from the plan"


@dataclass(frozen=True, slots=True)
class Rotated:
    """Whether a rotation of management keys found no key to withdraw."""

    overdue: bool

    @property
    def text(self) -> str:
        """The result in words."""
        return "overdue" if self.overdue else ""


@dataclass(frozen=True, slots=True)
class KeyCall:
    """An SAE asked for keys for itself and others; `given` says whether there were as many."""

    master: str
    slaves: tuple[str, ...]
    keys: int
    key_bits: int
    given: bool

    @property
    def text(self) -> str:
        """The call in words."""
        what = f"{self.keys} keys of {self.key_bits} bits for {self.master}"
        return f"{what} and {', '.join(self.slaves)}" + ("" if self.given else ": too few here")


@dataclass(frozen=True, slots=True)
class Holder:
    """The SAE that a key was given to."""

    sae: str

    @property
    def text(self) -> str:
        """Its name."""
        return self.sae


@dataclass(frozen=True, slots=True)
class Setting:
    """What an operator has asked an agent to set, by name, and why it was refused; empty: it was not."""

    names: tuple[str, ...]
    values: tuple[int, ...]
    refused: str = ""

    @property
    def text(self) -> str:
        """The values in words."""
        pairs = zip(self.names, self.values, strict=True)
        said = ", ".join(f"{name} = {value}" for name, value in pairs)
        return said + (f": {self.refused}" if self.refused else "")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was refused, rejected or failed: words for people only."""

    words: str

    @property
    def text(self) -> str:
        """The words."""
        return self.words


Details = (
    Planned
    | Shares
    | LinkState
    | AgentState
    | Replanned
    | Ordered
    | Verified
    | Rotated
    | KeyCall
    | Holder
    | Setting
    | Reason
)

DETAILS: dict[FactKind, type[Any]] = {
    FactKind.PLANNED: Planned,
    FactKind.GENERATED: Shares,
    FactKind.RELAYED: Shares,
    FactKind.EXPIRED: Shares,
    FactKind.STORED: Shares,
    FactKind.LINK: LinkState,
    FactKind.AGENT: AgentState,
    FactKind.REPLANNED: Replanned,
    FactKind.ORDERED: Ordered,
    FactKind.VERIFIED: Verified,
    FactKind.ROTATED: Rotated,
    FactKind.ASKED: KeyCall,
    FactKind.GIVEN: Holder,
    FactKind.UNSENT: Holder,
    FactKind.SET: Setting,
    FactKind.NOT_PLANNED: Reason,
    FactKind.REFUSED: Reason,
    FactKind.FAILED: Reason,
    FactKind.REJECTED: Reason,
}
"""The type of the details that facts of a kind may have; other kinds have none."""


class Fact(NamedTuple):
    """One thing that happened; a tuple, because a run has millions.

    `medium` is the medium's name; `peer` the other end; `end` is "source", "target" or "relay";
    `serial` an epoch or order; `cost` is in monetary units; `fingerprint` is a tag, never a key.  Keys that
    were delivered together are named in `key_id`, with blanks between, and have their tags in one run.
    """

    kind: FactKind
    request: int = -1
    period: int = -1
    serial: int = -1
    medium: str = ""
    peer: str = ""
    end: str = ""
    units: int = 0
    bits: int = 0
    cost: int = 0
    key_id: str = ""
    fingerprint: bytes = b""
    details: Details | None = None

    @property
    def text(self) -> str:
        """The details in words."""
        return self.details.text if self.details is not None else ""

    def row(self, *head: str | int) -> tuple[str | int | bytes, ...]:
        """Return the fact as plain values, in the order of its fields, after some others."""
        details = self[-1]
        return (*head, self[0]._value_, *self[1:-1], "" if details is None else written(details))


def keys_named(key_id: str, fingerprint: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the keys that a fact names, with the tag of each."""
    names = key_id.split()
    size = len(fingerprint) // max(1, len(names))
    for number, name in enumerate(names):
        yield name, fingerprint[number * size : (number + 1) * size]


def label_of(link: LinkEnds) -> str:
    """Return the name of a link for people."""
    return f"{link[0]}-{link[1]}"


def written(details: Details | None) -> str:
    """Return details as JSON; nothing for none.  A plan is written as its own document."""
    if details is None:
        return ""
    if isinstance(details, Planned):
        return details.document
    found = {name: getattr(details, name) for name in _TYPES[type(details)]}
    if isinstance(details, Shares):  # of which a run has most
        told = (f'"{name}":{_column(column)}' for name, column in found.items() if column)
        return f"{{{','.join(told)}}}"
    return _ENCODE(found)


def _column(values: tuple[float | None, ...]) -> str:
    """Return a column as JSON; Python writes numbers alike, and much faster."""
    return _ENCODE(values) if None in values else str(list(values))


def details_of(kind: str, text: str) -> Details | None:
    """Return what `written` wrote for a fact of a kind.  Raises `ValueError` for anything else."""
    if not text:
        return None
    made = DETAILS.get(FactKind(kind))
    if made is None:
        raise ValueError(f"a fact of kind {kind} has no details")
    if made is Planned:
        return Planned(text)
    found: dict[str, Any] = json.loads(text)
    if not _NEEDED[made] <= found.keys() <= _TYPES[made].keys():
        raise ValueError(f"details of kind {kind} with fields {', '.join(found)}")
    details: Details = made(**{name: _typed(_TYPES[made][name], found[name]) for name in found})
    return details


_TYPES = {made: get_type_hints(made) for made in DETAILS.values()}
_NEEDED = {
    made: {field.name for field in fields(made) if made is not Shares or field.default is MISSING}
    for made in DETAILS.values()
}
_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def _typed(hint: Any, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(value)
    return value
