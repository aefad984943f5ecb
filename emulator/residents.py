"""The cores at home on one host, and their past: they run window by window, and can be brought back.

Each window is committed before anybody hears of it.  What was sent is kept for two windows, because a
receiver that is lost in between needs it again.  Residents that are made anew with the journal of
others take up the last checkpoint and read their mail again; since cores are pure, they then are what the
others were, down to what they sent last; and if the keys that they then hold are not those that the
journal has, they do not come back.  A checkpoint is made as soon as making up for the windows since the
last would take longer than `checkpoint_after_s`, or ten times what a checkpoint takes.  Nothing here knows
transport, or what a message means.
"""

from __future__ import annotations

import io
import math
import pickle
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, is_dataclass

from emulator.journal import Journal
from emulator.mailbox import Mailbox
from emulator.roles import Role
from emulator.sealing import Seal
from protos import wire
from protos.core import Core, Measure, Message, Step, Totals
from protos.holdings import KeyChange

_CHECKPOINT = "checkpoint"
_KEPT_WINDOWS = 2
_CHECKPOINT_SHARE = 10


@dataclass
class _Resident:
    """A core, what it has not read, and when it wants to run."""

    core: Core
    mailbox: Mailbox = field(default_factory=Mailbox)
    wake_window: int | None = 0
    last_window: int = 0


class Residents:
    """See the module."""

    def __init__(
        self,
        roles: Sequence[Role],
        window_s: float,
        journal: Journal,
        seal: Seal,
        checkpoint_after_s: float,
    ) -> None:
        self._window_s, self._journal, self._seal = window_s, journal, seal
        self._checkpoint_after_s = checkpoint_after_s
        self._told = _told(roles)
        self._here = {
            role.entity: _Resident(role.build())
            for role in sorted(roles, key=lambda role: role.entity)
        }
        self._raw: dict[int, list[wire.Batch]] = defaultdict(list)
        self._sent: dict[int, list[Message]] = {}
        self._stepped_s = self._checkpoint_s = 0.0
        self.last_window: int | None = None
        self._recover()

    @property
    def wake_window(self) -> int | None:
        """The window in which somebody here wants to run next."""
        wakes = [item.wake_window for item in self._here.values()]
        return min((wake for wake in wakes if wake is not None), default=None)

    @property
    def mail_window(self) -> int | None:
        """The first window for which there is unread mail."""
        return min(self._raw, default=None)

    @property
    def totals(self) -> Totals:
        """Running totals of all cores here."""
        return sum((item.core.totals() for item in self._here.values()), Totals())

    def measures(self) -> Iterable[list[Measure]]:
        """Yield what observers may see of each core."""
        for resident in self._here.values():
            yield resident.core.measures()

    def take(self, batch: wire.Batch, messages: Sequence[Message]) -> int:
        """Keep what was sent in the batch's window for the next; return how much was here before.

        What has been read is dropped.  Raises `KeyError` for a stranger.
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

    def run(self, window: int) -> None:
        """Run a window, and commit it; one that has been run is left as it is."""
        if self.last_window is not None and window <= self.last_window:
            return
        mail = wire.mail(self._raw.pop(window, []))
        self._raw = defaultdict(list, {at: raw for at, raw in self._raw.items() if at > window})
        steps = self._step(window)
        enough_s = max(self._checkpoint_after_s, _CHECKPOINT_SHARE * self._checkpoint_s)
        checkpoint = self._checkpoint() if self._stepped_s > enough_s else None
        facts = {entity: step.facts for entity, step in steps.items()}
        changes = {entity: step.keys for entity, step in steps.items()}
        keys = self._journal.key_rows(changes, self._seal)
        self._journal.commit(window, facts, mail, checkpoint, keys)

    def sent_in(self, window: int) -> list[Message]:
        """Return what was sent in a window."""
        return self._sent.get(window, [])

    def sent_since(self, window: int, entities: Iterable[str]) -> list[tuple[int, list[Message]]]:
        """Return what was sent to some entities in a window or later, by window."""
        wanted = set(entities)
        return [
            (at, [message for message in sent if message.destination in wanted])
            for at, sent in sorted(self._sent.items())
            if at >= window
        ]

    def finish(self) -> None:
        """Write down what is left in hand, unless that has been done."""
        if not self._journal.finished:
            left = {
                name: (item.last_window, item.core.close()) for name, item in self._here.items()
            }
            self._journal.finish(left, self._holdings())

    def _holdings(self) -> dict[str, list[KeyChange]]:
        return {name: item.core.holdings() for name, item in self._here.items()}

    def _step(self, window: int) -> dict[str, Step]:
        began_s = time.perf_counter()
        steps: dict[str, Step] = {}
        outbox: list[Message] = []
        for entity, resident in self._here.items():
            inbox = resident.mailbox.read(window)
            if inbox or (resident.wake_window is not None and resident.wake_window <= window):
                step = resident.core.step(window * self._window_s, inbox)
                resident.last_window = window
                resident.wake_window = self._window_of(step.wake_s, window)
                steps[entity] = step
                outbox += step.outbox
        oldest = window - _KEPT_WINDOWS + 1
        self._sent = {at: sent for at, sent in self._sent.items() if at >= oldest}
        self._sent[window] = outbox
        self.last_window = window
        self._stepped_s += time.perf_counter() - began_s
        return steps

    def _window_of(self, wake_s: float | None, now: int) -> int | None:
        if wake_s is None:
            return None
        return max(now + 1, math.ceil(wake_s / self._window_s - 1e-9))

    def _recover(self) -> None:
        past = self._journal.past()
        if past.checkpoint is not None:
            self._restore(past.checkpoint)
        for window, mail in past.mail:
            for message in wire.mail_messages(mail):
                self._here[message.destination].mailbox.put(window, message)
            self._step(window)
        self._journal.check_keys(self._holdings(), self._seal)

    def _checkpoint(self) -> bytes:
        began_s = time.perf_counter()
        buffer = io.BytesIO()
        pickler = _Pickler(buffer, self._told)
        pickler.dump((self._here, self._sent, self.last_window))
        sealed = self._seal.close(buffer.getvalue(), _CHECKPOINT)
        self._stepped_s, self._checkpoint_s = 0.0, time.perf_counter() - began_s
        return sealed

    def _restore(self, checkpoint: bytes) -> None:
        state = self._seal.open(checkpoint, _CHECKPOINT)
        unpickler = _Unpickler(io.BytesIO(state), self._told)
        self._here, self._sent, self.last_window = unpickler.load()


def _told(roles: Iterable[Role]) -> dict[str, object]:
    """Name what roles were told (worlds, configurations): a checkpoint refers to it by name."""
    return {
        f"{role.entity}.{name}": value
        for role in roles
        for name, value in vars(role).items()
        if is_dataclass(value)
    }


class _Pickler(pickle.Pickler):
    def __init__(self, buffer: io.BytesIO, told: dict[str, object]) -> None:
        super().__init__(buffer, protocol=pickle.HIGHEST_PROTOCOL)
        self._names = {id(value): name for name, value in told.items()}

    def persistent_id(self, item: object) -> str | None:
        return self._names.get(id(item))


class _Unpickler(pickle.Unpickler):  # the seal tells that we wrote it
    def __init__(self, buffer: io.BytesIO, told: dict[str, object]) -> None:
        super().__init__(buffer)
        self._told = told

    def persistent_load(self, name: str) -> object:
        return self._told[name]
