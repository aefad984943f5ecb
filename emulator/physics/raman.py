"""Light of classical channels in the fiber of a quantum channel: spontaneous Raman noise, and multiplexers.

A classical channel scatters a little of its light into every other wavelength, along the whole fiber, to
either end.  What falls into the filter and the gate of a single-photon receiver clicks like a dark count; a
homodyne receiver sees it as excess noise.  Both polarizations are scattered alike.

Powers are those that enter the fiber, after the multiplexer.  Four-wave mixing, leakage of the
multiplexer and amplifier noise are not known here: filters of some 80 dB are taken for granted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from emulator.input_checks import (
    ParameterError,
    require_between,
    require_not_negative,
    require_positive,
)
from emulator.physics.bb84 import Bb84Setup
from emulator.physics.bbm92 import ContinuousSetup, PulsedSetup
from emulator.physics.channel import fiber_transmittance, transmittance_from_db
from emulator.physics.gg02 import Gg02Setup
from emulator.physics.mdi import MdiSetup
from emulator.physics.relay import ChainSetup

_PLANCK_J_S, _LIGHT_M_PER_S = 6.62607015e-34, 299_792_458.0
_NEPERS_PER_DB = math.log(10) / 10


class Direction(StrEnum):
    """Which way classical light goes, seen from the end of the link that is named first."""

    FORWARD = "forward"
    BACKWARD = "backward"
    BOTH = "both"  # as many channels each way

    def turned(self) -> Direction:
        """Return the same way, seen from the other end."""
        return _TURNED.get(self, self)


_TURNED = {Direction.FORWARD: Direction.BACKWARD, Direction.BACKWARD: Direction.FORWARD}


class Band(StrEnum):
    """Where the quantum channel is; classical channels are in the C band."""

    C = "C"
    O = "O"  # noqa: E741


@dataclass(frozen=True)
class BandFigures:
    """Wavelength, scattering into it from the C band, and attenuation of standard fiber."""

    wavelength_m: float
    raman_per_km_nm: float
    attenuation_db_per_km: float


BANDS = {
    Band.C: BandFigures(1550e-9, 3e-9, 0.2),
    Band.O: BandFigures(1310e-9, 1e-12, 0.33),
}
"""C band: the worst of 1.5e-9 to 3.1e-9 that Kumar, Qin, Alleaume, New J. Phys. 17, 043027 (2015),
measured.

