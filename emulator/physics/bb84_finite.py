"""Decoy BB84 with keys of finite length: what a block of clicks is worth.

Two decoys: Lim, Curty, Walenta, Xu, Zbinden, PRA 89, 022307 (2014).  One decoy: Rusca, Boaron,
Grunenfelder, Martin, Zbinden, APL 112, 171104 (2018); Wiesemann et al., arXiv:2405.16578, bound the same
counts in the same way, but share the failure probability otherwise.
Key comes from one basis, all intensities; the other basis tests.  Fluctuations are bounded by Hoeffding,
the phase error by random sampling without replacement; Tupkary et al., arXiv:2502.10340, find that last
step of Lim 2014 approximate rather than a strict bound.  A block may be of any origin: counted, or
expected from a model.
"""

import math
from dataclasses import dataclass

from emulator.input_checks import ParameterError, require_between, require_positive
from emulator.physics.bb84 import Bb84Setup, DecoyRate, clicks, live_fraction
from emulator.physics.channel import binary_entropy, phase_entropy

Intensities = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean photon numbers, the strongest first, and the share of pulses that is sent with each."""

_TERMS_TWO_DECOYS = 21  # failure terms that share eps_secrecy (Lim 2014, supplement)
_TERMS_ONE_DECOY = 19  # the same for one decoy (Rusca 2018, appendix)


@dataclass(frozen=True)
class FiniteSetup(Bb84Setup):
    """A decoy-BB84 link with its block size; `sifting` is the square of the key-basis choice."""

    block_bits: float = 1e7  # sifted bits in the key basis that are distilled together
    eps_secrecy: float = 1e-9
    eps_correctness: float = 1e-15

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "block_bits", "eps_secrecy", "eps_correctness")
        require_between(self, 0, 0.5, "eps_secrecy", "eps_correctness")
        require_between(self, 1e-6, 1, "sifting")
        if self.signal_fraction >= 1:
            raise ParameterError("signal_fraction", "must be below 1: finite keys count decoys too")


@dataclass(frozen=True)
class BasisCounts:
    """Sifted clicks in one basis and the wrong ones among them, by intensity."""

    clicks: tuple[float, ...]
    errors: tuple[float, ...]


@dataclass(frozen=True)
class FiniteBlock:
    """What was sifted while one key grew: intensities are in order, the strongest first."""

    photons: tuple[float, ...]
    fractions: tuple[float, ...]  # of pulses sent at that intensity
    key: BasisCounts
    test: BasisCounts

    def photon_fraction(self, photons: int) -> float:
        """Return tau_n, the probability that a pulse holds n photons."""
        return sum(
            p * math.exp(-mu) * mu**photons / math.factorial(photons)
            for p, mu in zip(self.fractions, self.photons, strict=True)
        )


def two_decoy_rate(setup: FiniteSetup, transmittance: float) -> DecoyRate:
    """Return the finite-key rate with two decoys, for the block a model expects."""
    photons, fractions = two_decoys(setup)
    if min(fractions) <= 0:
        raise ParameterError("decoy_fraction", "must leave pulses for all three intensities")
    return _rate(setup, transmittance, photons, fractions)


def one_decoy_rate(setup: FiniteSetup, transmittance: float) -> DecoyRate:
    """Return the finite-key rate with one decoy; every pulse is signal or decoy."""
    return _rate(setup, transmittance, *one_decoy(setup))


def key_bits(
    block: FiniteBlock, ec_efficiency: float, eps_secrecy: float, eps_correctness: float
) -> float:
    """Return the secret bits of a block of two or three intensities; never negative.

    l = s0 + s1 [1 - h(phi)] - f n h(E) - 6 log2(terms / eps_sec) - log2(2 / eps_cor):
    Lim 2014, eq. 1; Rusca 2018, eq. 1.
    """
    three = len(block.photons) == 3
    terms = _TERMS_TWO_DECOYS if three else _TERMS_ONE_DECOY
    log_inverse = math.log(terms / eps_secrecy)
    bounds = _two_decoy_singles if three else _one_decoy_singles
    vacuum, single = bounds(block, block.key, log_inverse)
    _, single_test = bounds(block, block.test, log_inverse)
    if single <= 0 or single_test <= 0:
        return 0.0
    phase_error = _phase_error(block, single, single_test, log_inverse)
    sifted = sum(block.key.clicks)
    qber = sum(block.key.errors) / sifted
    leaked = ec_efficiency * sifted * binary_entropy(qber)
    hashed = 6 * math.log2(terms / eps_secrecy) + math.log2(2 / eps_correctness)
    return max(0.0, vacuum + single * (1 - phase_entropy(phase_error)) - leaked - hashed)


def expected_block(
    setup: FiniteSetup,
    transmittance: float,
    photons: tuple[float, ...],
    fractions: tuple[float, ...],
) -> FiniteBlock:
    """Return the block that the model expects once `block_bits` have been sifted."""
    seen = [clicks(setup, transmittance, mu) for mu in photons]
    weights = [p * click.gain for p, click in zip(fractions, seen, strict=True)]
    total = sum(weights)
    key = tuple(setup.block_bits * weight / total for weight in weights)
    errors = tuple(count * click.qber for count, click in zip(key, seen, strict=True))
    ratio = _test_to_key(setup)
    test = BasisCounts(tuple(ratio * n for n in key), tuple(ratio * m for m in errors))
    return FiniteBlock(photons, fractions, BasisCounts(key, errors), test)


def _rate(
    setup: FiniteSetup,
    transmittance: float,
    photons: tuple[float, ...],
    fractions: tuple[float, ...],
) -> DecoyRate:
    signal = clicks(setup, transmittance, setup.signal_photons)
    gain = _gain(setup, transmittance, photons, fractions)
    if gain <= 0 or _test_to_key(setup) <= 0:
        return DecoyRate(0.0, signal.qber)
    block = expected_block(setup, transmittance, photons, fractions)
    bits = key_bits(block, setup.ec_efficiency, setup.eps_secrecy, setup.eps_correctness)
    sifted = sifted_gain(setup, transmittance, (photons, fractions))
    return DecoyRate(bits / setup.block_bits * sifted, signal.qber)


def two_decoys(setup: FiniteSetup) -> Intensities:
    """Return signal, decoy and weakest pulses, and the shares in which they are sent."""
    rest = 1 - setup.signal_fraction - setup.decoy_fraction
    photons = (setup.signal_photons, setup.decoy_photons, setup.vacuum_photons)
    return photons, (setup.signal_fraction, setup.decoy_fraction, rest)


def one_decoy(setup: FiniteSetup) -> Intensities:
    """Return signals and decoys; every pulse is one or the other."""
    photons = (setup.signal_photons, setup.decoy_photons)
    return photons, (setup.signal_fraction, 1 - setup.signal_fraction)


def sifted_gain(setup: FiniteSetup, transmittance: float, sent: Intensities) -> float:
    """Return the clicks per pulse, of all intensities, that both sides keep for key."""
    return setup.sifting * _gain(setup, transmittance, *sent) * live_fraction(setup, transmittance)


def _gain(
    setup: FiniteSetup,
    transmittance: float,
    photons: tuple[float, ...],
    fractions: tuple[float, ...],
) -> float:
    """Return the clicks per pulse of any intensity."""
    return sum(
        p * clicks(setup, transmittance, mu).gain for p, mu in zip(fractions, photons, strict=True)
    )


def _test_to_key(setup: FiniteSetup) -> float:
    """Return test clicks per key click: both sides choose the key basis with sqrt(sifting)."""
    key_choice = math.sqrt(setup.sifting)
    return ((1 - key_choice) / key_choice) ** 2


def _two_decoy_singles(
    block: FiniteBlock, counts: BasisCounts, log_inverse: float
) -> tuple[float, float]:
    """Return the least vacuum and single-photon clicks (Lim 2014, eqs. 2-3)."""
    mu1, mu2, mu3 = block.photons
    (_, high1), (low2, high2), (low3, high3) = _scaled(block, counts.clicks, log_inverse)
    tau0, tau1 = block.photon_fraction(0), block.photon_fraction(1)
    vacuum = max(0.0, tau0 * (mu2 * low3 - mu3 * high2) / (mu2 - mu3))
    many = (mu2**2 - mu3**2) / mu1**2 * (high1 - vacuum / tau0)
    single = tau1 * mu1 * (low2 - high3 - many) / (mu1 * (mu2 - mu3) - mu2**2 + mu3**2)
    return vacuum, single


def _one_decoy_singles(
    block: FiniteBlock, counts: BasisCounts, log_inverse: float
) -> tuple[float, float]:
    """Return the least vacuum and single-photon clicks (Rusca 2018, eqs. A2, A16, A17)."""
    mu1, mu2 = block.photons
    (_, high1), (low2, _) = _scaled(block, counts.clicks, log_inverse)
    tau0, tau1 = block.photon_fraction(0), block.photon_fraction(1)
    vacuum = max(0.0, tau0 * (mu1 * low2 - mu2 * high1) / (mu1 - mu2))
    # half of the vacuum clicks are wrong, so the errors bound them from above
    wrong_high = min(high for _, high in _scaled(block, counts.errors, log_inverse))
    slack = math.sqrt(sum(counts.clicks) / 2 * log_inverse)
    vacuum_most = 2 * (tau0 * wrong_high + slack)
    many = (mu2 / mu1) ** 2 * high1 + (1 - (mu2 / mu1) ** 2) * vacuum_most / tau0
    return vacuum, tau1 * mu1 / (mu2 * (mu1 - mu2)) * (low2 - many)


def _phase_error(
    block: FiniteBlock, single: float, single_test: float, log_inverse: float
) -> float:
    """Return the largest phase error of the key's single photons (Lim 2014, eqs. 4-5)."""
    scaled = _scaled(block, block.test.errors, log_inverse)
    upper, lower = (1, 2) if len(block.photons) == 3 else (0, 1)
    spread = block.photons[upper] - block.photons[lower]
    wrong = block.photon_fraction(1) * (scaled[upper][1] - scaled[lower][0]) / spread
    error = max(0.0, wrong / single_test)
    return (
        error
        if error >= 0.5
        else error + sampling_deviation(error, single_test, single, log_inverse)
    )


def sampling_deviation(error: float, tested: float, rest: float, log_inverse: float) -> float:
    """Return gamma: how much worse the untested may be than the tested (Lim 2014, eq. 5)."""
    if error <= 0:
        return 0.0
    variance = (1 - error) * error
    total = tested + rest
    bits = math.log2(total / (tested * rest * variance)) + 2 * log_inverse / math.log(2)
    return math.sqrt(total * variance / (tested * rest * math.log(2)) * max(0.0, bits))


def _scaled(
    block: FiniteBlock, counts: tuple[float, ...], log_inverse: float
) -> list[tuple[float, float]]:
    """Return least and most counts by intensity, each over its Poisson weight (Hoeffding)."""
    slack = math.sqrt(sum(counts) / 2 * log_inverse)
    weights = [math.exp(mu) / p for p, mu in zip(block.fractions, block.photons, strict=True)]
    pairs = zip(weights, counts, strict=True)
    return [(weight * max(0.0, n - slack), weight * (n + slack)) for weight, n in pairs]
