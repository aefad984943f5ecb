"""GG02: Gaussian-modulated coherent states, reverse reconciliation, collective attacks.

Lodewyck et al., PRA 76, 042305 (2007); finite size: Leverrier, Grosshans, Grangier, PRA 81, 062343
(2010).  Variances are in shot-noise units; excess noise counts at the input of the channel; the
receiver's loss and noise are trusted.  For fiber only: fading needs another formula.
Rates are bits per symbol until multiplied by the clock.
"""

import math
from dataclasses import dataclass, replace

from emulator.input_checks import require_between, require_not_negative, require_positive


@dataclass(frozen=True)
class Gg02Setup:
    """Modulator, fiber and coherent receiver of one GG02 link."""

    clock_hz: float  # symbols
    modulation_variance: float  # V_A
    excess_noise: float  # xi, at the input of the channel
    detector_efficiency: float
    electronic_noise: float  # v_el
    reconciliation_efficiency: float  # beta
    frame_error_rate: float = 0.0
    overhead: float = 0.0  # share of symbols that carry no key
    heterodyne: bool = False
    attenuation_db_per_km: float = 0.2
    insertion_loss_db: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, "clock_hz", "modulation_variance", "detector_efficiency")
        require_not_negative(self, "excess_noise", "electronic_noise")
        require_not_negative(self, "attenuation_db_per_km", "insertion_loss_db")
        require_between(self, 0, 1, "detector_efficiency", "reconciliation_efficiency")
        require_between(self, 0, 1, "frame_error_rate", "overhead")


@dataclass(frozen=True)
class FiniteGg02Setup(Gg02Setup):
    """A GG02 link with its block size."""

    block_symbols: float = 1e9
    estimation_fraction: float = 0.5  # of the symbols, revealed to estimate the channel
    estimation_sigmas: float = 6.5  # how far the worst channel lies from the estimate: 1e-10
    eps_smoothing: float = 1e-10

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "block_symbols", "estimation_sigmas", "eps_smoothing")
        require_between(self, 0.001, 0.999, "estimation_fraction")


def rate(setup: Gg02Setup, transmittance: float) -> float:
    """Return key bits per symbol in the asymptotic limit, never negative."""
    if transmittance <= 0:
        return 0.0
    shared = setup.reconciliation_efficiency * mutual_information(setup, transmittance)
    return _kept(setup) * _resolved(shared - holevo_information(setup, transmittance), setup)


def finite_rate(setup: FiniteGg02Setup, transmittance: float) -> float:
    """Return key bits per symbol for blocks of finite size, never negative.

    K = n/N [beta I - chi(T_min, xi_max) - Delta(n)] (Leverrier et al. 2010, eq. 1).
    """
    worst_eta, worst = worst_channel(setup, transmittance)
    if worst_eta <= 0:
        return 0.0
    key_symbols = (1 - setup.estimation_fraction) * setup.block_symbols
    bits = setup.reconciliation_efficiency * mutual_information(setup, transmittance)
    secret = bits - holevo_information(worst, worst_eta) - _smoothing(setup, key_symbols)
    return _kept(setup) * (1 - setup.estimation_fraction) * _resolved(secret, setup)


def mutual_information(setup: Gg02Setup, transmittance: float) -> float:
    """Return I_AB in bits per symbol: one quadrature, or two with heterodyne detection."""
    noise = _line_noise(setup, transmittance) + _receiver_noise(setup) / transmittance
    one = math.log1p(setup.modulation_variance / (1 + noise)) / math.log(2)
    return one if setup.heterodyne else one / 2


def holevo_information(setup: Gg02Setup, transmittance: float) -> float:
    """Return chi_BE, what an eavesdropper may know, in bits per symbol (Lodewyck 2007, eqs. 5-9)."""
    eta, v = transmittance, setup.modulation_variance + 1
    line, receiver = _line_noise(setup, eta), _receiver_noise(setup)
    a = v**2 * (1 - 2 * eta) + 2 * eta + (eta * (v + line)) ** 2
    root_b = eta * (v * line + 1)
    scale = eta * (v + line + receiver / eta)
    if setup.heterodyne:  # Lodewyck's C and D for both quadratures: Fossier et al. 2009
        c = (
            a * receiver**2
            + root_b**2
            + 1
            + 2 * receiver * (v * root_b + eta * (v + line))
            + 2 * eta * (v**2 - 1)
        ) / scale**2
        root_d = (v + root_b * receiver) / scale
    else:
        c = (v * root_b + eta * (v + line) + a * receiver) / scale
        root_d = math.sqrt(root_b * (v + root_b * receiver) / scale)
    before = sum(_thermal(nu) for nu in _symplectic(a, root_b))
    after = sum(_thermal(nu) for nu in _symplectic(c, root_d))
    return before - after


def worst_channel(setup: FiniteGg02Setup, transmittance: float) -> tuple[float, Gg02Setup]:
    """Return the least transmittance, and a setup with the most noise, that fit the estimates.

    Leverrier et al. 2010, eqs. 12-13; the modulation is estimated with m of the N symbols.
    """
    samples = setup.estimation_fraction * setup.block_symbols * (2 if setup.heterodyne else 1)
    efficiency = setup.detector_efficiency / (2 if setup.heterodyne else 1)
    gain = efficiency * transmittance
    variance = 1 + setup.electronic_noise + gain * setup.excess_noise
    z = setup.estimation_sigmas
    amplitude = math.sqrt(gain) - z * math.sqrt(variance / (samples * setup.modulation_variance))
    if amplitude <= 0:
        return 0.0, setup
    variance_high = variance * (1 + z * math.sqrt(2 / samples))
    excess = (variance_high - 1 - setup.electronic_noise) / amplitude**2
    return amplitude**2 / efficiency, replace(setup, excess_noise=excess)


def _resolved(secret: float, setup: Gg02Setup) -> float:
    """Return the difference of entropies, or zero where it is no more than rounding."""
    rounding = 1e-13 * (10 + math.log2(setup.modulation_variance + 1))
    return secret if secret > rounding else 0.0


def _kept(setup: Gg02Setup) -> float:
    return (1 - setup.frame_error_rate) * (1 - setup.overhead)


def _smoothing(setup: FiniteGg02Setup, symbols: float) -> float:
    """Return Delta(n), about 7 sqrt(log2(2 / eps) / n) (Leverrier et al. 2010, eq. 10)."""
    return 7 * math.sqrt(math.log2(2 / setup.eps_smoothing) / symbols)


def _line_noise(setup: Gg02Setup, transmittance: float) -> float:
    return 1 / transmittance - 1 + setup.excess_noise


def _receiver_noise(setup: Gg02Setup) -> float:
    eta, v_el = setup.detector_efficiency, setup.electronic_noise
    return (2 - eta + 2 * v_el) / eta if setup.heterodyne else (1 + v_el) / eta - 1


def _symplectic(trace: float, root_det: float) -> tuple[float, float]:
    """Return both symplectic eigenvalues; the small one from the product, not a difference."""
    spread = math.sqrt(max(0.0, (trace - 2 * root_det) * (trace + 2 * root_det)))
    large = math.sqrt((trace + spread) / 2)
    return large, root_det / large


def _thermal(eigenvalue: float) -> float:
    """Return the entropy of a mode, G((nu - 1) / 2) with G(n) = (n+1) log2(n+1) - n log2(n).

    Written as log2(n+1) + n log2(1 + 1/n), which loses no digits where n is large.
    """
    n = (eigenvalue - 1) / 2
    if n <= 1e-15:
        return 0.0
    return (math.log1p(n) + n * math.log1p(1 / n)) / math.log(2)
