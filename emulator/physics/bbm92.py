"""BBM92 with entangled pairs: pulsed down-conversion, and sources that run all the time.

Pulsed: Ma, Fung, Lo, PRA 76, 012307 (2007).  Continuous: Neumann et al., PRA 104, 022406 (2021).
Rates are those of Shor and Preskill, with keys of infinite length.  The source may stand anywhere
on the fiber, and nobody needs to trust it.
"""

from dataclasses import dataclass

from emulator.input_checks import require_between, require_not_negative, require_positive
from emulator.physics.channel import binary_entropy, fiber_transmittance, phase_entropy

_E0 = 0.5  # a random coincidence is right half the time


@dataclass(frozen=True)
class PulsedSetup:
    """A pulsed pair source and two receivers."""

    clock_hz: float
    mean_pairs: float  # 2 lambda, per pulse
    efficiency_a: float  # receiver optics and detectors
    efficiency_b: float
    background_yield_a: float  # clicks per pulse without light
    background_yield_b: float
    misalignment: float
    ec_efficiency: float = 1.22
    sifting: float = 0.5
    source_position: float = 0.5  # share of the fiber between a and the source
    attenuation_db_per_km: float = 0.2
    insertion_loss_db: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, "clock_hz", "mean_pairs")
        require_not_negative(self, "attenuation_db_per_km", "insertion_loss_db")
        require_between(self, 0, 1, "efficiency_a", "efficiency_b", "source_position", "sifting")
        require_between(self, 0, 1, "background_yield_a", "background_yield_b")
        require_between(self, 0, 0.5, "misalignment")
        require_between(self, 1, 10, "ec_efficiency")


@dataclass(frozen=True)
class ContinuousSetup:
    """A continuously pumped pair source and two receivers with time tags."""

    pair_rate_hz: float
    coincidence_window_s: float
    efficiency_a: float
    efficiency_b: float
    dark_rate_a_hz: float  # dark counts and stray light
    dark_rate_b_hz: float
    misalignment: float  # polarization error
    window_efficiency: float = 1.0  # share of true pairs inside the window
    ec_efficiency: float = 1.1
    sifting: float = 0.5
    source_position: float = 0.5
    attenuation_db_per_km: float = 0.2
    insertion_loss_db: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, "pair_rate_hz", "coincidence_window_s")
        require_not_negative(self, "dark_rate_a_hz", "dark_rate_b_hz")
        require_not_negative(self, "attenuation_db_per_km", "insertion_loss_db")
        require_between(self, 0, 1, "efficiency_a", "efficiency_b", "source_position", "sifting")
        require_between(self, 0, 1, "window_efficiency")
        require_between(self, 0, 0.5, "misalignment")
        require_between(self, 1, 10, "ec_efficiency")

    @property
    def clock_hz(self) -> float:
        """Return coincidence windows per second: what counts as one use of the channel."""
        return 1 / self.coincidence_window_s


@dataclass(frozen=True)
class PairRate:
    """Coincidences and secret bits (per pulse or per second, as the function says), and the QBER."""

    coincidences: float
    qber: float
    secret_bits: float


def arms(setup: PulsedSetup | ContinuousSetup, length_km: float) -> tuple[float, float]:
    """Return the total efficiency of each arm: its share of the fiber, and its receiver."""
    eta_a, eta_b = (
        fiber_transmittance(
            share * length_km, setup.attenuation_db_per_km, share * setup.insertion_loss_db
        )
        for share in (setup.source_position, 1 - setup.source_position)
    )
    return eta_a * setup.efficiency_a, eta_b * setup.efficiency_b


def pulsed_rate(setup: PulsedSetup, eta_a: float, eta_b: float) -> PairRate:
    """Return coincidences and secret bits per pulse for two arms (Ma, Fung, Lo 2007, eqs. 9-11).

    Both click by chance, or more often because pairs come together; no term is a difference.
    """
    pairs = setup.mean_pairs / 2
    a, b = 1 + eta_a * pairs, 1 + eta_b * pairs
    together = eta_a * eta_b * pairs * (1 + pairs)
    neither = a * b - together
    dark_a, dark_b = setup.background_yield_a, setup.background_yield_b
    click_a = (eta_a * pairs * (1 + a) + dark_a) / a**2
    click_b = (eta_b * pairs * (1 + b) + dark_b) / b**2
    excess = (1 - dark_a) * (1 - dark_b) * together * (a * b + neither) / (neither * a * b) ** 2
    gain = click_a * click_b + excess
    right = 2 * (_E0 - setup.misalignment) * together / (a * b * neither)
    qber = _E0 - right / gain if gain > 0 else _E0
    return PairRate(gain, qber, secret_rate(setup.sifting * gain, qber, setup.ec_efficiency))


def continuous_rate(setup: ContinuousSetup, eta_a: float, eta_b: float) -> PairRate:
    """Return coincidences and secret bits per second for two arms (Neumann 2021, eqs. 1-8)."""
    singles_a = setup.pair_rate_hz * eta_a + setup.dark_rate_a_hz
    singles_b = setup.pair_rate_hz * eta_b + setup.dark_rate_b_hz
    true = setup.pair_rate_hz * eta_a * eta_b * setup.window_efficiency
    accidental = singles_a * singles_b * setup.coincidence_window_s
    seen = true + accidental
    qber = (true * setup.misalignment + accidental * _E0) / seen if seen > 0 else _E0
    return PairRate(seen, qber, secret_rate(setup.sifting * seen, qber, setup.ec_efficiency))


def secret_rate(sifted: float, qber: float, ec_efficiency: float) -> float:
    """Return sifted [1 - f h(E) - h(E)], clipped at zero: Shor, Preskill, PRL 85, 441 (2000)."""
    lost = ec_efficiency * binary_entropy(qber) + phase_entropy(qber)
    return max(0.0, sifted * (1 - lost))
