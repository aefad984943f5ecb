"""A whole network in one process: the cores of an experiment, windows, and no transport.

Messages are delivered in the next window, sorted as a host sorts them.  By `late` (a seeded fraction)
a message is delivered a window later than that; by `twice` it is delivered again, and no mailbox
recognises it; by `lost` it is not delivered.  From window `calm_from` on nothing of that happens any more.
A core can crash: it is then made again from its last checkpoint and the mail since.  It prints its seed.
"""

from __future__ import annotations

import math
import pickle
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from emulator.build.assembly import Assembly, assemble
from emulator.build.manager_role import actors_of
from emulator.build.setup import Setup
from emulator.runtime.hosted_cores import Mailbox
from emulator.runtime.message_faults import NO_FAULTS, MessageFaults, Post
from emulator.store import journal
from emulator.store.sealing import KEY_BYTES, Seal
from protos.core import BY_NAME, Core, EntityOrder, Message, steps_until
from protos.facts import Fact

_COPY = 10**9


@dataclass
class SimulatedNetwork:
    """Cores by name, and what is under way between them."""

    cores: dict[str, Core]
    window_s: float
    late: float = 0.0
    twice: float = 0.0
    seed: int = 0
    lost: float = 0.0
    calm_from: float = math.inf
    message_faults: MessageFaults = NO_FAULTS
    first_window: int = 0
    facts: dict[str, list[tuple[int, Fact]]] = field(default_factory=lambda: defaultdict(list))
    sent: list[Message] = field(default_factory=list)
    order: EntityOrder = BY_NAME
    window: int = field(default=0, init=False)
    _mail: dict[str, Mailbox] = field(default_factory=dict)
    _wake: dict[str, int | None] = field(default_factory=dict)
    _checkpoint: dict[str, bytes] = field(default_factory=dict)
    _read: dict[str, list[tuple[int, list[Message]]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def __post_init__(self) -> None:
        print(f"simulated network: seed {self.seed}, {self.late=}, {self.twice=}, {self.lost=}")
        self._chance = random.Random(self.seed)
        self._mail = defaultdict(lambda: Mailbox(self.order))
        self._wake = dict.fromkeys(self.cores, self.first_window)
        self.window = self.first_window
        self._posts = {name: Post() for name in self.cores}

    def run(self, last_window: int) -> None:
        """Run to the end, then deliver what is under way."""
        while (window := self._next()) is not None and window <= last_window:
            self._step(window)
        self.window = max(self.window, last_window)
        while self._next_mail() is not None or self._is_unsettled():
            self._step(self.window + 1)

    def fate(self, _message: Message) -> Sequence[int]:
        """Return after how many windows a message arrives; once for each copy."""
        if self._chance.random() < self.lost:
            return ()
        delay = 2 if self._chance.random() < self.late else 1
        return (delay, delay + 1) if self._chance.random() < self.twice else (delay,)

    def checkpoint(self, name: str) -> None:
        """Remember what a core is now."""
        self._checkpoint[name] = pickle.dumps(self.cores[name])
        self._read[name] = []

    def crash(self, name: str) -> None:
        """Have a core vanish and come back; what it sent in its last window it sends again."""
        held, outbox = self.cores[name].key_changes(), []
        core = self.cores[name] = pickle.loads(self._checkpoint[name])
        for window, inbox in self._read[name]:
            outbox = core.step(window * self.window_s, inbox).outbox
        assert core.key_changes() == held
        for message in outbox:
            self._mail[message.destination].put(self.window + 1, message)

    def close(self) -> None:
        """Have every core write down what it has left."""
        for name, core in self.cores.items():
            self.facts[name] += [(self.window, fact) for fact in core.close()]

    def write_journals(self, folder: Path) -> None:
        """Write what was noted as a run does."""
        (folder / journal.FOLDER).mkdir(parents=True)
        for name in self.cores:
            book = journal.Journal(folder, name, [name])
            by_window: dict[int, list[Fact]] = defaultdict(list)
            for window, fact in self.facts[name]:
                by_window[window].append(fact)
            for window, facts in by_window.items():
                book.commit(window, {name: facts})
            keys = book.key_rows({name: self.cores[name].key_changes()}, Seal(bytes(KEY_BYTES)))
            book.commit(self.window, {}, keys=keys)
            book.close()

    def all_facts(self) -> list[Fact]:
        """Return every fact of every entity."""
        return [fact for noted in self.facts.values() for _, fact in noted]

    def _is_unsettled(self) -> bool:
        waits = any(core.waits() for core in self.cores.values())
        waits = waits or any(post.held for post in self._posts.values())
        is_back_later = self.message_faults.back_after(self.cores, self.window) is not None
        return not self.message_faults.is_idle and (waits or is_back_later)

    def _next(self) -> int | None:
        due = [at for at in self._wake.values() if at is not None]
        due += [at for post in self._posts.values() if (at := post.wake_window) is not None]
        back = self.message_faults.back_after(self.cores, self.window)
        due += [] if back is None else [back]
        mail = self._next_mail()
        return min(due if mail is None else [*due, mail], default=None)

    def _next_mail(self) -> int | None:
        waiting = [box.next_window for box in self._mail.values()]
        return min((window for window in waiting if window is not None), default=None)

    def _step(self, window: int) -> None:
        self.window = window
        for name, core in self.cores.items():
            inbox = self._mail[name].read(window)
            leaves = self._posts[name].wake_window
            if self.message_faults.is_out(name, window):
                self._wake[name] = None
                if leaves is not None and leaves <= window:
                    self._send(name, window, [])
                continue
            if window == self.first_window or self.message_faults.is_back(name, window):
                core.started(window * self.window_s)
                self._wake[name] = window
            wake = self._wake[name]
            if inbox or (wake is not None and wake <= window):
                self._run_core(name, core, window, inbox)
            elif leaves is not None and leaves <= window:
                self._send(name, window, [])

    def _run_core(self, name: str, core: Core, window: int, inbox: list[Message]) -> None:
        step = core.step(window * self.window_s, inbox)
        self.facts[name] += [(window, fact) for fact in step.facts]
        self._wake[name] = (
            None
            if step.wake_s is None
            else max(window + 1, steps_until(step.wake_s, self.window_s))
        )
        if name in self._checkpoint:
            self._read[name].append((window, inbox))
        self._send(name, window, step.outbox)

    def _send(self, name: str, window: int, outbox: Sequence[Message]) -> None:
        for message in self._posts[name].dispatch(window, outbox, self.message_faults):
            self.sent.append(message)
            for copy, delay in enumerate([1] if window >= self.calm_from else self.fate(message)):
                again = replace(message, sequence=message.sequence + copy * _COPY)
                self._mail[message.destination].put(window + delay, again)


def simulate(  # noqa: PLR0917
    setup: Setup,
    late: float = 0.0,
    twice: float = 0.0,
    seed: int = 0,
    lost: float = 0.0,
    calm_periods: int = 0,
    first_window: int = 0,
) -> tuple[SimulatedNetwork, Assembly]:
    """Run an experiment to its end without processes; in the last periods messages come as they should."""
    experiment, assembly = setup.experiment, assemble(setup)
    roles = actors_of(experiment, assembly).everybody
    order = EntityOrder(assembly.problem.nodes)
    cores = {
        role.entity: role.build() for role in sorted(roles, key=lambda role: order.key(role.entity))
    }
    window_s, timeline = experiment.clock.window_s, assembly.timeline
    calm_from = timeline.begins_s(timeline.periods - calm_periods) / window_s
    last_window = math.ceil(assembly.timeline.end_s / window_s)
    schedule = assembly.world.schedule
    disturbed = MessageFaults(experiment.seed, window_s, last_window, schedule, order)
    network = SimulatedNetwork(
        cores,
        window_s,
        late,
        twice,
        seed,
        lost,
        calm_from,
        disturbed,
        first_window=first_window,
        order=order,
    )
    network.run(last_window)
    network.close()
    return network, assembly
