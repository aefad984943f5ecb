"""What a core is: it is told the time, takes messages, and returns what must be sent and written.

`Message` is what crosses between entities, `Fact` what an entity writes into its own journal, and
`Measure` what it shows to observers.  Every entity numbers its messages and facts itself, so that
their order does not depend on where it runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from typing import NamedTuple, Protocol, runtime_checkable

from protos.access import Answer, Asked
from protos.facts import Fact
from protos.key_changes import KeyChange
from protos.keys import KeyBundle, KeyTraffic
from protos.mib import AccessRole, Row
from protos.node_status import NodeStatus
from protos.pdu import Pdu

GLOBAL_MANAGER = "global-manager"
FIBER_CONTROLLER = "fiber-controller"
SATELLITE_CONTROLLER = "satellite-controller"
UAV_CONTROLLER = "uav-controller"
CONTROLLERS = (FIBER_CONTROLLER, SATELLITE_CONTROLLER, UAV_CONTROLLER)
KEY_MANAGER_PREFIX = "kme-"
OPERATOR_PREFIX = "operator/"


def key_manager_of(node: str) -> str:
    """Return the entity name of the local key manager of a node."""
    return KEY_MANAGER_PREFIX + node


def steps_until(at_s: float, step_s: float) -> int:
    """Return how many steps of a clock it takes to reach a time; a rounding error takes none."""
    return ceil(at_s / step_s - 1e-9)


def operator_of(name: str, role: AccessRole) -> str:
    """Return what an operator of a role is called as the source of a request."""
    return f"{OPERATOR_PREFIX}{role}/{name}"


def is_operator(source: str) -> bool:
    """Return whether a request comes from an operator, who is no entity."""
    return source.startswith(OPERATOR_PREFIX)


def role_of(entity: str) -> AccessRole:
    """Return the role of an entity or operator; an unknown one may only observe."""
    if is_operator(entity):
        return AccessRole(entity.split("/")[1])
    if entity == GLOBAL_MANAGER:
        return AccessRole.MANAGER
    if entity in CONTROLLERS:
        return AccessRole.CONTROLLER
    return AccessRole.NODE if entity.startswith(KEY_MANAGER_PREFIX) else AccessRole.OBSERVER


@dataclass(frozen=True)
class EntityOrder:
    """An order of entities that depends on the order of nodes, not on their names.

    A key manager is sorted as if its node were named by its number, from 1 on.
    """

    nodes: tuple[str, ...]

    def key(self, entity: str) -> str:
        """Return the key by which an entity is sorted, and by which draws that concern it are keyed."""
        return self._keys.get(entity, entity)

    def sorted(self, entities: Iterable[str]) -> list[str]:
        """Return entities in order."""
        return sorted(entities, key=self.key)

    @cached_property
    def _keys(self) -> dict[str, str]:
        return {
            key_manager_of(node): key_manager_of(str(number))
            for number, node in enumerate(self.nodes, 1)
        }


BY_NAME = EntityOrder(())
"""The order of entities of an unknown network: by their names."""


class Message(NamedTuple):
    """One message from an entity to another; the sender numbers its messages."""

    source: str
    destination: str
    sequence: int
    body: Pdu | KeyBundle


@dataclass(frozen=True, slots=True)
class Measure:
    """One sample of a metric, labels as (name, value) pairs."""

    metric: str
    labels: tuple[tuple[str, str], ...]
    value: float


@dataclass(frozen=True, slots=True)
class Totals:
    """Running totals that a progress display adds up over all entities."""

    demanded_units: int = 0
    late_units: int = 0
    shortfall_units: int = 0
    cost: int = 0

    def __add__(self, other: Totals) -> Totals:
        """Return the sums."""
        return Totals(
            self.demanded_units + other.demanded_units,
            self.late_units + other.late_units,
            self.shortfall_units + other.shortfall_units,
            self.cost + other.cost,
        )


@dataclass(frozen=True)
class Step:
    """What a core wants done after one window.

    `wake_s` is when it must run even if nobody writes to it; None: never.  `keys` holds the changes of
    keys in hand, in order, `answers` those to SAEs.
    """

    outbox: list[Message] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    wake_s: float | None = None
    keys: list[KeyChange] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


class Effects:
    """Collects what one entity sends and writes during a step, and numbers its messages.

    A PDU is a message; all key traffic to a destination is one message.
    """

    def __init__(self, entity: str) -> None:
        self._entity = entity
        self._sequence = 0
        self._outbox: list[Message] = []
        self._traffic: dict[str, list[KeyTraffic]] = {}
        self._facts: list[Fact] = []
        self._keys: list[KeyChange] = []
        self._answers: list[Answer] = []

    def send(self, destination: str, body: Pdu | KeyTraffic) -> None:
        """Send something; it is consumed in the next window."""
        if isinstance(body, Pdu):
            self._post(destination, body)
        else:
            self._traffic.setdefault(destination, []).append(body)

    def note(self, fact: Fact) -> None:
        """Write one fact into the journal."""
        self._facts.append(fact)

    def keep(self, change: KeyChange) -> None:
        """Note a change of keys in hand."""
        self._keys.append(change)

    def answer(self, answer: Answer) -> None:
        """Answer a call of an SAE."""
        self._answers.append(answer)

    def flush(self, wake_s: float | None) -> Step:
        """Return what was collected, and start again from empty."""
        for destination, items in self._traffic.items():
            self._post(destination, KeyBundle.of(items))
        self._traffic = {}
        step = Step(self._outbox, self._facts, wake_s, self._keys, self._answers)
        self._outbox, self._facts, self._keys, self._answers = [], [], [], []
        return step

    def _post(self, destination: str, body: Pdu | KeyBundle) -> None:
        self._sequence += 1
        self._outbox.append(Message(self._entity, destination, self._sequence, body))


@dataclass(frozen=True)
class Timeline:
    """When provisioning periods are: period p begins at `first_period_s + p * period_s`."""

    first_period_s: float
    period_s: float
    periods: int

    def begins_s(self, period: int) -> float:
        """Return when a period begins."""
        return self.first_period_s + period * self.period_s

    @property
    def end_s(self) -> float:
        """When the last period ends."""
        return self.begins_s(self.periods)


@runtime_checkable
class Sleeper(Protocol):
    """A core that leaves out what the schedule, as it knows it, makes needless."""

    def slept_until(self, now_s: float) -> None:
        """Learn that all that was left out until then was needless; the schedule has changed since."""


@runtime_checkable
class Managed(Protocol):
    """A core whose rows of the MIB can be looked at between two steps."""

    def rows(self) -> dict[type[Row], tuple[Row, ...]]:
        """Return all rows that can be read, by their type; nothing changes by it."""


@runtime_checkable
class Answering(Protocol):
    """A core that SAEs may call; calls are answered in the step of their window, or the first after it."""

    def hear(self, asked: Sequence[Asked]) -> None:
        """Learn of calls, by number; those that are known already are passed over."""

    @property
    def last_call(self) -> int:
        """The greatest number of a call that it knows; 0 if there is none."""

    @property
    def is_unsure(self) -> bool:
        """Whether it has given keys in answers that are not known to have left."""

    def stock(self, target: str) -> Stock | None:
        """Return what it could give for SAEs of a node; None if nothing is provisioned to there."""

    def status(self, now_s: float) -> NodeStatus:
        """Return what it shows of its node; nothing is changed."""


@dataclass(frozen=True, slots=True)
class Stock:
    """Keys of one unit that could be given now, and the most that may wait."""

    keys: int
    most_keys: int


class Core(Protocol):
    """An entity without its process: a pure state machine."""

    name: str

    def step(self, now_s: float, inbox: Sequence[Message]) -> Step:
        """Consume the inbox at `now_s`; called in time order, at `wake_s` at the latest."""

    def started(self, now_s: float) -> None:
        """Learn that it works from now on: at the start, or after it was out.

        What was sent to it while it was out is lost.
        """

    def waits(self) -> bool:
        """Return whether it has asked for something and has no answer yet."""

    def close(self) -> list[Fact]:
        """Return what is left in hand; nothing is called after it."""

    def key_changes(self) -> list[KeyChange]:
        """Return the changes that rebuild its key stores from empty."""

    def measures(self) -> list[Measure]:
        """Return what observers may see."""

    def totals(self) -> Totals:
        """Return running totals."""
