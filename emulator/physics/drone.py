"""UAV links: beams between small lenses, chains of lens relays, and the key that they give.

A UAV takes light in through a lens and sends it on through another, without measuring it (H.-Y. Liu et
al., PRL 126, 020503 (2021)).  A chain therefore multiplies transmittances and keeps the entanglement;
what suffers is the signal over the noise.  The source flies in the middle.  One of pairs makes the key of
BBM92 with a source that runs all the time, and no UAV knows it; one that prepares decoy states makes a key
with either end, and knows both.  If every UAV is a trusted relay instead, the key is that of one hop.

UAVs fly below clouds, which cost them nothing; fog and haze do.  A beam trembles, and turbulence along it
widens the beam and spoils the coupling into a single-mode fiber; by day it is stronger, and sky light
joins. All are means over time: fading is not known here.
Lengths along the beam are in km, waists and apertures in m, angles in rad.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from emulator.input_checks import (
    ParameterError,
    require_between,
    require_positive,
)
from emulator.physics import bb84
from emulator.physics.bb84 import Bb84Setup
from emulator.physics.bbm92 import ContinuousSetup, PairRate, continuous_rate
from emulator.physics.channel import transmittance_from_db
from emulator.physics.relay import span_count
from emulator.physics.sky_light import DAY_SKY

_KM = 1_000.0
_PLANCK_J_S, _LIGHT_M_PER_S = 6.62607015e-34, 299_792_458.0

NIGHT_CN2_M23, STIRRED_BY_DAY = 1e-14, 10.0
"""Turbulence near the ground in m^(-2/3): moderate; around noon it is so many times as strong.

