"""A whole run in this process: the cores of all actors, window by window, and no transport.

Cores, worlds, schedules, faults and messages are those that hosts have, stepped in the same windows, which
are run only if somebody is due or has mail; every message is read in the window after it was sent, in the
order in which a host reads it.  So what is noted is, to the byte, what the processes of the same experiment
note.  Nothing is recovered: a run is a function of its experiment, and one that is lost is begun again.

Facts and mail go into one journal of all entities, of the format that hosts write.  There is no gRPC here,
no Ray, no process, no envelope and no certificate; process faults have nothing to strike.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from emulator.build.roles import Role
from emulator.runtime.envelopes import ManagementKeys
from emulator.runtime.message_faults import MessageFaults
from emulator.runtime.pacing import DRAIN_LIMIT, Pace, Progress, take_injected
from emulator.runtime.role_cores import RoleCores
from emulator.store.injection_table import Injections
from emulator.store.journal import BufferedJournal
from emulator.world.events import read_back
from protos import wire
from protos.core import EntityOrder, Message, Step, Timeline
from protos.facts import Fact
from protos.pdu import Pdu

ACTOR = "in-process"
"""The name of the one journal."""
_FLUSH_EVERY_S = 0.5
_LOOK_EVERY_S = 0.2
_ASK_EVERY_S = 0.02


@dataclass(frozen=True)
class NetworkConfig:
    """What all actors of a run are told."""

    roles: tuple[Role, ...]
    window_s: float
    timeline: Timeline
    management_keys: ManagementKeys
    order: EntityOrder
    message_faults: MessageFaults

    @property
    def entities(self) -> list[str]:
        """All entities, in order."""
        return self.order.sorted(role.entity for role in self.roles)


class InProcessNetwork:
    """See the module.  One thread runs it; others may read `progress` and call `stop`."""

    def __init__(
        self,
        config: NetworkConfig,
        journal: BufferedJournal,
        injections: Injections,
        *,
        keep_mail: bool = True,
    ) -> None:
        self._config, self._journal, self._injections = config, journal, injections
        self._cores = RoleCores(config.roles, config.window_s, config.order, config.message_faults)
        self._entities, self._known = config.entities, frozenset(config.entities)
        self._keys = config.management_keys
        self._keep_mail = keep_mail
        self._mail: dict[int, list[Message]] = {}
        self._stopping = threading.Event()
        self._flushed_s = time.monotonic()
        self._began_s = self._asked_s = 0.0
        self._is_waiting = False
        self.window = 0

    @property
    def progress(self) -> Progress:
        """The progress of the run."""
        return Progress(self.window, self._cores.totals, self._is_waiting)

    def stop(self) -> None:
        """End the run after the window that is under way."""
        self._stopping.set()

    def run(self, last_window: int, pace: Pace) -> None:
        """Run up to and including `last_window`, or until stopped; then let what is under way end."""
        self._began_s = time.monotonic()
        while not self._stopping.is_set():
            window = self._next_window()
            if window is None or window > last_window:
                break
            self._wait_until(window, pace)
            if self._stopping.is_set():
                break
            if self._take_injected(window):
                continue  # somebody may want to run sooner now
            self._run_window(window)
        if not self._stopping.is_set():
            self.window = max(self.window, last_window)
        self._drain()

    def finish(self) -> None:
        """Write down what is left in hand, and close the journal."""
        also = self._keys.left(self._entities, self._cores.last_window)
        left = {
            name: (window, [*facts, *also.get(name, ())])
            for name, (window, facts) in self._cores.left().items()
        }
        self._journal.finish(left, self._cores.key_changes())
        self._journal.close()

    def _next_window(self) -> int | None:
        if self._mail:
            return self.window + 1
        return self._due()

    def _due(self) -> int | None:
        """Return the next window in which somebody wants to run, or keys rotate."""
        wakes = (self._cores.wake_window, self._keys.next_window(self._cores.last_window))
        return min((window for window in wakes if window is not None), default=None)

    def _run_window(self, window: int) -> None:
        self.window = window
        mail = self._mail.pop(window, [])
        also = self._keys.noted(self._entities, self._cores.last_window, window)
        steps = self._cores.step(window)
        outbox = [
            message for message in self._cores.sent_in(window) if message.destination in self._known
        ]
        for message in outbox:
            self._cores.put(window + 1, message)
        if outbox:
            self._mail[window + 1] = outbox
        wrote = {message.destination for message in self._cores.sent_in(window)}
        text = _written(window - 1, mail) if self._keep_mail else b""
        self._journal.commit(window, _noted(steps, also), text, wake=self._due(), wrote=wrote)
        if time.monotonic() - self._flushed_s > _FLUSH_EVERY_S:
            self._flush()

    def _drain(self) -> None:
        """Deliver what has been sent; what faults have kept from being answered is sent again."""
        for _ in range(DRAIN_LIMIT):
            if not self._mail and not self._cores.is_waiting:
                return
            due = self._due()
            if self._mail or (due is not None and due <= self.window + 1):
                self._run_window(self.window + 1)
            else:
                self.window += 1

    def _wait_until(self, window: int, pace: Pace) -> None:
        if pace.factor is None:
            return
        window_s = self._config.window_s / pace.factor
        self._flush()
        self._is_waiting = True
        while (ahead_s := self._began_s + window * window_s - time.monotonic()) > 0:
            self._stopping.wait(min(ahead_s, _LOOK_EVERY_S))
            now = max(ceil((time.monotonic() - self._began_s) / window_s), self.window + 1)
            if self._stopping.is_set() or self._take_injected(min(window, now)):
                break
        self._is_waiting = False

    def _take_injected(self, window: int) -> bool:
        """Learn of injected faults from a window on; return whether there was any."""
        config, now_s = self._config, time.monotonic()
        if now_s - self._asked_s < _ASK_EVERY_S:
            return False
        self._asked_s = now_s
        taken = list(take_injected(self._injections, window, config.window_s, config.timeline))
        for item in (item for item in taken if item.event):
            event = read_back(item.event)
            self._journal.hear(item.event)
            self._cores.learn(event)
            self._keys = self._keys.with_event(event)
        return bool(taken)

    def _flush(self) -> None:
        self._journal.flush()
        self._flushed_s = time.monotonic()


def _noted(
    steps: Mapping[str, Step], also: Mapping[str, Sequence[Fact]]
) -> dict[str, Sequence[Fact]]:
    """Return what entities note in a window, of rotations of management keys first."""
    noted: dict[str, Sequence[Fact]] = {
        entity: [*also[entity], *step.facts] if entity in also else step.facts
        for entity, step in steps.items()
    }
    return noted | {entity: facts for entity, facts in also.items() if entity not in steps}


def _written(window: int, mail: Sequence[Message]) -> bytes:
    """Return what was sent in a window as the journal keeps it."""
    pdus = [message for message in mail if isinstance(message.body, Pdu)]
    traffic = [message for message in mail if not isinstance(message.body, Pdu)]
    batches: list[wire.Batch] = []
    if pdus:
        batches.append(wire.management_batch(window, pdus))
    if traffic:
        batches.append(wire.key_batch(window, traffic))
    return wire.mail(batches)
