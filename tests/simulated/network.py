"""The in-process engine with chance in it: messages that are late, doubled or lost, and cores that crash.

By `late` (a seeded fraction) a message is delivered a window later than it should be; by `twice` it is
delivered again, and no mailbox recognises it; by `lost` it is not delivered.  From window `calm_from` on
nothing of that happens any more.  A core can crash: it is then made again from its last checkpoint and the
mail since.  It prints its seed.
"""

from __future__ import annotations

import math
import pickle
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emulator.build.assembly import Assembly, assemble
from emulator.build.manager_role import actors_of
from emulator.build.setup import Setup
from emulator.runtime.in_process import CoreNetwork
from emulator.runtime.message_faults import NO_FAULTS, MessageFaults
from emulator.runtime.stepped_cores import SteppedCores
from emulator.store import journal
from emulator.store.sealing import KEY_BYTES, Seal
from protos.core import BY_NAME, Core, EntityOrder, Message, Step
from protos.facts import Fact

_COPY = 10**9


class SimulatedNetwork(CoreNetwork):
    """Cores by name, what they noted, and what they sent."""

    def __init__(  # noqa: PLR0917
        self,
        cores: Mapping[str, Core],
        window_s: float,
        late: float = 0.0,
        twice: float = 0.0,
        seed: int = 0,
        lost: float = 0.0,
        calm_from: float = math.inf,
        message_faults: MessageFaults = NO_FAULTS,
        first_window: int = 0,
        order: EntityOrder = BY_NAME,
    ) -> None:
        print(f"simulated network: {seed=}, {late=}, {twice=}, {lost=}")
        super().__init__(SteppedCores(cores, window_s, order, message_faults, first_window))
        self.window_s, self.order, self.message_faults = window_s, order, message_faults
        self.late, self.twice, self.lost, self.calm_from = late, twice, lost, calm_from
        self.window = first_window
        self.facts: dict[str, list[tuple[int, Fact]]] = defaultdict(list)
        self.sent: list[Message] = []
        self._chance = random.Random(seed)
        self._checkpoints: dict[str, bytes] = {}

    @property
    def cores(self) -> dict[str, Core]:
        """What has become of the cores."""
        return {name: item.core for name, item in self._cores._here.items()}

    def run(self, last_window: int) -> None:
        """Run to the end, then deliver what is under way."""
        while (window := self.next_window()) is not None and window <= last_window:
            self.run_window(window)
        self.window = max(self.window, last_window)
        self.drain()

    def run_window(self, window: int) -> None:
        """Run a window, and deliver what was sent in it as chance has it."""
        self.window = window
        for name, step in self._cores.step(window).items():
            self.facts[name] += [(window, fact) for fact in step.facts]
        for message in self._cores.sent_in(window):
            self.sent.append(message)
            for copy, delay in enumerate([1] if window >= self.calm_from else self.fate(message)):
                self.put(delay, message._replace(sequence=message.sequence + copy * _COPY))

    def fate(self, _message: Message) -> Sequence[int]:
        """Return after how many windows a message arrives; once for each copy."""
        if self._chance.random() < self.lost:
            return ()
        delay = 2 if self._chance.random() < self.late else 1
        return (delay, delay + 1) if self._chance.random() < self.twice else (delay,)

    def put(self, delay: int, message: Message) -> None:
        """Have a message arrive, so many windows from now."""
        self._cores.put(self.window + delay, message)

    def checkpoint(self, name: str) -> None:
        """Remember what a core is now, and what it reads from now on."""
        core = self.cores[name]
        plain = core.core if isinstance(core, _Recorded) else core
        self._checkpoints[name] = pickle.dumps(plain)
        self._cores._here[name].core = _Recorded(plain)

    def crash(self, name: str) -> None:
        """Have a core vanish and come back; what it sent in its last window it sends again."""
        lost, outbox = self.cores[name], []
        assert isinstance(lost, _Recorded)
        again = _Recorded(pickle.loads(self._checkpoints[name]))
        for now_s, inbox in lost.read:
            outbox = again.step(now_s, inbox).outbox
        assert again.key_changes() == lost.key_changes()
        self._cores._here[name].core = again
        for message in outbox:
            if message.destination in self.cores:
                self.put(1, message)

    def close(self) -> None:
        """Have every core write down what it has left."""
        for name, (_, facts) in self._cores.left().items():
            self.facts[name] += [(self.window, fact) for fact in facts]

    def write_journals(self, folder: Path) -> None:
        """Write what was noted as a run does."""
        (folder / journal.FOLDER).mkdir(parents=True)
        for name, core in self.cores.items():
            book = journal.Journal(folder, name, [name])
            by_window: dict[int, list[Fact]] = defaultdict(list)
            for window, fact in self.facts[name]:
                by_window[window].append(fact)
            for window, facts in by_window.items():
                book.commit(window, {name: facts})
            keys = book.key_rows({name: core.key_changes()}, Seal(bytes(KEY_BYTES)))
            book.commit(self.window, {}, keys=keys)
            book.close()

    def all_facts(self) -> list[Fact]:
        """Return every fact of every entity."""
        return [fact for noted in self.facts.values() for _, fact in noted]


class _Recorded:
    """A core that remembers what it has read."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.read: list[tuple[float, Sequence[Message]]] = []

    def step(self, now_s: float, inbox: Sequence[Message]) -> Step:
        """Have the core consume its inbox."""
        self.read.append((now_s, inbox))
        return self.core.step(now_s, inbox)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.core, name)


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
