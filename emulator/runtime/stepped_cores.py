"""Cores by name, stepped window by window, with the mail that waits for them.

Each message is read once, in an order that does not depend on how it came: by source, then by the source's
own number.  A core steps if it has mail or is due; one that is out does nothing, and what was sent to it is
lost.  What leaves in a window has met the faults of messages.  Nothing here knows transport, journals, or
what a message means.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from emulator.runtime.glances import Glance
from emulator.runtime.message_faults import MessageFaults, Post
from protos.core import Core, EntityOrder, Managed, Measure, Message, Step, Totals, steps_until
from protos.facts import Fact
from protos.key_changes import KeyChange

_REMEMBERED_WINDOWS = 64
_KEPT_WINDOWS = 2
_Position = tuple[str, int]


class Mailbox:
    """Messages by the window in which they will be read."""

    def __init__(self, order: EntityOrder) -> None:
        self._order = order
        self._waiting: dict[int, dict[_Position, Message]] = defaultdict(dict)
        self._read: set[_Position] = set()
        self._recent: deque[tuple[int, list[_Position]]] = deque()

    def has_mail(self, window: int) -> bool:
        """Return whether there is something to read in a window."""
        return window in self._waiting

    def put(self, window: int, message: Message) -> bool:
        """Keep a message until `window`; return whether it is new."""
        position = (message.source, message.sequence)
        waiting = self._waiting[window]
        is_new = position not in waiting and position not in self._read
        waiting[position] = message
        return is_new

    @property
    def next_window(self) -> int | None:
        """The first window in which there is something to read."""
        return min(self._waiting, default=None)

    def read(self, window: int) -> list[Message]:
        """Return what is to be read in a window, without repeats: by source, then sequence."""
        arrived = self._waiting.pop(window, {})
        if not arrived:
            return []
        key, read = self._order.key, self._read
        positions = [position for position in arrived if position not in read]
        positions.sort(key=lambda position: (key(position[0]), position[1]))
        self._remember(window, positions)
        return [arrived[position] for position in positions]

    def _remember(self, window: int, positions: list[_Position]) -> None:
        self._read.update(positions)
        self._recent.append((window, positions))
        while self._recent[0][0] <= window - _REMEMBERED_WINDOWS:
            self._read.difference_update(self._recent.popleft()[1])


@dataclass
class SteppedCore:
    """A core, what it has not read, when it wants to run, and when it last read or did anything."""

    core: Core
    mailbox: Mailbox
    wake_window: int | None = 0
    last_window: int = 0
    is_started: bool = False

    def is_idle(self, window: int) -> bool:
        """Return whether nothing is to be done in a window, unless faults or operators want it."""
        wake = self.wake_window
        is_due = wake is not None and wake <= window
        return self.is_started and not is_due and not self.mailbox.has_mail(window)


class SteppedCores:
    """See the module.  `cores` are stepped in the order in which they are given."""

    def __init__(
        self,
        cores: Mapping[str, Core],
        window_s: float,
        order: EntityOrder,
        message_faults: MessageFaults,
        first_window: int = 0,
    ) -> None:
        self._window_s = window_s
        self._message_faults, self._post = message_faults, Post()
        self._here = {
            name: SteppedCore(core, Mailbox(order), first_window) for name, core in cores.items()
        }
        self._sent: dict[int, list[Message]] = {}
        self.last_window: int | None = None

    @property
    def wake_window(self) -> int | None:
        """The window in which an entity here wants to run next."""
        wakes = [item.wake_window for item in self._here.values()]
        wakes += [self._post.wake_window]
        wakes += [self._message_faults.turn_after(self._here, self._last)]
        wakes += [self._message_faults.operations.after(self._here, self._last)]
        return min((wake for wake in wakes if wake is not None), default=None)

    @property
    def is_waiting(self) -> bool:
        """Whether an entity here, after faults, still waits for an answer, or is to come back."""
        if self._message_faults.is_idle:
            return False
        is_away = any(self._message_faults.is_away(entity, self._last) for entity in self._here)
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

    @property
    def next_mail(self) -> int | None:
        """The first window in which there is something to read."""
        waiting = (item.mailbox.next_window for item in self._here.values())
        return min((window for window in waiting if window is not None), default=None)

    def put(self, window: int, message: Message) -> bool:
        """Keep a message until `window`; return whether it is new.

        Raises `KeyError` for an unknown destination.
        """
        return self._here[message.destination].mailbox.put(window, message)

    def step(self, window: int) -> dict[str, Step]:
        """Run a window; return what each core that did anything wants written down."""
        steps: dict[str, Step] = {}
        outbox: list[Message] = []
        now_s, faults = window * self._window_s, self._message_faults
        are_undisturbed = faults.spares_entities
        for entity, hosted in self._here.items():
            if are_undisturbed and hosted.is_idle(window):
                continue
            inbox = [*faults.operations.due(entity, window), *hosted.mailbox.read(window)]
            if faults.is_out(entity, window):
                hosted.wake_window = None
                continue
            if not hosted.is_started or faults.is_back(entity, window):
                hosted.core.started(now_s)
                hosted.is_started, hosted.wake_window = True, window
            if inbox or (hosted.wake_window is not None and hosted.wake_window <= window):
                step = hosted.core.step(now_s, inbox)
                if inbox or step.outbox or step.facts or step.keys:
                    hosted.last_window = window
                hosted.wake_window = self._window_of(step.wake_s, window)
                steps[entity] = step
                outbox += step.outbox
        outbox = self._post.dispatch(window, outbox, faults)
        oldest = window - _KEPT_WINDOWS + 1
        self._sent = {at: sent for at, sent in self._sent.items() if at >= oldest}
        self._sent[window] = outbox
        self.last_window = window
        return steps

    def sent_in(self, window: int) -> list[Message]:
        """Return what was sent in a window, of the last two."""
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

    def left(self) -> dict[str, tuple[int, list[Fact]]]:
        """Return what each entity has left in hand, and its last window; nothing is stepped after it."""
        return {name: (item.last_window, item.core.close()) for name, item in self._here.items()}

    def key_changes(self) -> dict[str, list[KeyChange]]:
        """Return, by entity, the changes that rebuild its key stores from empty."""
        return {name: item.core.key_changes() for name, item in self._here.items()}

    def glance(self, entity: str) -> Glance | None:
        """Return what an entity shows after the last window; None if it is out.  Raises `KeyError`."""
        core, window = self._here[entity].core, max(self._last, 0)
        if self._message_faults.is_out(entity, window):
            return None
        rows = core.rows() if isinstance(core, Managed) else {}
        told = [(at, item) for at, item in self._post.told if item.source == entity]
        return Glance(window, window * self._window_s, rows, core.totals(), tuple(told))

    @property
    def _last(self) -> int:
        return -1 if self.last_window is None else self.last_window

    def _window_of(self, wake_s: float | None, now: int) -> int | None:
        if wake_s is None:
            return None
        return max(now + 1, steps_until(wake_s, self._window_s))
