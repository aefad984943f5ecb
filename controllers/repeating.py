"""What a key manager says again and again, until it has had its effect or has none any more.

Every message has a name, by which it is stopped; said under a name in use, a message replaces the other.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from protos.core import Effects
from protos.keys import KeyTraffic


@dataclass
class _Repeated:
    destination: str
    body: KeyTraffic
    again_s: float | None = None


class Repeats:
    """The messages of one key manager that wait for an effect."""

    def __init__(self, effects: Effects, retry_after_s: float) -> None:
        self._effects, self._retry_after_s = effects, retry_after_s
        self._waiting: dict[Hashable, _Repeated] = {}

    def say(self, name: Hashable, destination: str, body: KeyTraffic) -> None:
        """Send a message now, and again until it is stopped."""
        self._waiting[name] = _Repeated(destination, body)
        self._effects.send(destination, body)

    def stop(self, name: Hashable) -> None:
        """Say it no more."""
        self._waiting.pop(name, None)

    def resend(self, now_s: float) -> None:
        """Say again what was said too long ago; to be called in every step, after all else."""
        for item in self._waiting.values():
            if item.again_s is not None and item.again_s <= now_s:
                self._effects.send(item.destination, item.body)
                item.again_s = None
            if item.again_s is None:
                item.again_s = now_s + self._retry_after_s

    @property
    def wake_s(self) -> float | None:
        """When something must be said again; None: never."""
        times = (item.again_s for item in self._waiting.values())
        return min((at_s for at_s in times if at_s is not None), default=None)
