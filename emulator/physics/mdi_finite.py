"""MDI-QKD with keys of finite length: what a block of a given size costs, not a full security proof.

Single-photon pairs fluctuate (Hoeffding), the test basis samples the phase error, and hashing takes its
toll, all with the terms of Lim et al., PRA 89, 022307 (2014).  Decoys are still taken as infinite, so the
rate is an upper bound on what Curty et al., Nat. Commun. 5, 3732 (2014), would certify.
"""

import math
from dataclasses import dataclass

from emulator.physics.bb84_finite import sampling_deviation
from emulator.physics.channel import binary_entropy, phase_entropy
from emulator.physics.mdi import MdiRate, MdiSetup, arm_efficiencies, gains, single_pairs
from emulator.physics.parameters import require_between, require_positive

_TERMS = 21  # failure terms that share eps_secrecy, as in Lim 2014
_LARGEST_KEY_SHARE = 1 - 1e-9  # some pairs must be left to test


@dataclass(frozen=True)
class FiniteMdiSetup(MdiSetup):
    """An MDI link with its block size; `sifting` is the share of pairs that both send for key."""

    block_bits: float = 1e8  # sifted bits in the key basis that are distilled together
    sifting: float = 0.64
    eps_secrecy: float = 1e-9
    eps_correctness: float = 1e-15

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "block_bits", "eps_secrecy", "eps_correctness")
        require_between(self, 0, 0.5, "eps_secrecy", "eps_correctness")
        require_between(self, 1e-6, _LARGEST_KEY_SHARE, "sifting")


def rate(setup: FiniteMdiSetup, length_km: float) -> MdiRate:
    """Return secret bits a pair of pulses for the block that the model expects."""
    eta_a, eta_b = arm_efficiencies(setup, length_km)
    seen = gains(setup, eta_a, eta_b)
    if seen.z_gain <= 0:
        return MdiRate(0.0, seen.z_qber)
    pairs = setup.block_bits / (setup.sifting * seen.z_gain)
    return MdiRate(key_bits(setup, pairs, eta_a, eta_b) / pairs, seen.z_qber)


def key_bits(setup: FiniteMdiSetup, pairs: float, eta_a: float, eta_b: float) -> float:
    """Return the secret bits of so many pairs of pulses; never negative."""
    seen = gains(setup, eta_a, eta_b)
    yield_, error = single_pairs(setup, eta_a, eta_b)
    both_single = setup.photons_a * setup.photons_b * math.exp(-setup.photons_a - setup.photons_b)
    log_inverse = math.log(_TERMS / setup.eps_secrecy)
    for_key, for_test = pairs * setup.sifting, pairs * (1 - math.sqrt(setup.sifting)) ** 2
    single = _at_least(for_key * both_single * yield_, for_key * seen.z_gain, log_inverse)
    tested = _at_least(for_test * both_single * yield_, for_test * seen.x_gain, log_inverse)
    if single <= 0 or tested <= 0:
        return 0.0
    phase_error = error + sampling_deviation(min(error, 0.5), tested, single, log_inverse)
    leaked = for_key * seen.z_gain * setup.ec_efficiency * binary_entropy(seen.z_qber)
    hashed = 6 * math.log2(_TERMS / setup.eps_secrecy) + math.log2(2 / setup.eps_correctness)
    return max(0.0, single * (1 - phase_entropy(phase_error)) - leaked - hashed)


def _at_least(expected: float, of: float, log_inverse: float) -> float:
    """Return what a share of so many counts is at least (Hoeffding)."""
    return expected - math.sqrt(of / 2 * log_inverse)
