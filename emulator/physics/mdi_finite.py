"""MDI-QKD with two decoys and keys of finite length.

Each side sends one of three intensities: a signal, a weak decoy and (nearly) nothing.  Key comes from
pairs of signals in the Z basis; pairs of all intensities in Z bound how many of these were pairs of single
photons, and those in X how wrong they are.  The bounds are analytic, as in Xu, Curty, Qi, Lo, NJP 15,
113007 (2013), here for arms that differ.  Counts fluctuate by the multiplicative Chernoff bound, as Curty
et al., Nat. Commun. 5, 3732 (2014), introduced it for MDI; the test samples the phase error, and hashing
takes its toll, with the terms of Lim et al., PRA 89, 022307 (2014), whose sampling bound is approximate.
A block holds what the model of `mdi` expects.  Intensities are not optimized here.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

from emulator.input_checks import ParameterError, require_between, require_positive
from emulator.physics.bb84_finite import sampling_deviation
from emulator.physics.channel import binary_entropy, phase_entropy
from emulator.physics.mdi import MdiGains, MdiRate, MdiSetup, arm_efficiencies, gains

_COUNTS = 7 + 7 + 4  # that are bounded from both sides: gains in Z and in X, errors in X
_TERMS = 2 * _COUNTS + 3  # failure terms that share eps_secrecy
_LARGEST_KEY_SHARE = 1 - 1e-9  # some pairs must be left to test
_SIGNAL, _DECOY, _DARK = range(3)
_Pair = tuple[int, int]
_Bounds = Mapping[_Pair, tuple[float, float]]


@dataclass(frozen=True)
class FiniteMdiSetup(MdiSetup):
    """An MDI link with its decoys and block size; `photons_a` and `photons_b` are those of signals.

    Decoys have the same share of the signal on both sides.  `sifting` is the share of pairs that both
    send in the key basis, whatever their intensities.
    """

    block_bits: float = 1e8  # sifted bits of signals in the key basis that are distilled together
    sifting: float = 0.42
    decoy_share: float = 0.2  # of the photons of a signal
    vacuum_share: float = 1e-3
    signal_fraction: float = 0.63  # of the pulses of each side
    decoy_fraction: float = 0.25
    eps_secrecy: float = 1e-9
    eps_correctness: float = 1e-15

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "block_bits", "eps_secrecy", "eps_correctness")
        require_positive(self, "signal_fraction", "decoy_fraction")
        require_between(self, 0, 0.5, "eps_secrecy", "eps_correctness")
        require_between(self, 1e-6, _LARGEST_KEY_SHARE, "sifting")
        require_between(self, 1e-4, 0.99, "decoy_share")
        require_between(self, 0, 0.99 * self.decoy_share, "vacuum_share")
        if self.signal_fraction + self.decoy_fraction >= 1:
            raise ParameterError("decoy_fraction", "must leave pulses for all three intensities")

    @property
    def shares(self) -> tuple[float, float, float]:
        """The intensities, as shares of the signal's, strongest first."""
        return 1.0, self.decoy_share, self.vacuum_share

    @property
    def fractions(self) -> tuple[float, float, float]:
        """How many of its pulses a side sends at each intensity."""
        return (
            self.signal_fraction,
            self.decoy_fraction,
            1 - self.signal_fraction - self.decoy_fraction,
        )


@dataclass(frozen=True)
class SinglePairs:
    """What decoys tell of pairs of single photons: a least yield and a largest X-basis error."""

    z_yield: float
    x_yield: float
    x_error: float


def rate(setup: FiniteMdiSetup, length_km: float) -> MdiRate:
    """Return secret bits per pair of pulses for the block that the model expects."""
    eta_a, eta_b = arm_efficiencies(setup, length_km)
    seen = gains(setup, eta_a, eta_b)
    if seen.z_gain <= 0:
        return MdiRate(0.0, seen.z_qber)
    pairs = setup.block_bits / sifted_gain(setup, eta_a, eta_b)
    return MdiRate(key_bits(setup, pairs, eta_a, eta_b) / pairs, seen.z_qber)


def key_bits(setup: FiniteMdiSetup, pairs: float, eta_a: float, eta_b: float) -> float:
    """Return the secret bits of that many pairs of pulses; never negative."""
    log_inverse = math.log(_TERMS / setup.eps_secrecy)
    key_share, test_share = setup.sifting, (1 - math.sqrt(setup.sifting)) ** 2
    table = expected_gains(setup, eta_a, eta_b)

    def within(gain: float, sent: float) -> tuple[float, float]:
        least, most = expectation_bounds(gain * sent, log_inverse)
        return least / sent, most / sent

    bounds = single_pairs_bounds(setup, table, within, pairs * key_share, pairs * test_share)
    for_key = pairs * key_share * setup.signal_fraction**2
    for_test = pairs * test_share * setup.signal_fraction**2
    single = least_count(for_key * _both_single(setup) * bounds.z_yield, log_inverse)
    tested = least_count(for_test * _both_single(setup) * bounds.x_yield, log_inverse)
    if single <= 0 or tested <= 0:
        return 0.0
    error = bounds.x_error
    if error < 0.5:
        error += sampling_deviation(error, tested, single, log_inverse)
    seen = table[_SIGNAL, _SIGNAL]
    leaked = for_key * seen.z_gain * setup.ec_efficiency * binary_entropy(seen.z_qber)
    hashed = 6 * math.log2(_TERMS / setup.eps_secrecy) + math.log2(2 / setup.eps_correctness)
    return max(0.0, single * (1 - phase_entropy(error)) - leaked - hashed)


