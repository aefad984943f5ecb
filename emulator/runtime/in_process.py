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
from emulator.runtime.glances import Glances
from emulator.runtime.message_faults import MessageFaults
from emulator.runtime.pacing import DRAIN_LIMIT, Pace, Progress, take_injected
from emulator.runtime.role_cores import RoleCores
from emulator.runtime.stepped_cores import SteppedCores
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


class CoreNetwork:
    """Cores, and windows that are run only if somebody is due or has mail."""

    def __init__(self, cores: SteppedCores) -> None:
        self._cores = cores
        self.window = 0

    def due(self) -> int | None:
        """Return the next window in which somebody wants to run."""
        return self._cores.wake_window

    def next_window(self) -> int | None:
        """Return the next window that has to be run."""
        wanted = (self._cores.next_mail, self.due())
        return min((window for window in wanted if window is not None), default=None)

    def run_window(self, window: int) -> None:
        """Run a window, and deliver what was sent in it in the next."""
        self.window = window
        self._cores.step(window)
        for message in self._cores.sent_in(window):
            self._cores.put(window + 1, message)

    def drain(self) -> None:
        """Deliver what has been sent; what faults have kept from being answered is sent again."""
        for _ in range(DRAIN_LIMIT):
            if self._cores.next_mail is None and not self._cores.is_waiting:
                return
            following, wanted = self.window + 1, self.next_window()
            if wanted is not None and wanted <= following:
                self.run_window(following)
            self.window = following


class InProcessNetwork(CoreNetwork):
    """See the module.  One thread runs it; others may read `progress`, call `stop`, and ask `glances`."""

    def __init__(
        self,
        config: NetworkConfig,
        journal: BufferedJournal,
        injections: Injections,
        *,
        keep_mail: bool = True,
    ) -> None:
        self._roles = RoleCores(config.roles, config.window_s, config.order, config.message_faults)
        super().__init__(self._roles)
        self._config, self._journal, self._injections = config, journal, injections
        self._entities, self._known = config.entities, frozenset(config.entities)
        self._keys = config.management_keys
        self._keep_mail, self._mail = keep_mail, list[Message]()
        self._stopping, self._stirred = threading.Event(), threading.Event()
        self.glances = Glances(self._roles.glance, self._stirred)
        self._flushed_s = time.monotonic()
        self._began_s = self._asked_s = 0.0
        self._is_waiting = False

    @property
    def entities(self) -> list[str]:
        """All entities, in order."""
        return self._entities

    @property
    def progress(self) -> Progress:
        """The progress of the run."""
        return Progress(self.window, self._cores.totals, self._is_waiting)

    def stop(self) -> None:
        """End the run after the window that is under way."""
        self._stopping.set()
        self._stirred.set()

    def run(self, last_window: int, pace: Pace) -> None:
        """Run up to and including `last_window`, or until stopped; then let what is under way end."""
        self._began_s = time.monotonic()
        while not self._stopping.is_set():
            window = self.next_window()
            if window is None or window > last_window:
                break
            is_sooner = self._wait_until(window, pace)
            if self._stopping.is_set():
                break
            if is_sooner:
                continue
            self.glances.serve()
            if self._take_injected(window):
                continue  # somebody may want to run sooner now
            self.run_window(window)
        if not self._stopping.is_set():
            self.window = max(self.window, last_window)
        self.drain()

    def finish(self) -> None:
        """Write down what is left in hand, and close the journal."""
        also = self._keys.left(self._entities, self._cores.last_window)
        left = {
            name: (window, [*facts, *also.get(name, ())])
            for name, (window, facts) in self._cores.left().items()
        }
        self._journal.finish(left, self._cores.key_changes())
        self._journal.close()

    def due(self) -> int | None:
        """Return the next window in which somebody wants to run, or keys rotate."""
        wakes = (super().due(), self._keys.next_window(self._cores.last_window))
        return min((window for window in wakes if window is not None), default=None)

    def run_window(self, window: int) -> None:
        """Run a window, and write down what was read and noted in it.

        What is sent to somebody who does not exist is lost.
        """
        self.window = window
        also = self._keys.noted(self._entities, self._cores.last_window, window)
        steps = self._cores.step(window)
        read, sent = self._mail, self._cores.sent_in(window)
        self._mail = [message for message in sent if message.destination in self._known]
        for message in self._mail:
            self._cores.put(window + 1, message)
        text = _written(window - 1, read) if self._keep_mail else b""
        wrote = {message.destination for message in sent}
        self._journal.commit(window, _noted(steps, also), text, wake=self.due(), wrote=wrote)
        if time.monotonic() - self._flushed_s > _FLUSH_EVERY_S:
            self._flush()

    def _wait_until(self, window: int, pace: Pace) -> bool:
        """Wait for the time of a window; return whether an earlier one may be wanted meanwhile."""
        if pace.factor is None:
            return False
        is_sooner = False
        window_s = self._config.window_s / pace.factor
        self._flush()
        self._is_waiting = True
        while (ahead_s := self._began_s + window * window_s - time.monotonic()) > 0:
            self._stirred.wait(min(ahead_s, _LOOK_EVERY_S))
            self._stirred.clear()
            self.glances.serve()
            now = max(ceil((time.monotonic() - self._began_s) / window_s), self.window + 1)
            is_sooner = self._take_injected(min(window, now))
            if self._stopping.is_set() or is_sooner:
                break
        self._is_waiting = False
        return is_sooner

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
            self._roles.learn(event)
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
