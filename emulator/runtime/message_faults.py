"""Faults of entities and of their messages, between the cores and the wire.

An entity that is out does nothing and reads nothing; what was sent to it is lost.  When it is back it is
told so.  Messages are lost, doubled, damaged, held back or reordered as they leave.  Draws are keyed by the
seed and the message, so a host that replays its mail does the same again.  A message that is held back
leaves in a later window, as if it had been sent then.
Nothing here knows what a message means, or what a core is.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf

from emulator.runtime.operations import Operations
from emulator.world.events import (
    NOTHING,
    MessageFault,
    Outage,
    Partition,
    PowerCut,
    Schedule,
    WorldEvent,
)
from emulator.world.keyed_random import number
from protos.core import BY_NAME, EntityOrder, Message, is_operator, key_manager_of, steps_until
from protos.keys import Confirm, KeyBundle, KeyTraffic, Relay
from protos.pdu import Pdu

COPY = 2**40
_MOST_TOLD = 256


@dataclass(frozen=True)
class MessageFaults:
    """The faults of entities and messages in a schedule; a pure function of its fields.

    After `last_window` all of them are over, so that the accounts of a run can be closed.
    """

    seed: int = 0
    window_s: float = 1.0
    last_window: float = inf
    schedule: Schedule = NOTHING
    order: EntityOrder = BY_NAME

    def with_event(self, event: WorldEvent) -> MessageFaults:
        """Return the same with that event too."""
        return replace(self, schedule=self.schedule.with_event(event))

    @property
    def is_idle(self) -> bool:
        """Whether there is no fault at all."""
        return self.spares_messages and not self._outages

    def is_out(self, entity: str, window: int) -> bool:
        """Return whether an entity does nothing in a window."""
        return any(begin <= window < end for begin, end in self._outages.get(entity, ()))

    def is_back(self, entity: str, window: int) -> bool:
        """Return whether an entity is there again in a window for the first time."""
        ends = [end for _, end in self._outages.get(entity, ())]
        return window in ends and not self.is_out(entity, window)

    def is_away(self, entity: str, window: int) -> bool:
        """Whether an entity is out, and will be back."""
        return self.is_out(entity, window) and self.back_after((entity,), window) is not None

    def back_after(self, entities: Iterable[str], window: int) -> int | None:
        """Return the next window in which one of these is back."""
        ends = [end for entity in entities for _, end in self._outages.get(entity, ())]
        return min((int(end) for end in ends if window < end < inf), default=None)

    def turn_after(self, entities: Iterable[str], window: int) -> int | None:
        """Return the next window in which one of these goes out or is back."""
        if not self._outages:
            return None
        spans = [span for entity in entities for span in self._outages.get(entity, ())]
        turns = (turn for span in spans for turn in span)
        return min((int(turn) for turn in turns if window < turn < inf), default=None)

    def absences(self, entities: Iterable[str]) -> Iterator[tuple[str, float, float]]:
        """Yield since when and until when, in emulated time, each of these is out."""
        for entity in entities:
            for begin, end in self._outages.get(entity, ()):
                yield entity, begin * self.window_s, end * self.window_s

    @cached_property
    def operations(self) -> Operations:
        """The requests of operators in the schedule."""
        return Operations(self.schedule, self.window_s, self.last_window)

    @property
    def spares_entities(self) -> bool:
        """Whether nobody is ever out, and no operator asks for anything."""
        return not self._outages and self.operations.are_none

    @property
    def spares_messages(self) -> bool:
        """Whether there is no fault of messages."""
        return not self._faults and not self._partitions

    def parts(self, message: Message, window: int) -> bool:
        """Return whether the two ends of a message cannot hear one another."""
        return any(
            item.parts(message.source, message.destination)
            for item in self._partitions
            if self._is_on(item, window)
        )

    def befalling(self, message: Message, window: int) -> list[tuple[int, MessageFault]]:
        """Return the faults that concern a message, each with its number."""
        return [
            (index, fault)
            for index, fault in enumerate(self._faults)
            if self._is_on(fault, window) and fault.befalls(message.source, message.destination)
        ]

    def draw(self, message: Message, *question: str | int) -> float:
        """Return the number in [0, 1) that belongs to a question about a message."""
        source, destination = map(self.order.key, (message.source, message.destination))
        about = (self.seed, source, destination, message.sequence, *question)
        return number(about, person=b"qsagin-message")

    @cached_property
    def _outages(self) -> dict[str, list[tuple[int, float]]]:
        """Windows from which on, and until which, an entity is out."""
        found: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for item in self.schedule.of(Outage):
            found[item.entity].append(self._windows(item.start_s, item.end_s))
        for cut in self.schedule.of(PowerCut):
            found[key_manager_of(cut.node)].append(self._windows(cut.start_s, cut.end_s))
        return found

    def _windows(self, start_s: float, end_s: float) -> tuple[int, float]:
        last = inf if end_s == inf else steps_until(end_s, self.window_s)
        return steps_until(start_s, self.window_s), min(last, self.last_window + 1)

    def _is_on(self, item: MessageFault | Partition, window: int) -> bool:
        now_s = window * self.window_s
        return window <= self.last_window and item.start_s <= now_s + 1e-9 < item.end_s

    @cached_property
    def _faults(self) -> tuple[MessageFault, ...]:
        return self.schedule.of(MessageFault)

    @cached_property
    def _partitions(self) -> tuple[Partition, ...]:
        return self.schedule.of(Partition)


NO_FAULTS = MessageFaults()


@dataclass
class Post:
    """What leaves a host, what is held back for later windows, and the count of each fault.

    `told` holds the last answers to operators, with their windows.

    `damaged` holds the management messages that leave damaged in the last window; their envelope shows it,
    so they must be refused.  Damaged ciphertext and tags travel like any other.
    """

    held: dict[int, list[Message]] = field(default_factory=dict)
    damaged: list[Message] = field(default_factory=list)
    befallen: Counter[str] = field(default_factory=Counter)
    told: deque[tuple[int, Message]] = field(default_factory=lambda: deque(maxlen=_MOST_TOLD))

    @property
    def wake_window(self) -> int | None:
        """When something leaves that was held back."""
        return min(self.held, default=None)

    def dispatch(self, window: int, outbox: Sequence[Message], by: MessageFaults) -> list[Message]:
        """Return what leaves in a window: of what was sent in it, and of what was held back until it."""
        self.damaged, leaving = [], self.held.pop(window, [])
        answers = [message for message in outbox if is_operator(message.destination)]
        if answers:
            self.told.extend((window, message) for message in answers)
            outbox = [message for message in outbox if not is_operator(message.destination)]
        if by.spares_messages:
            return [*leaving, *outbox]
        for message in _reordered(window, outbox, by):
            if by.parts(message, window):
                self.befallen["partition"] += 1
                continue
            for copy, delay in self._fates(message, by, by.befalling(message, window)):
                queue = self.held.setdefault(window + delay, []) if delay else leaving
                queue.append(copy)
        return leaving

    def _fates(
        self, message: Message, by: MessageFaults, faults: list[tuple[int, MessageFault]]
    ) -> list[tuple[Message, int]]:
        """Return the copies of a message that arrive, each with the windows that it is late."""
        delay, copies = 0, 1
        for index, fault in faults:
            if by.draw(message, "drop", index) < fault.drop:
                self.befallen["drop"] += 1
                return []
            if by.draw(message, "corrupt", index) < fault.corrupt:
                self.befallen["corrupt"] += 1
                damaged = self._damage(message)
                if damaged is None:
                    return []
                message = damaged
            most = int(fault.delay_s / by.window_s + 1e-9)
            delay += int(by.draw(message, "delay", index) * (most + 1))
            copies += by.draw(message, "duplicate", index) < fault.duplicate
        self.befallen["delay"] += delay > 0
        self.befallen["duplicate"] += copies - 1
        return [
            (message._replace(sequence=message.sequence + copy * COPY), delay)
            for copy in range(copies)
        ]

    def _damage(self, message: Message) -> Message | None:
        """Return a message as it arrives damaged; None if it is refused then."""
        if isinstance(message.body, Pdu):
            self.damaged.append(message)
            return None
        items = message.body.items
        if not any(isinstance(item, Relay | Confirm) for item in items):
            return None
        first = next((place for place, item in enumerate(items) if _cover(item)), None)
        if first is None:
            return message
        damaged = KeyBundle((*items[:first], _damaged(items[first]), *items[first + 1 :]))
        return message._replace(body=damaged)


def _cover(item: KeyTraffic) -> bytes:
    """Return the ciphertext or the tag of what has one."""
    match item:
        case Relay():
            return item.ciphertext
        case Confirm():
            return item.tag
    return b""


def _damaged(item: KeyTraffic) -> KeyTraffic:
    match item:
        case Relay():
            return item._replace(ciphertext=_flipped(item.ciphertext))
        case Confirm():
            return item._replace(tag=_flipped(item.tag))
    return item


def _flipped(data: bytes) -> bytes:
    """Return data with its first bit turned over."""
    return bytes([data[0] ^ 0x80]) + data[1:]


def _reordered(window: int, outbox: Sequence[Message], by: MessageFaults) -> list[Message]:
    """Reorder what is said between the same two entities: numbers stay where they are, bodies move.

    Items of a bundle change places as well.
    """
    found = list(outbox)
    groups: dict[tuple[str, str], list[int]] = {}
    for index, message in enumerate(found):
        if any(fault.shuffled for _, fault in by.befalling(message, window)):
            groups.setdefault((message.source, message.destination), []).append(index)
    for indices in groups.values():
        drawn = sorted(indices, key=lambda index: by.draw(outbox[index], "shuffle"))
        for index, other in zip(indices, drawn, strict=True):
            found[index] = outbox[index]._replace(body=_shuffled(outbox[other], by))
    return found


def _shuffled(message: Message, by: MessageFaults) -> Pdu | KeyBundle:
    """Return what a message says, with its items in another order."""
    if isinstance(message.body, Pdu):
        return message.body
    items = message.body.items
    places = sorted(range(len(items)), key=lambda place: by.draw(message, "shuffle", place))
    return KeyBundle.of(items[place] for place in places)
