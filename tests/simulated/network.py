"""A whole network in one process: the cores of an experiment, windows, and no transport.

Messages are delivered in the next window, sorted as a host sorts them.  By `late` (a seeded fraction)
a message is delivered a window later than that; by `twice` it is delivered again.  It prints its seed.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from emulator import journal
from emulator.assembly import Assembly, assemble
from emulator.cast import cast_of
from emulator.config import Experiment
from emulator.mailbox import Mailbox
from emulator.topology import Topology
from protos.core import Core, Fact, Message


@dataclass
class SimulatedNetwork:
    """Cores by name, and what is under way between them."""

    cores: dict[str, Core]
    window_s: float
    late: float = 0.0
    twice: float = 0.0
    seed: int = 0
    window: int = 0
    facts: dict[str, list[tuple[int, Fact]]] = field(default_factory=lambda: defaultdict(list))
    sent: list[Message] = field(default_factory=list)
    _mail: dict[str, Mailbox] = field(default_factory=lambda: defaultdict(Mailbox))
    _wake: dict[str, int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        print(f"simulated network: seed {self.seed}, late {self.late}, twice {self.twice}")
        self._luck = random.Random(self.seed)
        self._wake = dict.fromkeys(self.cores, 0)

    def run(self, last_window: int) -> None:
        """Run to the end, then deliver what is under way."""
        while (window := self._next()) is not None and window <= last_window:
            self._step(window)
        while (window := self._next_mail()) is not None:
            self._step(window)

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
            book.close()

    def all_facts(self) -> list[Fact]:
        """Return every fact of every entity."""
        return [fact for noted in self.facts.values() for _, fact in noted]

    def _next(self) -> int | None:
        due = [at for at in self._wake.values() if at is not None]
        mail = self._next_mail()
        return min(due if mail is None else [*due, mail], default=None)

    def _next_mail(self) -> int | None:
        waiting = [box.next_window for box in self._mail.values()]
        return min((window for window in waiting if window is not None), default=None)

    def _step(self, window: int) -> None:
        self.window = window
        for name, core in self.cores.items():
            inbox, wake = self._mail[name].read(window), self._wake[name]
            if inbox or (wake is not None and wake <= window):
                self._run_core(name, core, window, inbox)

    def _run_core(self, name: str, core: Core, window: int, inbox: list[Message]) -> None:
        step = core.step(window * self.window_s, inbox)
        self.facts[name] += [(window, fact) for fact in step.facts]
        self._wake[name] = (
            None
            if step.wake_s is None
            else max(window + 1, math.ceil(step.wake_s / self.window_s - 1e-9))
        )
        for message in step.outbox:
            self.sent.append(message)
            delay = 2 if self._luck.random() < self.late else 1
            self._mail[message.destination].put(window + delay, message)
            if self._luck.random() < self.twice:
                self._mail[message.destination].put(window + delay + 1, message)


def simulate(
    experiment: Experiment, topology: Topology, late: float = 0.0, twice: float = 0.0, seed: int = 0
) -> tuple[SimulatedNetwork, Assembly]:
    """Run an experiment to its end without processes."""
    assembly = assemble(experiment, topology)
    roles = cast_of(experiment, assembly).everybody
    cores = {role.entity: role.build() for role in sorted(roles, key=lambda role: role.entity)}
    network = SimulatedNetwork(cores, experiment.clock.window_s, late, twice, seed)
    network.run(math.ceil(assembly.timeline.end_s / experiment.clock.window_s))
    network.close()
    return network, assembly
