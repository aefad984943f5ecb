"""Chains of trusted relays: spans, key forwarded hop by hop, and what it costs.

A relay forwards key under one-time pads: each delivered bit consumes one bit of key on every hop.
A chain is therefore as fast as its slowest hop, and each relay knows the key.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from emulator.input_checks import ParameterError, require_positive
from emulator.physics.bb84 import Bb84Setup, DecoyRate, vacuum_weak_rate
from emulator.physics.channel import fiber_transmittance, plob_bits_per_use


@dataclass(frozen=True)
class ChainSetup(Bb84Setup):
    """Decoy-BB84 spans of a fixed length, the last one shorter, a trusted relay between each two."""

    span_km: float = 80.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "span_km")


def span_count(length_km: float, span_km: float) -> int:
    """Return how many spans of at most `span_km` make up a link; at least one."""
    if not span_km > 0:
        raise ParameterError("span_km", f"must be positive, not {span_km}")
    # 1e-9: 0.1 * 3 km in spans of 0.1 km are three spans, not four
    return max(1, math.ceil(length_km / span_km - 1e-9))


def chain_bound_bits_per_use(transmittances: Iterable[float]) -> float:
    """Return the capacity of a chain: the PLOB bound of its worst span.

    Pirandola, Commun. Phys. 2, 51 (2019).
    """
    return min((plob_bits_per_use(eta) for eta in transmittances), default=0.0)


def chain_rate(setup: ChainSetup, length_km: float) -> tuple[DecoyRate, float]:
    """Return the rate of a chain, that of its longest span, and that span's transmittance."""
    longest_km = min(length_km, setup.span_km)
    eta = fiber_transmittance(longest_km, setup.attenuation_db_per_km, setup.insertion_loss_db)
    return vacuum_weak_rate(setup, eta), eta
