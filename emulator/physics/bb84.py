"""Decoy-state BB84 with weak coherent pulses, in the limit of infinitely long keys.

Model of gains and errors, bounds on single photons: Ma, Qi, Zhao, Lo, PRA 72, 012326 (2005).
Afterpulses and dead time are added as in gated InGaAs receivers; finite keys are in `bb84_finite`.
Rates are bits per emitted pulse until multiplied by the clock.
"""

import math
from dataclasses import dataclass

from emulator.input_checks import (
    ParameterError,
    require_between,
    require_not_negative,
    require_positive,
)
from emulator.physics.channel import binary_entropy, phase_entropy

BACKGROUND_ERROR = 0.5  # a background click is right half the time


@dataclass(frozen=True)
class Bb84Setup:
    """Transmitter, fiber and receiver of one decoy-BB84 link."""

    clock_hz: float
    receiver_efficiency: float  # optics and detectors
    background_yield: float  # clicks per pulse without light, all detectors together
    misalignment: float  # fraction of photons that reach the wrong detector
    signal_photons: float  # mu
    decoy_photons: float  # nu
    vacuum_photons: float = 0.0  # the weakest intensity
    signal_fraction: float = 1.0  # of pulses; 1: decoys take a vanishing share
    decoy_fraction: float = 0.0  # of pulses; the rest are of the weakest intensity
    sifting: float = 0.5  # fraction of signal clicks in the key basis on both sides
    ec_efficiency: float = 1.16  # leaked bits over h(E)
    afterpulse_probability: float = 0.0  # of a click to be followed by a false one
    dead_time_s: float = 0.0
    attenuation_db_per_km: float = 0.2
    insertion_loss_db: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, "clock_hz", "signal_photons", "decoy_photons", "signal_fraction")
        require_not_negative(self, "vacuum_photons", "dead_time_s")
        require_not_negative(self, "attenuation_db_per_km", "insertion_loss_db")
        require_between(self, 0, 1, "receiver_efficiency", "background_yield", "sifting")
        require_between(self, 0, 1 - self.signal_fraction, "decoy_fraction")
        require_between(self, 0, 0.5, "misalignment")
        require_between(self, 0, 0.99, "afterpulse_probability")
        require_between(self, 1, 10, "ec_efficiency")
        weaker = self.decoy_photons + self.vacuum_photons
        if not (self.vacuum_photons < self.decoy_photons and weaker < self.signal_photons):
            problem = "must exceed vacuum_photons, and with it stay below signal_photons"
            raise ParameterError("decoy_photons", f"{problem}, not at {self.decoy_photons}")


@dataclass(frozen=True)
class Clicks:
    """What the receiver sees of pulses of one intensity."""

    gain: float  # clicks per pulse
    error_gain: float  # wrong clicks per pulse

    @property
    def qber(self) -> float:
        """Return the fraction of clicks that are wrong."""
        return self.error_gain / self.gain if self.gain > 0 else BACKGROUND_ERROR


@dataclass(frozen=True)
class SinglePhotons:
    """What is known of the pulses that held exactly one photon."""

    yield_: float  # clicks per single-photon pulse
    error: float  # fraction of these that are wrong


@dataclass(frozen=True)
class DecoyRate:
    """Secret bits per pulse, never negative, and the error rate of the signal."""

    bits_per_pulse: float
    qber: float


def clicks(setup: Bb84Setup, transmittance: float, photons: float) -> Clicks:
    """Return gain and errors at a mean photon number.

    Q = Y0 + 1 - exp(-eta mu), E Q = e0 Y0 + e_d (1 - exp(-eta mu)): Ma 2005, eqs. 10-11.
    """
    light = _light(setup, transmittance, photons)
    background = effective_background(setup, transmittance)
    return Clicks(background + light, BACKGROUND_ERROR * background + setup.misalignment * light)


def effective_background(setup: Bb84Setup, transmittance: float) -> float:
    """Return false clicks per pulse: dark counts, stray light, and afterpulses of all clicks.

    An afterpulse follows any click with probability p, itself included: Q = Y0 + light + p Q.
    """
    p = setup.afterpulse_probability
    return (setup.background_yield + p * _mean_light(setup, transmittance)) / (1 - p)


def intercepted_qber(qber: float, share: float) -> float:
    """Return the error rate when that share of the pulses is intercepted and sent again.

    The thief guesses the basis: right, and the errors stay; wrong, and half the bits are wrong.
    A share of one adds 25 %: Bennett, Brassard, Theor. Comput. Sci. 560, 7 (2014, first 1984).
    """
    return (1 - share) * qber + share * (qber + BACKGROUND_ERROR) / 2


def sifted_gain(setup: Bb84Setup, transmittance: float) -> float:
    """Return the signal clicks per pulse that both sides keep."""
    share = setup.sifting * setup.signal_fraction * live_fraction(setup, transmittance)
    return share * clicks(setup, transmittance, setup.signal_photons).gain


