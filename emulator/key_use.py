"""How an application uses its keys within a period: one after the other, each for its updating period.

Who needs d keys in a period of T seconds re-keys d times: every key is in use for T/d seconds, whatever the
cipher.  AES-256-GCM encrypts at most 64 GiB under one key; a one-time pad is as long as the data, so that
its key carries `unit_bits` of them.  While there is no key the encrypted link is down; keys that come late
bring it up again.  Nothing here knows where keys come from.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from pydantic import Field, model_validator

from emulator.section import Positive, Section

AES_KEY_BITS = 256
AES_MOST_BYTES = 64 * 2**30


class Cipher(StrEnum):
    """What keys are for."""

    AES_256_GCM = "aes-256-gcm"
    ONE_TIME_PAD = "one-time-pad"


class KeyUse(Section):
    """How the applications of one class use key."""

    cipher: Cipher = Cipher.AES_256_GCM
    data_bps: Positive | None = Field(
        None,
        description="data to encrypt while the link is up; a one-time pad's follows from its keys",
    )

    @model_validator(mode="after")
    def _possible(self) -> KeyUse:
        if self.cipher is Cipher.ONE_TIME_PAD and self.data_bps is not None:
            raise ValueError(
                "data_bps: leave it out; a one-time pad carries as many bits as its keys have"
            )
        return self

    def problem(self, unit_bits: int, period_s: float) -> str:
        """Return what forbids this use of keys of `unit_bits`, or nothing.

        A key may have to last for a whole period, when only one is needed in it.
        """
        if self.cipher is Cipher.ONE_TIME_PAD:
            return ""
        if unit_bits != AES_KEY_BITS:
            return f"aes-256-gcm takes keys of 256 bits, and keys.unit_bits is {unit_bits}"
        most_bps = 8 * AES_MOST_BYTES / period_s
        if self.data_bps is not None and self.data_bps > most_bps:
            return (
                f"a key may have to serve a whole period and encrypts at most 64 GiB, so data_bps must "
                f"be at most {most_bps:.6g}, not {self.data_bps:g}"
            )
        return ""

    def data_bits(self, served_units: int, up_s: float, unit_bits: int) -> float | None:
        """Return how much data a link carried; None if its rate is not given."""
        if self.cipher is Cipher.ONE_TIME_PAD:
            return float(served_units * unit_bits)
        return None if self.data_bps is None else self.data_bps * up_s


def down_s(arrivals: Iterable[tuple[float, int]], demanded_units: int, period_s: float) -> float:
    """Return for how long a link was down in a period.

    `arrivals` are (seconds since the period began, keys).  Who needs no key is never down.
    """
    if demanded_units == 0:
        return 0.0
    updating_s = period_s / demanded_units
    up_until_s = down = 0.0
    for at_s, units in sorted(arrivals):
        down += max(0.0, min(at_s, period_s) - up_until_s)
        up_until_s = max(up_until_s, at_s) + units * updating_s
    return down + max(0.0, period_s - up_until_s)
