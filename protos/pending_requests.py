"""PDUs that expect a Response: those of one entity that are unanswered, and those heard from others.

A PDU is sent again under the same request-id until its Response arrives; the receiver answers a repeat as
it answered before.  The sender's context comes back with the answer, once.  Each PDU tells the receiver
from which request-id on it may hear repeats, so that it can forget the others.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from protos.core import Effects
from protos.pdu import Pdu

Context = TypeVar("Context")


@dataclass
class _Pending(Generic[Context]):
    pdu: Pdu
    context: Context
    retry_s: float
    since_s: float


class PendingRequests(Generic[Context]):
    """Request-ids, retries and contexts of one entity."""

    def __init__(self, retry_after_s: float) -> None:
        self._retry_after_s = retry_after_s
        self._last_id = 0
        self._pending: dict[str, dict[int, _Pending[Context]]] = {}

    def open(self, destination: str, pdu: Pdu, context: Context, now_s: float) -> Pdu:
        """Return the PDU to send, with the next request-id."""
        self._last_id += 1
        pending = self._pending.setdefault(destination, {})
        oldest = next(iter(pending), self._last_id)
        numbered = replace(pdu, request_id=self._last_id, oldest_open=oldest)
        retry_s = now_s + self._retry_after_s
        pending[self._last_id] = _Pending(numbered, context, retry_s, now_s)
        return numbered

    def send(
        self, effects: Effects, destination: str, pdu: Pdu, context: Context, now_s: float
    ) -> None:
        """Send a PDU under the next request-id."""
        effects.send(destination, self.open(destination, pdu, context, now_s))

    def resend(self, effects: Effects, now_s: float) -> None:
        """Send again what has waited too long for its answer."""
        for destination, pdu in self.overdue(now_s):
            effects.send(destination, pdu)

    def close(self, source: str, response: Pdu) -> Context | None:
        """Return the context of the PDU that this answers; None for a repeat or an unknown answer."""
        pending = self._pending.get(source, {})
        answered = pending.pop(response.request_id, None)
        if answered is None:
            return None
        if not pending:
            del self._pending[source]
        return answered.context

    def overdue(self, now_s: float) -> list[tuple[str, Pdu]]:
        """Return what must be sent again now, as (destination, PDU)."""
        late: list[tuple[str, Pdu]] = []
        for destination, pending in self._pending.items():
            for item in pending.values():
                if item.retry_s <= now_s:
                    item.retry_s = now_s + self._retry_after_s
                    late.append((destination, item.pdu))
        return sorted(late, key=lambda item: item[1].request_id)

    def unanswered_since(self) -> dict[str, float]:
        """Return the agents that owe an answer, and since when."""
        return {name: next(iter(here.values())).since_s for name, here in self._pending.items()}

    @property
    def is_open(self) -> bool:
        """Whether an answer is missing."""
        return bool(self._pending)

    @property
    def wake_s(self) -> float | None:
        """When the next retry is due; None when nothing is open."""
        open_here = (item for here in self._pending.values() for item in here.values())
        return min((item.retry_s for item in open_here), default=None)


class HeardRequests:
    """The PDUs heard from others, for as long as they may come again."""

    def __init__(self) -> None:
        self._since: Counter[str] = Counter()
        self._ids: dict[str, set[int]] = {}

    def is_new(self, source: str, request: Pdu) -> bool:
        """Return whether a PDU is heard for the first time, and remember it."""
        ids, said = self._ids.setdefault(source, set()), request.request_id
        since = self._since[source] = max(self._since[source], min(request.oldest_open, said))
        if said in ids or said < since:
            return False
        ids.add(said)
        self._ids[source] = {number for number in ids if number >= since}
        return True

    def __len__(self) -> int:
        return sum(len(ids) for ids in self._ids.values())