O band: assumed, from the same at 300 K by detailed balance. 35 THz above its source the anti-Stokes light
has exp(-h f / k T) = 0.4 % of the phonons, and the Raman gain of silica about a hundredth of its peak.
"""


@dataclass(frozen=True)
class Coexistence:
    """The classical channels of one fiber, and what the quantum receiver does against them.

    `launch_dbm` is the power of one channel; with `both` there are `channels` each way.  `mux_db` is the
    loss of one multiplexer, of which there is one at either end, `roadm_db` that of all optical nodes
    that the quantum channel passes.  Figures of the band stand in for what is None.
    """

    launch_dbm: float = 0.0
    channels: int = 1
    direction: Direction = Direction.FORWARD
    filter_nm: float = 0.8  # what a demultiplexer of a 100-GHz grid passes
    gate_s: float = 1e-9  # how long detectors listen for a pulse
    band: Band = Band.C
    mux_db: float = 0.5  # an add-drop multiplexer: Kumar et al. 2015
    roadm_db: float = 0.0
    classical_db_per_km: float = 0.2
    raman_per_km_nm: float | None = None

    def __post_init__(self) -> None:
        require_between(self, -100, 40, "launch_dbm")
        require_between(self, 0, 10_000, "channels")
        require_positive(self, "filter_nm", "gate_s", "classical_db_per_km")
        require_not_negative(self, "mux_db", "roadm_db")
        if self.raman_per_km_nm is not None and not 0 <= self.raman_per_km_nm < 1:
            raise ParameterError(
                "raman_per_km_nm", f"must lie between 0 and 1, not {self.raman_per_km_nm}"
            )

    @property
    def loss_db(self) -> float:
        """What the quantum channel loses between transmitter and receiver, besides the fiber."""
        return 2 * self.mux_db + self.roadm_db

    @property
    def launch_w(self) -> float:
        """The power of all channels that go one way."""
        return self.channels * 1e-3 * 10 ** (self.launch_dbm / 10)

    @property
    def figures(self) -> BandFigures:
        """The figures of the band, with the coefficient that is given."""
        given = self.raman_per_km_nm
        found = BANDS[self.band]
        return found if given is None else replace(found, raman_per_km_nm=given)

    def turned(self) -> Coexistence:
        """Return the same seen from the other end."""
        return replace(self, direction=self.direction.turned())

    def sentence(self) -> str:
        """Say in words what lights the fiber."""
        way = "each way" if self.direction is Direction.BOTH else self.direction.value
        return (
            f"{self.channels} classical channels of {self.launch_dbm:g} dBm {way}, quantum channel in "
            f"the {self.band} band behind {self.filter_nm:g} nm and {self.gate_s:g} s: Raman noise after "
            f"Kumar, Qin, Alleaume 2015; multiplexers and nodes lose {self.loss_db:g} dB"
        )


def scattering_km(
    length_km: float, quantum_db_per_km: float, classical_db_per_km: float, *, against: bool
) -> float:
    """Return the length of fiber whose scattering, if nothing got lost, would be what arrives.

    With the light: integral of exp(-a_c z) exp(-a_q (L - z)), which is L exp(-a L) for equal losses;
    against it: integral of exp(-(a_c + a_q) z).  Kumar, Qin, Alleaume 2015, eq. 6, with a loss for either
    light.
    """
    quantum, classical = (
        db_per_km * _NEPERS_PER_DB for db_per_km in (quantum_db_per_km, classical_db_per_km)
    )
    if against:
        return -math.expm1(-(classical + quantum) * length_km) / (classical + quantum)
    apart, least = abs(classical - quantum) * length_km, min(classical, quantum)
    alike = 1.0 if apart < 1e-9 else -math.expm1(-apart) / apart
    return length_km * math.exp(-least * length_km) * alike


def scattered_hz(
    light: Coexistence, length_km: float, db_per_km: float, *, seen: Direction
) -> float:
    """Return Raman photons per second, in both polarizations, that leave the fiber inside the filter.

    P beta dLambda times the length of `scattering_km`, over h c / lambda; `seen` is which way classical
    light goes, seen from the quantum light.
    """
    figures = light.figures
    ways = (False, True) if seen is Direction.BOTH else (seen is Direction.BACKWARD,)
    reach_km = sum(
        scattering_km(length_km, db_per_km, light.classical_db_per_km, against=against)
        for against in ways
    )
    photon_j = _PLANCK_J_S * _LIGHT_M_PER_S / figures.wavelength_m
    return light.launch_w * figures.raman_per_km_nm * light.filter_nm * reach_km / photon_j


def photons_per_mode(
    light: Coexistence, length_km: float, db_per_km: float, seen: Direction
) -> float:
    """Return Raman photons in one mode of time, frequency and polarization: Kumar et al. 2015, eq. 6.

    There are 2 c dLambda / lambda^2 modes a second in a filter.
    """
    width_hz = _LIGHT_M_PER_S * light.filter_nm * 1e-9 / light.figures.wavelength_m**2
    return scattered_hz(light, length_km, db_per_km, seen=seen) / (2 * width_hz)


def lit(setup: Any, length_km: float, light: Coexistence) -> Any:
    """Return a setup as it works in a fiber that carries this light too.

    Raises ParameterError for quantum routers, whose noise is not modelled.
    """
    if hasattr(setup, "insertion_loss_db"):
        setup = replace(setup, insertion_loss_db=setup.insertion_loss_db + light.loss_db)
    span_km = min(length_km, setup.span_km) if isinstance(setup, ChainSetup) else length_km
    match setup:
        case Bb84Setup():
            clicks = _clicks_per_gate(light, span_km, setup, setup.clock_hz, light.direction)
            background = setup.background_yield + clicks * setup.receiver_efficiency
            return replace(setup, background_yield=min(1.0, background))
        case MdiSetup():
            return _relay_lit(setup, length_km, light)
        case PulsedSetup() | ContinuousSetup():
            return _pairs_lit(setup, length_km, light)
        case Gg02Setup():
            return replace(
                setup, excess_noise=setup.excess_noise + _excess(setup, length_km, light)
            )
        case _ if hasattr(setup, "routers"):
            raise ParameterError(
                "coexistence", "is not modelled with quantum routers; give their links none"
            )
        case _:
            return setup  # bare fiber: capacity knows loss only


def _excess(setup: Gg02Setup, length_km: float, light: Coexistence) -> float:
    """Return 2 N over the transmittance: Raman noise at the input of the channel (Kumar et al., eq. 7)."""
    arriving = photons_per_mode(light, length_km, setup.attenuation_db_per_km, light.direction)
    eta = fiber_transmittance(length_km, setup.attenuation_db_per_km, setup.insertion_loss_db)
    return 2 * arriving * transmittance_from_db(light.mux_db) / eta


def _clicks_per_gate(
    light: Coexistence, length_km: float, setup: Any, clock_hz: float, seen: Direction
) -> float:
    """Return Raman photons behind the demultiplexer in one gate, which is no longer than a period."""
    arriving_hz = scattered_hz(light, length_km, setup.attenuation_db_per_km, seen=seen)
    return arriving_hz * transmittance_from_db(light.mux_db) * min(light.gate_s, 1 / clock_hz)


def _arms(share: float, direction: Direction) -> tuple[tuple[float, Direction], ...]:
    """Return the share of the fiber of both arms with the way of classical light, seen towards the middle.

    Light from a to b goes with what a sends to the middle, and against what b sends.
    """
    return (share, direction), (1 - share, direction.turned())


def _relay_lit(setup: MdiSetup, length_km: float, light: Coexistence) -> MdiSetup:
    """Return an MDI relay whose four detectors share what comes out of both arms."""
    per_gate = sum(
        _clicks_per_gate(light, share * length_km, setup, setup.clock_hz, seen)
        for share, seen in _arms(setup.relay_position, light.direction)
    )
    dark = setup.dark_probability + per_gate / 4 * setup.detector_efficiency
    return replace(setup, dark_probability=min(1.0, dark))


def _pairs_lit(
    setup: PulsedSetup | ContinuousSetup, length_km: float, light: Coexistence
) -> PulsedSetup | ContinuousSetup:
    """Return two receivers of pairs, each lit by its own arm, whose photons come from the middle."""
    (share_a, seen_b), (share_b, seen_a) = _arms(setup.source_position, light.direction)
    if isinstance(setup, ContinuousSetup):
        passed = transmittance_from_db(light.mux_db)
        noise_a, noise_b = (
            passed * scattered_hz(light, share * length_km, setup.attenuation_db_per_km, seen=seen)
            for share, seen in ((share_a, seen_a), (share_b, seen_b))
        )
        return replace(
            setup,
            dark_rate_a_hz=setup.dark_rate_a_hz + noise_a * setup.efficiency_a,
            dark_rate_b_hz=setup.dark_rate_b_hz + noise_b * setup.efficiency_b,
        )
    gate_a, gate_b = (
        _clicks_per_gate(light, share * length_km, setup, setup.clock_hz, seen)
        for share, seen in ((share_a, seen_a), (share_b, seen_b))
    )
    return replace(
        setup,
        background_yield_a=min(1.0, setup.background_yield_a + gate_a * setup.efficiency_a),
        background_yield_b=min(1.0, setup.background_yield_b + gate_b * setup.efficiency_b),
    )
