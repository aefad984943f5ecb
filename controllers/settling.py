"""What the source of keys has their target do: each once, in order, whatever is lost on the way.

Which keys an application gets, and which are void, is decided at their source.  It numbers what it tells
each peer and repeats it until the peer has settled it; the peer carries out number after number, and
answers with the last one that it has come to, once a step.  So both ends let go of the same keys for the
same reason, sooner or later.  Nothing here knows what an instruction means.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

from controllers.repeating import Repeats
from protos.core import Effects
from protos.keys import Delivered, Discard, Settled

Instruction = Delivered | Discard


class Settling:
    """Both sides of it at one node."""

    def __init__(self, effects: Effects, repeats: Repeats) -> None:
        self._effects, self._repeats = effects, repeats
        self._told: Counter[str] = Counter()
        self._settled: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._ahead: dict[str, dict[int, Instruction]] = defaultdict(dict)
        self._to_answer: dict[str, None] = {}

    def tell(self, target: str, instruction: Instruction) -> None:
        """Have a target carry out an instruction."""
        self._told[target] += 1
        number = self._told[target]
        self._repeats.say((target, number), target, replace(instruction, number=number))

    def on_settled(self, target: str, settled: Settled) -> None:
        """Repeat no more what a target has carried out."""
        last = min(settled.number, self._told[target])
        for number in range(self._settled[target] + 1, last + 1):
            self._repeats.stop((target, number))
        self._settled[target] = max(self._settled[target], last)

    def accept(self, source: str, instruction: Instruction) -> list[Instruction]:
        """Return what is to be carried out now, in order; nothing for a repeat, or if one is missing."""
        self._to_answer[source] = None
        ahead = self._ahead[source]
        if instruction.number > self._done[source]:
            ahead[instruction.number] = instruction
        ready: list[Instruction] = []
        while (following := ahead.pop(self._done[source] + 1, None)) is not None:
            self._done[source] += 1
            ready.append(following)
        return ready

    def answer(self) -> None:
        """Tell whoever gave instructions in this step how far they have been carried out."""
        for source in self._to_answer:
            self._effects.send(source, Settled(self._done[source]))
        self._to_answer = {}
