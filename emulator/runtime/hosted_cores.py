"""The cores of one host: run window by window, and recovered from the journal.

Each window is committed before its messages are sent.  Each message is read once, in an order that does not
depend on the transport.  What was sent is kept for two windows, because a receiver that is lost in
between needs it again.  A restarted host loads the last checkpoint from its journal and replays the mail
since.  Cores are pure, so they then are what they were, down to what they sent last; if the keys that they
then hold differ from those in the journal, they do not come back.  A checkpoint is made as soon as
replaying the windows since the last would take longer than `checkpoint_after_s`, or ten times what a
checkpoint takes.

Between two windows cores can be told of an event to come; from then on they are as if they had known it
from the start.  Nothing here knows transport, or what a message means.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from operator import attrgetter
from types import MappingProxyType
from typing import Any, TypeVar

from emulator.build.roles import Role
from emulator.runtime.message_faults import NO_FAULTS, MessageFaults, Post
from emulator.runtime.sae_calls import CallsByEntity, SaeCalls, calls_of, rows_of
from emulator.store.journal import Journal
from emulator.store.sealing import Seal
from emulator.world.events import EventAware, WorldEvent, read_back
from protos import wire
from protos.core import (
    Answering,
    Core,
    EntityOrder,
    Measure,
    Message,
    Sleeper,
    Step,
    Totals,
    steps_until,
)
from protos.facts import Fact
from protos.key_changes import KeyChange
from protos.keys import Confirm, Relay
from protos.pdu import Pdu

_REMEMBERED_WINDOWS = 64
_Position = tuple[str, int]


class Mailbox:
    """Messages by the window in which they will be read."""

    def __init__(self, order: EntityOrder) -> None:
        self._order = order
        self._waiting: dict[int, dict[_Position, Message]] = defaultdict(dict)
        self._read: set[_Position] = set()
        self._recent: deque[tuple[int, list[_Position]]] = deque()

    def put(self, window: int, message: Message) -> bool:
        """Keep a message until `window`; return whether it is new."""
        position = (message.source, message.sequence)
        is_new = position not in self._waiting[window] and position not in self._read
        self._waiting[window][position] = message
        return is_new

    @property
    def next_window(self) -> int | None:
        """The first window in which there is something to read."""
        return min(self._waiting, default=None)

    def read(self, window: int) -> list[Message]:
        """Return what is to be read in a window, without repeats: by source, then sequence."""
        arrived = self._waiting.pop(window, {})
        new = (position for position in arrived if position not in self._read)
        positions = sorted(new, key=lambda position: (self._order.key(position[0]), position[1]))
        self._remember(window, positions)
        return [arrived[position] for position in positions]

    def _remember(self, window: int, positions: list[_Position]) -> None:
        self._read.update(positions)
        self._recent.append((window, positions))
        while self._recent[0][0] <= window - _REMEMBERED_WINDOWS:
            self._read.difference_update(self._recent.popleft()[1])


_CHECKPOINT = "checkpoint"
T = TypeVar("T", bound=EventAware)
_KEPT_WINDOWS = 2
_CHECKPOINT_SHARE = 10


@dataclass
class _HostedCore:
    """A core, what it has not read, when it wants to run, and when it last read or did anything."""

    core: Core
    mailbox: Mailbox
    wake_window: int | None = 0
    last_window: int = 0
    is_started: bool = False


class HostedCores:
    """See the module."""

    def __init__(
        self,
        roles: Sequence[Role],
        window_s: float,
        journal: Journal,
        seal: Seal,
        checkpoint_after_s: float,
        *,
        order: EntityOrder,
        message_faults: MessageFaults = NO_FAULTS,
        serves_until: int | None = None,
    ) -> None:
        self._serves_until = -1 if serves_until is None else serves_until
        self._window_s, self._journal, self._seal = window_s, journal, seal
        self._checkpoint_after_s = checkpoint_after_s
        self._roles = tuple(sorted(roles, key=lambda role: order.key(role.entity)))
        self._told = _told(self._roles)
        self._message_faults, self._post = message_faults, Post()
        self._news: list[WorldEvent] = []
        self._here = {
            role.entity: _HostedCore(role.build(), Mailbox(order)) for role in self._roles
        }
        self._raw: dict[int, list[wire.Batch]] = defaultdict(list)
        self._sent: dict[int, list[Message]] = {}
        self._stepped_s = self._checkpoint_s = 0.0
        self.last_window: int | None = None
        self.calls = SaeCalls(lambda entity: self._here[entity].core, window_s)
        self._recover()

    @property
    def wake_window(self) -> int | None:
        """The window in which an entity here wants to run next."""
        wakes = [item.wake_window for item in self._here.values()]
        last = -1 if self.last_window is None else self.last_window
        wakes += [self._post.wake_window, self._message_faults.back_after(self._here, last)]
        return min((wake for wake in wakes if wake is not None), default=None)

    @property
    def is_waiting(self) -> bool:
        """Whether an entity here, after faults, still waits for an answer, or is to come back."""
        if self._message_faults.is_idle:
            return False
        last = -1 if self.last_window is None else self.last_window
        is_away = any(self._message_faults.is_away(entity, last) for entity in self._here)
        waits = any(item.core.waits() for item in self._here.values())
        return waits or is_away or bool(self._post.held)

    @property
    def absences(self) -> Iterator[tuple[str, float, float]]:
        """When, in emulated time, entities here are out, as (entity, since, until)."""
        return self._message_faults.absences(self._here)

    @property
    def totals(self) -> Totals:
        """Running totals of all cores here."""
        return sum((item.core.totals() for item in self._here.values()), Totals())

    def measures(self) -> Iterable[list[Measure]]:
        """Yield what observers may see of each core."""
        for hosted in self._here.values():
            yield hosted.core.measures()

    @property
    def befallen(self) -> Mapping[str, int]:
        """How many messages from here the schedule has lost, doubled, damaged or held back."""
        return self._post.befallen

    def hear(self, news: Sequence[str]) -> list[WorldEvent]:
        """Learn of events after the last window that was run; return those that are new here.

        `news` is everything injected since the run began.
        """
        fresh = [(text, read_back(text)) for text in news[len(self._news) :]]
        for text, event in fresh:
            self._journal.hear(text)
            self._learn(event)
        return [event for _, event in fresh]

    def told(self, world: T) -> T:
        """Return something that was told what the experiment says, told all that was heard since."""
        for event in self._news:
            world = world.with_event(event)
        return world

    def take(self, batch: wire.Batch, messages: Sequence[Message]) -> int:
        """Keep what was sent in the batch's window for the next; return the number of repeats.

        What has been read is dropped.  Raises `KeyError` for an unknown destination.
        """
        window = batch.window + 1
        homes = [self._here[message.destination] for message in messages]
        if self.last_window is not None and window <= self.last_window:
            return len(messages)
        self._raw[window].append(batch)
        new = [
            home.mailbox.put(window, message) for message, home in zip(messages, homes, strict=True)
        ]
        return new.count(False)

    def run(
        self,
        window: int,
        also: Mapping[str, Sequence[Fact]] = MappingProxyType({}),
        wake_window: int | None = None,
    ) -> None:
        """Run a window, and commit it with other notes; a window that has been run stays as it is.

        `wake_window` is when the host wants to run next, whatever the cores here want.
        """
        if self.last_window is not None and window <= self.last_window:
            return
        asked = self.calls.take(window, lambda entity: self._is_away(entity, window))
        self._hear_calls(window, asked)
        mail = wire.mail(self._raw.pop(window, []))
        self._raw = defaultdict(list, {at: raw for at, raw in self._raw.items() if at > window})
        steps = self._step(window)
        self.calls.keep(steps)
        enough_s = max(self._checkpoint_after_s, _CHECKPOINT_SHARE * self._checkpoint_s)
        checkpoint = self._checkpoint() if self._stepped_s > enough_s else None
        facts = {entity: [*also.get(entity, ()), *step.facts] for entity, step in steps.items()}
        facts |= {entity: list(noted) for entity, noted in also.items() if entity not in steps}
        changes = {entity: step.keys for entity, step in steps.items()}
        keys = self._journal.key_rows(changes, self._seal)
        wakes = (self.wake_window, wake_window)
        wake = min((at for at in wakes if at is not None), default=None)
        wrote = {message.destination for message in self._sent[window]}
        inputs = rows_of(asked)
        self._journal.commit(
            window, facts, mail, checkpoint, keys, wake=wake, wrote=wrote, asked=inputs
        )

    def sent_in(self, window: int) -> list[Message]:
        """Return what was sent in a window."""
        return self._sent.get(window, [])

    def damaged_in(self, window: int) -> list[Message]:
        """Return the management messages that leave damaged in the last window."""
        return self._post.damaged if window == self.last_window else []

    def sent_since(self, window: int, entities: Iterable[str]) -> list[tuple[int, list[Message]]]:
        """Return what was sent to some entities in a window or later, by window."""
        wanted = set(entities)
        return [
            (at, [message for message in sent if message.destination in wanted])
            for at, sent in sorted(self._sent.items())
            if at >= window
        ]

    def finish(self, also: Mapping[str, Sequence[Fact]] = MappingProxyType({})) -> None:
        """Write down what is left in hand, and what else, unless that has been done."""
        if not self._journal.finished:
            left = {
                name: (item.last_window, [*item.core.close(), *also.get(name, ())])
                for name, item in self._here.items()
            }
            self._journal.finish(left, self._key_changes())

    def _learn(self, event: WorldEvent) -> None:
        state = self._state()
        self._news.append(event)
        self._roles = tuple(_role_told(role, event) for role in self._roles)
        self._told = _told(self._roles)
        self._message_faults = self._message_faults.with_event(event)
        self._take_up(state)
        if self.last_window is not None:
            self._wake_all(self.last_window)

    def _wake_all(self, last_window: int) -> None:
        """Have all cores look at the schedule again: who waited for an event of it may be due sooner."""
        for entity, hosted in self._here.items():
            if isinstance(hosted.core, Sleeper):
                worked = last_window
                while worked > 0 and self._message_faults.is_out(entity, worked):
                    worked -= 1
                hosted.core.slept_until(worked * self._window_s)
            wake = hosted.wake_window
            hosted.wake_window = last_window + 1 if wake is None else min(wake, last_window + 1)

    def doubt_answers(self) -> None:
        """Have cores take note that answers of a former life may not have left."""
        for entity, hosted in self._here.items():
            if isinstance(hosted.core, Answering) and hosted.core.is_unsure:
                self.calls.doubt(entity)

    def _is_away(self, entity: str, window: int) -> bool:
        """Whether SAEs cannot call an entity in a window."""
        return window > self._serves_until or self._message_faults.is_out(entity, window)

    def _hear_calls(self, window: int, asked: CallsByEntity) -> None:
        """Tell cores of the calls of a window, in which they then are due."""
        for entity, calls in asked.items():
            self.calls.core_of(entity).hear(calls)
            hosted = self._here[entity]
            wake = hosted.wake_window
            hosted.wake_window = window if wake is None else min(wake, window)

    def _key_changes(self) -> dict[str, list[KeyChange]]:
        return {name: item.core.key_changes() for name, item in self._here.items()}

    def _step(self, window: int) -> dict[str, Step]:
        began_s = time.perf_counter()
        steps: dict[str, Step] = {}
        outbox: list[Message] = []
        for entity, hosted in self._here.items():
            inbox = hosted.mailbox.read(window)
            if self._message_faults.is_out(entity, window):
                hosted.wake_window = None
                continue
            if not hosted.is_started or self._message_faults.is_back(entity, window):
                hosted.core.started(window * self._window_s)
                hosted.is_started, hosted.wake_window = True, window
            if inbox or (hosted.wake_window is not None and hosted.wake_window <= window):
                step = hosted.core.step(window * self._window_s, inbox)
                if inbox or step.outbox or step.facts or step.keys:
                    hosted.last_window = window
                hosted.wake_window = self._window_of(step.wake_s, window)
                steps[entity] = step
                outbox += step.outbox
        outbox = self._post.dispatch(window, outbox, self._message_faults)
        oldest = window - _KEPT_WINDOWS + 1
        self._sent = {at: sent for at, sent in self._sent.items() if at >= oldest}
        self._sent[window] = outbox
        self.last_window = window
        self._stepped_s += time.perf_counter() - began_s
        return steps

    def _window_of(self, wake_s: float | None, now: int) -> int | None:
        if wake_s is None:
            return None
        return max(now + 1, steps_until(wake_s, self._window_s))

    def _recover(self) -> None:
        for text in self._journal.news():
            self._learn(read_back(text))
        past = self._journal.past()
        if past.checkpoint is not None:
            self._take_up(self._seal.open(past.checkpoint, _CHECKPOINT))
        reached = -1 if self.last_window is None else self.last_window
        asked = {
            at: calls_of(rows, self._window_s * at) for at, rows in self._journal.asked().items()
        }
        for window, mail in past.mail:
            for message in wire.mail_messages(mail):
                self._here[message.destination].mailbox.put(window, message)
            self._hear_calls(window, asked.pop(window, {}))
            self._step(window)
        for window, calls in asked.items():  # of windows that were taken back: they come again
            if window > reached:
                self._hear_calls(window, calls)
        self._journal.check_keys(self._key_changes(), self._seal)

    def _checkpoint(self) -> bytes:
        began_s = time.perf_counter()
        sealed = self._seal.close(self._state(), _CHECKPOINT)
        self._stepped_s, self._checkpoint_s = 0.0, time.perf_counter() - began_s
        return sealed

    def _state(self) -> bytes:
        buffer = io.BytesIO()
        pickler = _Pickler(buffer, self._told)
        pickler.dump((self._here, self._sent, self._post, self.last_window))
        return buffer.getvalue()

    def _take_up(self, state: bytes) -> None:
        unpickler = _Unpickler(io.BytesIO(state), self._told)
        self._here, self._sent, self._post, self.last_window = unpickler.load()


def _role_told(role: Role, event: WorldEvent) -> Role:
    """Return a role whose world has that event too."""
    worlds = {name: value for name, value in vars(role).items() if isinstance(value, EventAware)}
    return replace(role, **{name: value.with_event(event) for name, value in worlds.items()})  # type: ignore[type-var]


def _told(roles: Iterable[Role]) -> dict[str, object]:
    """Name what roles were told (worlds, configurations): a checkpoint refers to it by name."""
    return {
        f"{role.entity}.{name}": value
        for role in roles
        for name, value in vars(role).items()
        if is_dataclass(value)
    }


class _Pickler(pickle.Pickler):
    """Writes what roles were told by its name, and frequent values by their fields."""

    def __init__(self, buffer: io.BytesIO, told: Mapping[str, object]) -> None:
        super().__init__(buffer, protocol=pickle.HIGHEST_PROTOCOL)
        names = {id(value): name for name, value in told.items()}

        def by_name(item: object) -> Any:  # does not know the pickler, which so ends with its use
            name = names.get(id(item))
            if name is None:
                return item.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
            return _recall, (name,)

        kinds = {type(value) for value in told.values()}
        self.dispatch_table = {
            **copyreg.dispatch_table,
            **dict.fromkeys(kinds, by_name),
            **_BY_FIELDS,
        }


class _Unpickler(pickle.Unpickler):  # the seal tells that we wrote it
    def __init__(self, buffer: io.BytesIO, told: Mapping[str, object]) -> None:
        super().__init__(buffer)
        self._told = told

    def find_class(self, module: str, name: str) -> Any:
        is_recall = (module, name) == (_recall.__module__, _recall.__name__)
        return self._told.__getitem__ if is_recall else super().find_class(module, name)


def _recall(name: str) -> object:
    """Stand, in a checkpoint, for what roles were told."""
    raise KeyError(name)


def _by_fields(kind: type[Any]) -> Callable[[Any], Any]:
    """Return how a frozen value is written; what `dataclasses` does for slots is ten times as slow."""
    values = attrgetter(*(item.name for item in fields(kind)))
    return lambda item: (kind, values(item))


_BY_FIELDS: dict[type, Callable[[Any], Any]] = {
    kind: _by_fields(kind) for kind in (Message, Pdu, Relay, Confirm)
}
