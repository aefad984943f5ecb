"""The applications section of an experiment file: what keys are for, by class of request.

A key may be longer than a unit.  AES-256-GCM takes keys of 256 bits and encrypts at most 64 GiB under
each; a one-time pad is as long as the data, so it carries as many bits as its keys have.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from emulator.config.section import Section

AES_KEY_BITS = 256
AES_MOST_BYTES = 64 * 2**30


class Cipher(StrEnum):
    """What keys are for."""

    AES_256_GCM = "aes-256-gcm"
    ONE_TIME_PAD = "one-time-pad"


class KeyUse(Section):
    """How the applications of one class use key."""

    cipher: Cipher = Cipher.AES_256_GCM
    key_bits: int | None = Field(
        None,
        ge=8,
        le=2**40,
        description="of one application key, whole units; the default is keys.unit_bits",
    )
    data_bps: float | None = Field(
        None,
        ge=1e-3,
        le=1e15,
        description="data to encrypt while the link is up; a one-time pad's follows from its keys",
    )

    @model_validator(mode="after")
    def _possible(self) -> KeyUse:
        if self.cipher is Cipher.ONE_TIME_PAD and self.data_bps is not None:
            raise ValueError(
                "data_bps: leave it out; a one-time pad carries as many bits as its keys have"
            )
        return self

    def units_per_key(self, unit_bits: int) -> int:
        """Return how many units an application key is made of."""
        return (self.key_bits or unit_bits) // unit_bits

    def problem(self, unit_bits: int, period_s: float) -> str:
        """Return what forbids this use of keys of `unit_bits`, or nothing.

        A key may have to last for a whole period, when only one is needed in it.
        """
        key_bits = self.key_bits or unit_bits
        if key_bits % unit_bits:
            return f"key_bits must be a multiple of keys.unit_bits, {unit_bits}, not {key_bits}"
        if self.cipher is Cipher.ONE_TIME_PAD:
            return ""
        if key_bits != AES_KEY_BITS:
            return (
                f"aes-256-gcm takes keys of 256 bits, not {key_bits}; see key_bits, keys.unit_bits"
            )
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