def live_fraction(setup: Bb84Setup, transmittance: float) -> float:
    """Return the share of time in which a detector is not dead (non-paralyzable)."""
    gain = effective_background(setup, transmittance) + _mean_light(setup, transmittance)
    return 1 / (1 + setup.clock_hz * gain * setup.dead_time_s)


def infinite_decoy_rate(setup: Bb84Setup, transmittance: float) -> DecoyRate:
    """Return the rate when decoys reveal single photons exactly (Ma 2005, eqs. 8-9)."""
    background = effective_background(setup, transmittance)
    eta = transmittance * setup.receiver_efficiency
    yield_ = background + eta
    wrong = BACKGROUND_ERROR * background + setup.misalignment * eta
    single = SinglePhotons(yield_, wrong / yield_ if yield_ > 0 else BACKGROUND_ERROR)
    return _rate(setup, transmittance, single)


def vacuum_weak_rate(setup: Bb84Setup, transmittance: float) -> DecoyRate:
    """Return the rate with two decoys, the weaker one (nearly) vacuum."""
    return _rate(setup, transmittance, two_decoy_bounds(setup, transmittance))


def one_decoy_rate(setup: Bb84Setup, transmittance: float) -> DecoyRate:
    """Return the rate with a single decoy, the background bounded by the errors."""
    return _rate(setup, transmittance, one_decoy_bounds(setup, transmittance))


def two_decoy_bounds(setup: Bb84Setup, transmittance: float) -> SinglePhotons:
    """Return the least yield and largest error of single photons (Ma 2005, eqs. 18, 21, 25)."""
    mu, nu, weak = setup.signal_photons, setup.decoy_photons, setup.vacuum_photons
    signal = clicks(setup, transmittance, mu)
    decoy = clicks(setup, transmittance, nu)
    faint = clicks(setup, transmittance, weak)
    background = (nu * faint.gain * math.exp(weak) - weak * decoy.gain * math.exp(nu)) / (nu - weak)
    many = (nu**2 - weak**2) / mu**2 * (signal.gain * math.exp(mu) - max(background, 0.0))
    difference = decoy.gain * math.exp(nu) - faint.gain * math.exp(weak)
    yield_ = mu / (mu * (nu - weak) - nu**2 + weak**2) * (difference - many)
    wrong = decoy.error_gain * math.exp(nu) - faint.error_gain * math.exp(weak)
    return _bounded(yield_, wrong / (nu - weak))


def one_decoy_bounds(setup: Bb84Setup, transmittance: float) -> SinglePhotons:
    """Return the least yield and largest error of single photons (Ma 2005, eqs. 39-42)."""
    mu, nu = setup.signal_photons, setup.decoy_photons
    signal = clicks(setup, transmittance, mu)
    decoy = clicks(setup, transmittance, nu)
    background = (
        min(signal.error_gain * math.exp(mu), decoy.error_gain * math.exp(nu)) / BACKGROUND_ERROR
    )
    many = (nu / mu) ** 2 * signal.gain * math.exp(mu)
    rest = decoy.gain * math.exp(nu) - many - (1 - (nu / mu) ** 2) * background
    wrong = min(
        decoy.error_gain * math.exp(nu) / nu,
        (signal.error_gain * math.exp(mu) - decoy.error_gain * math.exp(nu)) / (mu - nu),
    )
    return _bounded(mu / (mu * nu - nu**2) * rest, wrong)


def _rate(setup: Bb84Setup, transmittance: float, single: SinglePhotons) -> DecoyRate:
    """Return R = q p_mu { -Q f h(E) + Q1 [1 - h(e1)] } (GLLP; Ma 2005, eq. 1), clipped at zero."""
    mu = setup.signal_photons
    signal = clicks(setup, transmittance, mu)
    leaked = signal.gain * setup.ec_efficiency * binary_entropy(signal.qber)
    secret = single.yield_ * mu * math.exp(-mu) * (1 - phase_entropy(single.error))
    share = setup.sifting * setup.signal_fraction * live_fraction(setup, transmittance)
    return DecoyRate(max(0.0, share * (secret - leaked)), signal.qber)


def _bounded(yield_: float, wrong_gain: float) -> SinglePhotons:
    if yield_ <= 0:
        return SinglePhotons(0.0, BACKGROUND_ERROR)
    return SinglePhotons(yield_, min(BACKGROUND_ERROR, max(0.0, wrong_gain / yield_)))


def _light(setup: Bb84Setup, transmittance: float, photons: float) -> float:
    """Return the probability that at least one photon of a pulse is detected."""
    return -math.expm1(-transmittance * setup.receiver_efficiency * photons)


def _mean_light(setup: Bb84Setup, transmittance: float) -> float:
    """Return the same for a pulse of unknown intensity."""
    weakest_fraction = 1 - setup.signal_fraction - setup.decoy_fraction
    return (
        setup.signal_fraction * _light(setup, transmittance, setup.signal_photons)
        + setup.decoy_fraction * _light(setup, transmittance, setup.decoy_photons)
        + weakest_fraction * _light(setup, transmittance, setup.vacuum_photons)
    )
