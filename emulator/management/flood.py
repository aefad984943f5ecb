"""How many messages are read: a sender that floods is not heard, and whoever asks at another port still is.

What is too much is dropped before anything of it is decoded, and counted.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from pysnmp.carrier.asyncio.dgram import udp

SENDER_PER_S, ALL_PER_S = 500.0, 2_000.0
"""More than one client that waits for its answers can ask, and less than would occupy the engine."""
_BURST_S = 2.0
_MOST_SENDERS = 4_096


class Allowance:
    """Tokens that come at a rate, of which as many may be saved as come in two seconds."""

    def __init__(self, per_s: float, now_s: float) -> None:
        self._per_s, self._now_s = per_s, now_s
        self._left = per_s * _BURST_S

    def takes(self, now_s: float) -> bool:
        """Return whether there is a token, and take it."""
        come = (now_s - self._now_s) * self._per_s
        self._left, self._now_s = min(self._left + come, self._per_s * _BURST_S), now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Pace:
    """An allowance for each sender, and one for all together."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._clock = now_s
        self._all = Allowance(ALL_PER_S, now_s())
        self._senders: OrderedDict[object, Allowance] = OrderedDict()
        self.dropped = 0

    def allows(self, sender: object) -> bool:
        """Return whether a message of a sender is to be read."""
        now_s = self._clock()
        own = self._senders.setdefault(sender, Allowance(SENDER_PER_S, now_s))
        self._senders.move_to_end(sender)
        if len(self._senders) > _MOST_SENDERS:
            self._senders.popitem(last=False)
        if own.takes(now_s) and self._all.takes(now_s):
            return True
        self.dropped += 1
        return False


class PacedTransport(udp.UdpTransport):  # type: ignore[misc]
    """UDP, less what is too much."""

    def __init__(self, *handed: Any, **named: Any) -> None:
        super().__init__(*handed, **named)
        self._pace = Pace()

    @property
    def dropped(self) -> int:
        """How many messages were not read."""
        return self._pace.dropped

    def datagram_received(self, datagram: bytes, transport_address: Any) -> None:
        """Hand a message on at once, or drop it."""
        if self._pace.allows(transport_address):
            self._callback_function(self, transport_address, datagram)