def sifted_gain(setup: FiniteMdiSetup, eta_a: float, eta_b: float) -> float:
    """Return sifted bits per pair of pulses: both sent a signal for key, and the relay saw it."""
    return setup.sifting * setup.signal_fraction**2 * gains(setup, eta_a, eta_b).z_gain


def expected_gains(setup: FiniteMdiSetup, eta_a: float, eta_b: float) -> dict[_Pair, MdiGains]:
    """Return what the model expects for each pair of intensities."""
    return {
        (i, j): _gains_of(setup, setup.shares[i], setup.shares[j], eta_a, eta_b)
        for i, j in product(range(3), repeat=2)
    }


def expectation_bounds(count: float, log_inverse: float) -> tuple[float, float]:
    """Return what a mean is at least and at most when so much was counted (Chernoff, inverted).

    Each fails with a chance of exp(-log_inverse): from P[X <= (1 - d) m] <= exp(-m d^2 / 2) and
    P[X >= (1 + d) m] <= exp(-m d^2 / (2 + d)).
    """
    most = count + log_inverse + math.sqrt(log_inverse**2 + 2 * log_inverse * count)
    above = math.sqrt(log_inverse**2 / 4 + 2 * log_inverse * count) - log_inverse / 2
    return max(0.0, count - above), most


def least_count(mean: float, log_inverse: float) -> float:
    """Return what is counted at least when so much is expected (Chernoff)."""
    return mean - math.sqrt(2 * mean * log_inverse) if mean > 0 else 0.0


def single_pairs_bounds(
    setup: FiniteMdiSetup,
    table: Mapping[_Pair, MdiGains],
    within: Callable[[float, float], tuple[float, float]] = lambda gain, _: (gain, gain),
    z_pairs: float = 1.0,
    x_pairs: float = 1.0,
) -> SinglePairs:
    """Return what all gains together tell.

    `within` returns the bounds of a gain, given the number of pairs sent; by default it is known exactly.
    """

    def bounded(
        pairs: float, value: Callable[[MdiGains], float]
    ) -> dict[_Pair, tuple[float, float]]:
        sent = {(i, j): pairs * setup.fractions[i] * setup.fractions[j] for i, j in table}
        return {pair: within(value(seen), sent[pair]) for pair, seen in table.items()}

    z_yield = _least_yield(setup, bounded(z_pairs, lambda seen: seen.z_gain))
    x_yield = _least_yield(setup, bounded(x_pairs, lambda seen: seen.x_gain))
    wrong = bounded(x_pairs, lambda seen: seen.x_gain * seen.x_qber)
    _, most_wrong = _beyond_vacuum(setup, wrong, _DECOY)
    step = _step(setup, setup.photons_a) * _step(setup, setup.photons_b)
    x_error = min(0.5, max(0.0, most_wrong) / (step * x_yield)) if x_yield > 0 else 0.5
    return SinglePairs(z_yield, x_yield, x_error)


def _least_yield(setup: FiniteMdiSetup, gain: _Bounds) -> float:
    """Return what pairs of single photons yield at least.

    With the part of vacuum taken away, a pair of intensities (a, b) shows the sum over n, m >= 1 of
    (a^n - w_a^n)(b^m - w_b^m) Y_nm / n! m!.  From signals to decoys no term but the first shrinks by
    less than `ratio`, so that `ratio` times the decoys' sum, less the signals', leaves nothing positive
    but Y_11.
    """
    low_decoy, _ = _beyond_vacuum(setup, gain, _DECOY)
    _, high_signal = _beyond_vacuum(setup, gain, _SIGNAL)
    decoy, dark = setup.decoy_share, setup.vacuum_share
    first = (1 - dark) / (decoy - dark)
    ratio = first * first * (1 + dark) / (decoy + dark)
    weight = (ratio - first**2) * _step(setup, setup.photons_a) * _step(setup, setup.photons_b)
    return min(1.0, max(0.0, (ratio * low_decoy - high_signal) / weight))


def _beyond_vacuum(setup: FiniteMdiSetup, gain: _Bounds, level: int) -> tuple[float, float]:
    """Return least and most of a gain at one level on both sides, without what vacuum shows.

    Gains are weighed by exp(a + b), which turns them into power series of the intensities.
    """

    def weighed(i: int, j: int) -> tuple[float, float]:
        photons = setup.photons_a * setup.shares[i] + setup.photons_b * setup.shares[j]
        low, high = gain[i, j]
        return low * math.exp(photons), high * math.exp(photons)

    both, none = weighed(level, level), weighed(_DARK, _DARK)
    a_only, b_only = weighed(level, _DARK), weighed(_DARK, level)
    return (
        both[0] + none[0] - a_only[1] - b_only[1],
        both[1] + none[1] - a_only[0] - b_only[0],
    )


def _step(setup: FiniteMdiSetup, photons: float) -> float:
    """Return by how much decoys are brighter than vacuum, on one side."""
    return photons * (setup.decoy_share - setup.vacuum_share)


def _both_single(setup: FiniteMdiSetup) -> float:
    """Return the chance that two signals hold one photon each."""
    return setup.photons_a * setup.photons_b * math.exp(-setup.photons_a - setup.photons_b)


def _gains_of(
    setup: FiniteMdiSetup, share_a: float, share_b: float, eta_a: float, eta_b: float
) -> MdiGains:
    """Return the gains at other intensities: a source dimmed so much is one behind so much loss."""
    return gains(setup, share_a * eta_a, share_b * eta_b)
