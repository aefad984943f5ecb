"""UAV links: beams between small lenses, chains of lens relays, and the key that pairs give.

A UAV takes light in through a lens and sends it on through another, without measuring it (H.-Y. Liu et
al., PRL 126, 020503 (2021)).  A chain therefore multiplies transmittances and keeps the entanglement;
what suffers is the signal over the noise.  The source of pairs flies in the middle, and the key is that of
BBM92 with a source that runs all the time.  If every UAV is a trusted relay instead, it is that of one hop.

UAVs fly below clouds, which cost them nothing; fog and haze do.  Turbulence is left out: by the long-term
spread 2 L / (k rho_0) of a spherical wave it would cost the default hop 0.1 dB over 1 km at Cn2 = 1e-14
m^(-2/3), but 2 dB at 1e-13, a hot noon near the ground, and the coupling into a fiber more.
Lengths along the beam are in km, waists and apertures in m, angles in rad.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from emulator.input_checks import ParameterError, require_between, require_positive
from emulator.physics.bbm92 import ContinuousSetup, PairRate, continuous_rate
from emulator.physics.channel import transmittance_from_db
from emulator.physics.relay import span_count

_KM = 1_000.0
_PLANCK_J_S, _LIGHT_M_PER_S = 6.62607015e-34, 299_792_458.0


@dataclass(frozen=True)
class HopSetup:
    """One hop: a Gaussian beam with its waist at the sending lens, and an equal lens that receives.

    `coupling` is the share of the collected light that a relay or receiver gets into its single-mode
    fiber and through its optics; `jitter_rad` the pointing error of one axis.
    """

    wavelength_m: float = 810e-9
    waist_m: float = 0.0132  # half a lens
    aperture_m: float = 0.0528
    jitter_rad: float = 0.0
    coupling: float = 1.0
    visibility_km: float = 23.0

    def __post_init__(self) -> None:
        require_positive(self, "wavelength_m", "waist_m", "aperture_m", "visibility_km")
        require_between(self, 0, 1e-2, "jitter_rad")
        require_between(self, 0, 1, "coupling")


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
class UavDevice:
    """The parameters of one published system, and their source."""

    name: str
    setup: UavSetup
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


def pointed(spot_m: float, jitter_rad: float, distance_km: float) -> float:
    """Return the mean loss factor w^2 / (w^2 + 4 sigma^2 L^2) of a beam that trembles.

    Exact for an aperture far smaller than the spot, and too low for a larger one.
    """
    return spot_m**2 / (spot_m**2 + (2 * jitter_rad * distance_km * _KM) ** 2)


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
    spot_m = spot_radius_m(hop.waist_m, hop.wavelength_m, distance_km)
    air_db = extinction_db_per_km(hop.visibility_km, hop.wavelength_m) * distance_km
    return (
        collected(hop.aperture_m, hop.waist_m)  # out through the sending lens
        * collected(hop.aperture_m, spot_m)
        * pointed(spot_m, hop.jitter_rad, distance_km)
        * transmittance_from_db(air_db)
        * hop.coupling
    )


def chain_rate(setup: UavSetup, distance_km: float, uavs: int | None = None) -> PairRate:
    """Return coincidences and secret bits per second between two ground stations.

    n UAVs make n + 1 equal hops; the one with the source is in the middle, or half a hop off it.
    Without `uavs` there is one for each `hop_km`, begun or whole.
    """
    count = span_count(distance_km, setup.hop_km) if uavs is None else uavs
    if count < 1:
        raise ParameterError("uavs", f"must be one or more, not {count}")
    step = hop_transmittance(setup.hop, distance_km / (count + 1))
    hops_a = (count + 1) // 2
    pairs = setup.pairs
    eta_a, eta_b = step**hops_a, step ** (count + 1 - hops_a)
    return continuous_rate(pairs, eta_a * pairs.efficiency_a, eta_b * pairs.efficiency_b)


def relayed_rate(setup: UavSetup, distance_km: float, uavs: int | None = None) -> PairRate:
    """Return what each hop yields if every UAV is a trusted relay; it is what the chain delivers.

    n UAVs make n + 1 equal hops that work at the same time.  On each, a source at one end keeps one photon
    of a pair and sends the other; keys are forwarded hop by hop, so every UAV knows them.
    """
    count = span_count(distance_km, setup.hop_km) if uavs is None else uavs
    if count < 1:
        raise ParameterError("uavs", f"must be one or more, not {count}")
    pairs = setup.pairs
    eta = hop_transmittance(setup.hop, distance_km / (count + 1))
    return continuous_rate(pairs, pairs.efficiency_a, eta * pairs.efficiency_b)


def sky_light_hz(
    radiance_w_m2_sr_um: float, bandwidth_um: float, wavelength_m: float = 810e-9
) -> float:
    """Return the photons per second that the sky sends into one spatial mode, both polarizations.

    A mode has the etendue lambda^2, whatever the lens.  Radiances in W m^-2 sr^-1 um^-1: day 1.5 to
    150, full moon 1.5e-3 (Miao et al., New J. Phys. 7, 215 (2005)).
    """
    photon_j = _PLANCK_J_S * _LIGHT_M_PER_S / wavelength_m
    return radiance_w_m2_sr_um * bandwidth_um * wavelength_m**2 / photon_j


def in_daylight(
    setup: UavSetup, radiance_w_m2_sr_um: float = 15.0, bandwidth_um: float = 0.01
) -> UavSetup:
    """Return the same chain by day: sky light adds to the dark counts of both receivers."""
    light_hz = sky_light_hz(radiance_w_m2_sr_um, bandwidth_um, setup.hop.wavelength_m)
    pairs = setup.pairs
    lit = replace(
        pairs,
        dark_rate_a_hz=pairs.dark_rate_a_hz + light_hz * setup.hop.coupling * pairs.efficiency_a,
        dark_rate_b_hz=pairs.dark_rate_b_hz + light_hz * setup.hop.coupling * pairs.efficiency_b,
    )
    return replace(setup, pairs=lit)


def _kim_exponent(visibility_km: float) -> float:
    """Return the exponent of the wavelength, which loses its say as droplets grow."""
    if visibility_km > 50:
        return 1.6
    if visibility_km > 6:
        return 1.3
    if visibility_km > 1:
        return 0.16 * visibility_km + 0.34
    return max(0.0, visibility_km - 0.5)


LIU_2020 = UavDevice(
    "liu-2020",
    UavSetup(
        hop=HopSetup(coupling=0.3),
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
    "lenses of 52.8 mm, coupling 0.3, detectors of 0.5 with 1 kHz dark counts, window 2 ns assumed",
)

UAV_DEVICES: Mapping[str, UavDevice] = {LIU_2020.name: LIU_2020}
