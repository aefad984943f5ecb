"""The requests that an entity has sent and not yet seen answered.

A request is sent again under the same request-id until its Response arrives; the receiver answers
a repeat as it answered before.  The caller's context comes back with the answer, once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from protos.core import Effects
from protos.pdu import Pdu

Context = TypeVar("Context")


@dataclass
class _Pending(Generic[Context]):
    destination: str
    pdu: Pdu
    context: Context
    retry_s: float
    since_s: float


class Exchange(Generic[Context]):
    """Request-ids, retries and contexts of one entity."""

    def __init__(self, retry_after_s: float) -> None:
        self._retry_after_s = retry_after_s
        self._last_id = 0
        self._pending: dict[int, _Pending[Context]] = {}

    def open(self, destination: str, pdu: Pdu, context: Context, now_s: float) -> Pdu:
        """Return the PDU to send, with the next request-id."""
        self._last_id += 1
        numbered = replace(pdu, request_id=self._last_id)
        retry_s = now_s + self._retry_after_s
        self._pending[self._last_id] = _Pending(destination, numbered, context, retry_s, now_s)
        return numbered

    def send(
        self, effects: Effects, destination: str, pdu: Pdu, context: Context, now_s: float
    ) -> None:
        """Send a request under the next request-id."""
        effects.send(destination, self.open(destination, pdu, context, now_s))

    def resend(self, effects: Effects, now_s: float) -> None:
        """Send again what has waited too long for its answer."""
        for destination, pdu in self.overdue(now_s):
            effects.send(destination, pdu)

    def close(self, source: str, response: Pdu) -> Context | None:
        """Return the context of the request that this answers; None for a repeat or a stranger."""
        pending = self._pending.get(response.request_id)
        if pending is None or pending.destination != source:
            return None
        del self._pending[response.request_id]
        return pending.context

    def overdue(self, now_s: float) -> list[tuple[str, Pdu]]:
        """Return what must be sent again now, as (destination, PDU)."""
        late = [item for item in self._pending.values() if item.retry_s <= now_s]
        for item in late:
            item.retry_s = now_s + self._retry_after_s
        return [(item.destination, item.pdu) for item in late]

    def unanswered_since(self) -> dict[str, float]:
        """Return who owes an answer, and since when."""
        found: dict[str, float] = {}
        for item in self._pending.values():
            found[item.destination] = min(item.since_s, found.get(item.destination, item.since_s))
        return found

    @property
    def is_open(self) -> bool:
        """Whether an answer is missing."""
        return bool(self._pending)

    @property
    def wake_s(self) -> float | None:
        """When the next retry is due; None when nothing is open."""
        return min((item.retry_s for item in self._pending.values()), default=None)
