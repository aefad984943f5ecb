"""Reliable delivery of key traffic: retransmission and acknowledgement.

Key traffic relies on no message to arrive, to arrive once, or in order.  What must be heard is sent again
until it is known to have arrived.  The source of keys decides which an application gets, and which are
void.  It numbers its instructions to each target and retransmits them until they are acknowledged; the
target carries them out in order, and acknowledges the last one once per step.  So both ends give up the
same keys for the same reason, sooner or later.  Nothing here knows what an instruction means.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass

from protos.core import Effects
from protos.keys import Ack, Assigned, Delivered, Discard, KeyTraffic


@dataclass
class _Retransmitted:
    destination: str
    body: KeyTraffic
    again_s: float | None = None


class Retransmissions:
    """The messages of one key manager that wait for an effect."""

    def __init__(self, effects: Effects, retry_after_s: float) -> None:
        self._effects, self._retry_after_s = effects, retry_after_s
        self._waiting: dict[Hashable, _Retransmitted] = {}

    def say(self, name: Hashable, destination: str, body: KeyTraffic) -> None:
        """Send a message now, and again until it is stopped."""
        self._waiting[name] = _Retransmitted(destination, body)
        self._effects.send(destination, body)

    def stop(self, name: Hashable) -> None:
        """Stop sending a message."""
        self._waiting.pop(name, None)

    def resend(self, now_s: float) -> None:
        """Send again what was sent too long ago; to be called in every step, after all else."""
        for item in self._waiting.values():
            if item.again_s is not None and item.again_s <= now_s:
                self._effects.send(item.destination, item.body)
                item.again_s = None
            if item.again_s is None:
                item.again_s = now_s + self._retry_after_s

    @property
    def wake_s(self) -> float | None:
        """When something must be sent again; None: never."""
        times = (item.again_s for item in self._waiting.values())
        return min((at_s for at_s in times if at_s is not None), default=None)


Instruction = Delivered | Assigned | Discard


class Acknowledgements:
    """Numbered instructions at one node, as their source and as their target."""

    def __init__(self, effects: Effects, retransmissions: Retransmissions) -> None:
        self._effects, self._retransmissions = effects, retransmissions
        self._told: Counter[str] = Counter()
        self._acknowledged: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._ahead: dict[str, dict[int, Instruction]] = defaultdict(dict)
        self._to_answer: dict[str, None] = {}

    def tell(self, target: str, instruction: Instruction) -> None:
        """Have a target carry out an instruction."""
        self._told[target] += 1
        number = self._told[target]
        self._retransmissions.say((target, number), target, instruction._replace(number=number))

    def on_ack(self, target: str, ack: Ack) -> None:
        """Stop sending what a target has carried out."""
        last = min(ack.number, self._told[target])
        for number in range(self._acknowledged[target] + 1, last + 1):
            self._retransmissions.stop((target, number))
        self._acknowledged[target] = max(self._acknowledged[target], last)

    def accept(self, source: str, instruction: Instruction) -> list[Instruction]:
        """Return what to carry out now, in order; nothing for a repeat, or while one is missing."""
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
        """Acknowledge, to all sources of instructions in this step, what has been carried out."""
        for source in self._to_answer:
            self._effects.send(source, Ack(self._done[source]))
        self._to_answer = {}