Andrews, Phillips, Laser Beam Propagation through Random Media (2005): 1e-17 to 1e-12.
"""
_MOST_CN2_M23 = 1e-10


@dataclass(frozen=True)
class HopSetup:
    """One hop: a Gaussian beam with its waist at the sending lens, and an equal lens that receives.

    `coupling` is the share of the collected light that a relay or receiver gets into its single-mode
    fiber and through its optics in still air; `jitter_rad` the pointing error of one axis, `cn2_m23` the
    structure constant of the air, `filter_um` the width of the spectral filters.
    """

    wavelength_m: float = 810e-9
    waist_m: float = 0.0132  # half a lens
    aperture_m: float = 0.0528
    jitter_rad: float = 0.0
    coupling: float = 1.0
    visibility_km: float = 23.0
    cn2_m23: float = 0.0
    filter_um: float = 0.01

    def __post_init__(self) -> None:
        require_positive(
            self, "wavelength_m", "waist_m", "aperture_m", "visibility_km", "filter_um"
        )
        require_between(self, 0, 1e-2, "jitter_rad")
        require_between(self, 0, 1, "coupling")
        require_between(self, 0, _MOST_CN2_M23, "cn2_m23")


@dataclass(frozen=True)
class UavSetup:
    """A chain of UAVs: its hops, what one UAV bridges, and the source with its receivers.

    Of `pairs`, the position of the source and everything about fiber count for nothing here.
    """

    hop: HopSetup
    pairs: ContinuousSetup
    hop_km: float = 1.0

    def __post_init__(self) -> None:
        require_positive(self, "hop_km")


@dataclass(frozen=True)
class PreparingUavSetup:
    """The same with a source that prepares decoy states, one towards either side.

    The background yield of `bb84` is that of the detectors alone; what is said of fiber counts for nothing.
    """

    hop: HopSetup
    bb84: Bb84Setup
    gate_s: float  # how long detectors listen for a pulse
    hop_km: float = 1.0

    def __post_init__(self) -> None:
        require_positive(self, "hop_km", "gate_s")


Setup = UavSetup | PreparingUavSetup


@dataclass(frozen=True)
class UavDevice:
    """The parameters of one published system, and their source."""

    name: str
    setup: Setup
    provenance: str


def rayleigh_length_km(waist_m: float, wavelength_m: float) -> float:
    """Return pi w0^2 / lambda: how far a beam goes until its area has doubled."""
    return math.pi * waist_m**2 / wavelength_m / _KM


def spot_radius_m(waist_m: float, wavelength_m: float, distance_km: float) -> float:
    """Return the 1/e^2 radius of a Gaussian beam at a distance from its waist."""
    return waist_m * math.hypot(1, distance_km / rayleigh_length_km(waist_m, wavelength_m))


def collected(aperture_m: float, spot_m: float) -> float:
    """Return the share of a centered Gaussian beam inside an aperture: 1 - exp(-2 a^2 / w^2)."""
    return -math.expm1(-2 * (aperture_m / 2 / spot_m) ** 2)


def mean_radius_m(hop: HopSetup, distance_km: float) -> float:
    """Return the 1/e^2 radius of a beam's mean intensity, with all its trembling and spreading.

    w^2 + (2 sigma L)^2 + (2 L / (k rho_0))^2.  The mean of a Gaussian that strays by a Gaussian is one
    again, so the share inside an aperture of any size is exact.  Turbulence: long-term spread of a
    spherical wave, Fante, Proc. IEEE 63, 1669 (1975).
    """
    spot_m = spot_radius_m(hop.waist_m, hop.wavelength_m, distance_km)
    strayed_m = 2 * hop.jitter_rad * distance_km * _KM
    return math.hypot(spot_m, strayed_m, 2 * distance_km * _KM * _spread_rad(hop, distance_km))


def steadiness(hop: HopSetup, distance_km: float) -> float:
    """Return the share of the still air's coupling into a single-mode fiber that turbulence leaves.

    The long-exposure Strehl ratio [1 + (D / r0)^(5/3)]^(-6/5), r0 = (0.16 Cn2 k^2 L)^(-3/5) of a
    spherical wave: Andrews, Phillips 2005, chapter 14.  D is the lens, or the beam where that is narrower.
    """
    spot_m = spot_radius_m(hop.waist_m, hop.wavelength_m, distance_km)
    across_m = min(hop.aperture_m, 2 * spot_m)
    strength = 0.16 * _turbulence(hop, distance_km)  # r0^(-5/3)
    return float((1 + across_m ** (5 / 3) * strength) ** (-6 / 5))


def _spread_rad(hop: HopSetup, distance_km: float) -> float:
    """Return 1 / (k rho_0), rho_0 = (0.545 Cn2 k^2 L)^(-3/5): how turbulence widens a beam."""
    wave_number = 2 * math.pi / hop.wavelength_m
    return float((0.545 * _turbulence(hop, distance_km)) ** (3 / 5) / wave_number)


def _turbulence(hop: HopSetup, distance_km: float) -> float:
    """Return Cn2 k^2 L in m^(-5/3)."""
    return hop.cn2_m23 * (2 * math.pi / hop.wavelength_m) ** 2 * distance_km * _KM


def extinction_db_per_km(visibility_km: float, wavelength_m: float = 810e-9) -> float:
    """Return the extinction of haze and fog at sea level: Kruse, with the exponent of Kim.

    I. Kim, B. McArthur, E. Korevaar, Proc. SPIE 4214, 26 (2001); 550 nm, where visibility is
    defined by a contrast of 2 %, loses 16.99 dB over it.
    """
    if not visibility_km > 0:
        raise ParameterError("visibility_km", f"must be positive, not {visibility_km}")
    colour = (wavelength_m / 550e-9) ** -_kim_exponent(visibility_km)
    return 16.99 / visibility_km * float(colour)


def hop_transmittance(hop: HopSetup, distance_km: float) -> float:
    """Return the share of photons that survive one hop, from lens to lens and into the fiber."""
    air_db = extinction_db_per_km(hop.visibility_km, hop.wavelength_m) * distance_km
    return (
        collected(hop.aperture_m, hop.waist_m)  # out through the sending lens
        * collected(hop.aperture_m, mean_radius_m(hop, distance_km))
        * transmittance_from_db(air_db)
        * hop.coupling
        * steadiness(hop, distance_km)
    )


def chain_rate(setup: Setup, distance_km: float, uavs: int | None = None) -> PairRate:
    """Return coincidences and secret bits per second between two ground stations.

    n UAVs make n + 1 equal hops; the one with the source is in the middle, or half a hop off it.
    Without `uavs` there is one for each `hop_km`, begun or whole.
    """
    count = span_count(distance_km, setup.hop_km) if uavs is None else uavs
    if count < 1:
        raise ParameterError("uavs", f"must be one or more, not {count}")
    step = hop_transmittance(setup.hop, distance_km / (count + 1))
    hops_a = (count + 1) // 2
    eta_a, eta_b = step**hops_a, step ** (count + 1 - hops_a)
    if isinstance(setup, PreparingUavSetup):
        return prepared_rate(setup, min(eta_a, eta_b))
    pairs = setup.pairs
    return continuous_rate(pairs, eta_a * pairs.efficiency_a, eta_b * pairs.efficiency_b)


def prepared_rate(setup: PreparingUavSetup, transmittance: float) -> PairRate:
    """Return signal clicks and secret bits per second of decoy BB84: endless keys, two decoys."""
    sent_hz = setup.bb84.clock_hz
    rate = bb84.vacuum_weak_rate(setup.bb84, transmittance)
    seen_hz = bb84.clicks(setup.bb84, transmittance, setup.bb84.signal_photons).gain * sent_hz
    return PairRate(seen_hz, rate.qber, rate.bits_per_pulse * sent_hz)


def relayed_rate(setup: Setup, distance_km: float, uavs: int | None = None) -> PairRate:
    """Return what each hop yields if every UAV is a trusted relay; it is what the chain delivers.

    n UAVs make n + 1 equal hops that work at the same time.  On each, a source at one end sends states to
    the other, or keeps one photon of a pair and sends the other; keys are forwarded hop by hop, so every
    UAV knows them.
    """
    count = span_count(distance_km, setup.hop_km) if uavs is None else uavs
    if count < 1:
        raise ParameterError("uavs", f"must be one or more, not {count}")
    eta = hop_transmittance(setup.hop, distance_km / (count + 1))
    if isinstance(setup, PreparingUavSetup):
        return prepared_rate(setup, eta)
    pairs = setup.pairs
    return continuous_rate(pairs, pairs.efficiency_a, eta * pairs.efficiency_b)


def sky_light_hz(
    radiance_w_m2_sr_um: float, bandwidth_um: float, wavelength_m: float = 810e-9
) -> float:
    """Return the photons per second that the sky sends into one spatial mode, both polarizations.

    A mode has the etendue lambda^2, whatever the lens.  Radiances: see `sky_light`.
    """
    photon_j = _PLANCK_J_S * _LIGHT_M_PER_S / wavelength_m
    return radiance_w_m2_sr_um * bandwidth_um * wavelength_m**2 / photon_j


def under_sky(setup: Setup, radiance_w_m2_sr_um: float, *, is_day: bool = False) -> Setup:
    """Return the same chain under a sky: its light adds to dark counts, and by day the air shimmers."""
    stirred = STIRRED_BY_DAY if is_day else 1.0
    hop = replace(setup.hop, cn2_m23=min(_MOST_CN2_M23, stirred * setup.hop.cn2_m23))
    light_hz = sky_light_hz(radiance_w_m2_sr_um, hop.filter_um, hop.wavelength_m) * hop.coupling
    if isinstance(setup, PreparingUavSetup):
        device = setup.bb84
        clicks = light_hz * device.receiver_efficiency * setup.gate_s
        background = min(1.0, device.background_yield + clicks)
        return replace(setup, hop=hop, bb84=replace(device, background_yield=background))
    pairs = setup.pairs
    lit = replace(
        pairs,
        dark_rate_a_hz=pairs.dark_rate_a_hz + light_hz * pairs.efficiency_a,
        dark_rate_b_hz=pairs.dark_rate_b_hz + light_hz * pairs.efficiency_b,
    )
    return replace(setup, hop=hop, pairs=lit)


def in_daylight(setup: Setup) -> Setup:
    """Return the same chain under the sky of a bright day."""
    return under_sky(setup, DAY_SKY, is_day=True)


def _kim_exponent(visibility_km: float) -> float:
    """Return the exponent of the wavelength, which loses its say as droplets grow."""
    if visibility_km > 50:
        return 1.6
    if visibility_km > 6:
        return 1.3
    if visibility_km > 1:
        return 0.16 * visibility_km + 0.34
    return max(0.0, visibility_km - 0.5)


_HOP = HopSetup(jitter_rad=1e-5, coupling=0.3, cn2_m23=NIGHT_CN2_M23)

LIU_2020 = UavDevice(
    "liu-2020",
    UavSetup(
        hop=_HOP,
        pairs=ContinuousSetup(
            pair_rate_hz=2.4e6,
            coincidence_window_s=2e-9,
            efficiency_a=0.5,
            efficiency_b=0.5,
            dark_rate_a_hz=1_000.0,
            dark_rate_b_hz=1_000.0,
            misalignment=0.042,
        ),
    ),
    "H.-Y. Liu et al., Natl. Sci. Rev. 7, 921 (2020): 2.4e6 pairs a second, 200 m; polarization error "
    "from S = 2.59 of the group's next aircraft (PRL 126, 020503 (2021)), not from this one; 810 nm, "
    "lenses of 52.8 mm, jitter 10 urad, coupling 0.3, turbulence 1e-14 m^(-2/3), detectors of 0.5 with "
    "1 kHz dark counts, window 2 ns assumed",
)

DECOY_UAV = UavDevice(
    "decoy-bb84",
    PreparingUavSetup(
        hop=_HOP,
        bb84=Bb84Setup(
            clock_hz=50e6,
            receiver_efficiency=0.5,
            background_yield=4 * 1_000 * 2e-9,
            misalignment=0.013,
            signal_photons=0.5,
            decoy_photons=0.1,
            signal_fraction=0.5,
            decoy_fraction=0.25,
        ),
        gate_s=2e-9,
    ),
    "a representative source of decoy states on a UAV; hop and detectors as for liu-2020, 50 MHz, "
    "mu 0.5, nu 0.1, polarization error as that of T12, f 1.16: all values assumed",
)

UAV_DEVICES: Mapping[str, UavDevice] = {each.name: each for each in (LIU_2020, DECOY_UAV)}

UNUSED = frozenset(
    {"attenuation_db_per_km", "insertion_loss_db", "source_position", "visibility_km", "hop_km"}
)
"""Numbers of a setup that count for nothing in the air, or that distance and weather give."""
