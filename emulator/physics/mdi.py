"""Measurement-device-independent QKD: two senders, and a relay nobody needs to trust.

Lo, Curty, Qi, PRL 108, 130503 (2012); gains: Ma, Razavi, PRA 86, 062319 (2012).  The relay may stand
anywhere on the fiber.  Decoys are taken as infinite and the key as infinitely long.
Rates are bits per pair of pulses until multiplied by the clock.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from emulator.input_checks import require_between, require_not_negative, require_positive
from emulator.physics.channel import binary_entropy, fiber_transmittance, phase_entropy

_E0 = 0.5  # a background click is right half the time


@dataclass(frozen=True)
class MdiSetup:
    """Two transmitters, one fiber each, and a relay with a partial Bell measurement."""

    clock_hz: float  # pairs of pulses
    detector_efficiency: float  # relay optics and detectors
    dark_probability: float  # of one detector in one gate
    misalignment: float  # e_d
    photons_a: float
    photons_b: float
    ec_efficiency: float = 1.16
    bell_states: int = 2  # psi+ and psi-, or psi- alone
    relay_position: float = 0.5  # share of the fiber between a and the relay
    attenuation_db_per_km: float = 0.2
    insertion_loss_db: float = 0.0  # shared by the arms as the fiber is

    def __post_init__(self) -> None:
        require_positive(self, "clock_hz", "photons_a", "photons_b")
        require_not_negative(self, "attenuation_db_per_km", "insertion_loss_db")
        require_between(self, 0, 1, "detector_efficiency", "dark_probability", "relay_position")
        require_between(self, 0, 0.5, "misalignment")
        require_between(self, 1, 10, "ec_efficiency")
        require_between(self, 1, 2, "bell_states")


@dataclass(frozen=True)
class MdiGains:
    """Successful Bell measurements a pair of pulses, and the errors among them, by basis."""

    z_gain: float
    z_qber: float
    x_gain: float
    x_qber: float


@dataclass(frozen=True)
class MdiRate:
    """Secret bits per pair of pulses, never negative, and the error rate in the key basis."""

    bits_per_pair: float
    qber: float


def arm_efficiencies(setup: MdiSetup, length_km: float) -> tuple[float, float]:
    """Return the chance of a photon from each end to be detected at the relay."""
    shares = (setup.relay_position, 1 - setup.relay_position)
    arms = (
        fiber_transmittance(
            share * length_km, setup.attenuation_db_per_km, share * setup.insertion_loss_db
        )
        for share in shares
    )
    eta_a, eta_b = (arm * setup.detector_efficiency for arm in arms)
    return eta_a, eta_b


def rate(setup: MdiSetup, length_km: float) -> MdiRate:
    """Return R = Q11 [1 - h(e11)] - Q_Z f h(E_Z), clipped at zero (Lo, Curty, Qi 2012, eq. 1)."""
    eta_a, eta_b = arm_efficiencies(setup, length_km)
    yield_, error = single_pairs(setup, eta_a, eta_b)
    both_single = setup.photons_a * setup.photons_b * math.exp(-setup.photons_a - setup.photons_b)
    seen = gains(setup, eta_a, eta_b)
    leaked = seen.z_gain * setup.ec_efficiency * binary_entropy(seen.z_qber)
    bits = both_single * yield_ * (1 - phase_entropy(error)) - leaked
    return MdiRate(max(0.0, bits), seen.z_qber)


def single_pairs(setup: MdiSetup, eta_a: float, eta_b: float) -> tuple[float, float]:
    """Return yield and X-basis error when each side sends one photon (Ma, Razavi 2012, A9, A11)."""
    p_d = setup.dark_probability
    both = eta_a * eta_b / 2
    one = (2 * eta_a + 2 * eta_b - 3 * eta_a * eta_b) * p_d
    none = 4 * (1 - eta_a) * (1 - eta_b) * p_d**2
    yield_ = (1 - p_d) ** 2 * (both + one + none)
    if yield_ <= 0:
        return 0.0, _E0
    error = _E0 - (_E0 - setup.misalignment) * (1 - p_d) ** 2 * both / yield_
    return yield_ * setup.bell_states / 2, error


def gains(setup: MdiSetup, eta_a: float, eta_b: float) -> MdiGains:
    """Return gains and errors of coherent pulses in both bases (Ma, Razavi 2012, appendix B).

    Written without differences of nearly equal terms, so that it holds at any loss.
    """
    p_d, e_d = setup.dark_probability, setup.misalignment
    light_a, light_b = eta_a * setup.photons_a, eta_b * setup.photons_b
    light, x = light_a + light_b, math.sqrt(light_a * light_b) / 2
    share = setup.bell_states / 2

    live = 2 * (1 - p_d) ** 2 * math.exp(-light / 2)
    correct = live * _click(light_a / 2, p_d) * _click(light_b / 2, p_d)
    wrong = live * p_d * (bessel_i0_minus_1(2 * x) + _click(light / 2, p_d))
    z_gain = correct + wrong

    y, click = (1 - p_d) * math.exp(-light / 4), _click(light / 4, p_d)
    bunched = _i0_double_minus_four(x)
    x_gain = 2 * y**2 * (2 * click**2 + bunched + 4 * click * bessel_i0_minus_1(x))
    x_right = 2 * (_E0 - e_d) * y**2 * bessel_i0_minus_1(2 * x)
    return MdiGains(
        z_gain=share * z_gain,
        z_qber=(e_d * correct + (1 - e_d) * wrong) / z_gain if z_gain > 0 else _E0,
        x_gain=share * x_gain,
        x_qber=_E0 - x_right / x_gain if x_gain > 0 else _E0,
    )


def bessel_i0_minus_1(x: float) -> float:
    """Return I0(x) - 1, the modified Bessel function of order zero, by its power series."""
    return _series(x, lambda _: 1.0)


def _i0_double_minus_four(x: float) -> float:
    """Return [I0(2x) - 1] - 4 [I0(x) - 1], which begins at x^4."""
    return _series(x, lambda k: 4.0**k - 4)


def _series(x: float, weight: Callable[[int], float]) -> float:
    """Return the sum over k >= 1 of weight(k) (x/2)^2k / k!^2."""
    total, term, k = 0.0, 1.0, 0
    while k < 2 or term * 4.0**k > 1e-17 * total:
        k += 1
        term *= (x / 2 / k) ** 2
        total += weight(k) * term
        if term == 0:
            break
    return total


def _click(mean_photons: float, dark_probability: float) -> float:
    """Return 1 - (1 - p_d) exp(-mean), precisely for small values."""
    return -math.expm1(math.log1p(-dark_probability) - mean_photons) if dark_probability < 1 else 1
