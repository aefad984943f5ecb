"""What a beam from a satellite loses on its way into a telescope, and what stray light joins it.

Transmittances are fractions of photons between the satellite's aperture and the detectors; the detectors
themselves belong to the receivers of `bb84` and `bbm92`.  Divergences are half angles to 1/e^2 of the
peak intensity, and names say so: quoting a full angle as a half one is worth 6 dB.

Clouds are not known here; thin ones can be given as `excess_db`.  Turbulence widens a downlink by less
than 1 dB (Liorni, Kampermann, Bruss, NJP 21, 093055 (2019)); unless a zenith transmittance includes it, it
is left out, as is its fading.
"""

import math
from dataclasses import dataclass

from emulator.input_checks import (
    ParameterError,
    require_between,
    require_not_negative,
    require_positive,
)
from emulator.physics.channel import transmittance_from_db

_PLANCK_J_S, _LIGHT_M_PER_S = 6.62607015e-34, 299_792_458.0


@dataclass(frozen=True)
class Downlink:
    """One beam from a satellite, and the telescope that catches it."""

    wavelength_m: float
    half_divergence_rad: float  # to 1/e^2, far away
    pointing_jitter_rad: float  # standard deviation along each axis
    telescope_m: float  # diameter of the aperture
    optics_efficiency: float  # telescope to detector
    zenith_transmittance: float  # of clear air, straight up, with turbulence where devices say so
    obscuration_m: float = 0.0  # diameter of what shades the middle of the aperture
    field_of_view_rad: float = 1e-4  # full angle
    filter_um: float = 0.01  # width of the spectral filter

    def __post_init__(self) -> None:
        require_positive(self, "wavelength_m", "half_divergence_rad", "telescope_m", "filter_um")
        require_positive(self, "field_of_view_rad")
        require_not_negative(self, "pointing_jitter_rad", "obscuration_m")
        require_between(self, 0, 1, "optics_efficiency", "zenith_transmittance")
        if self.obscuration_m >= self.telescope_m:
            raise ParameterError("obscuration_m", f"must be below {self.telescope_m:g}")


def half_divergence_rad(full_width_rad: float) -> float:
    """Return the half angle to 1/e^2 of a Gaussian beam from its full width at half maximum.

    I = exp(-2 r^2 / w^2) is 1/2 at r = w sqrt(ln(2) / 2).
    """
    return full_width_rad / math.sqrt(2 * math.log(2))


def beam_radius_m(half_divergence: float, wavelength_m: float, range_km: float) -> float:
    """Return the 1/e^2 radius w = w0 sqrt(1 + (d / zR)^2) of a Gaussian beam, waist on the satellite."""
    waist_m = wavelength_m / (math.pi * half_divergence)
    return math.hypot(waist_m, half_divergence * range_km * 1_000)


def geometric_transmittance(radius_m: float, telescope_m: float, obscuration_m: float) -> float:
    """Return the share of a centered Gaussian beam that enters an aperture, less what is shaded.

    exp(-2 b^2 / w^2) - exp(-2 a^2 / w^2), with a and b half the diameters.
    """
    outer, inner = (2 * (size / 2 / radius_m) ** 2 for size in (telescope_m, obscuration_m))
    return math.exp(-inner) * -math.expm1(inner - outer)


def pointing_transmittance(radius_m: float, jitter_rad: float, range_km: float) -> float:
    """Return the mean of exp(-2 r^2 / w^2) when the beam's center strays: w^2 / (w^2 + 4 s^2 d^2)."""
    strays_m = jitter_rad * range_km * 1_000
    return 1 / (1 + (2 * strays_m / radius_m) ** 2)


def air_mass(elevation_deg: float) -> float:
    """Return how much more air a slanted path has than a vertical one.

    Kasten, Young, Appl. Opt. 28, 4735 (1989); above 20 degrees within 1 % of 1 / sin.  Infinite
    below the horizon: no light comes from there.
    """
    if elevation_deg < 0:
        return math.inf
    bend = 0.50572 * math.pow(elevation_deg + 6.07995, -1.6364)
    return 1 / (math.sin(math.radians(elevation_deg)) + bend)


def atmospheric_transmittance(zenith_transmittance: float, elevation_deg: float) -> float:
    """Return the share of light that clear air lets through (Beer, Lambert)."""
    mass = air_mass(elevation_deg)
    return 0.0 if math.isinf(mass) else math.pow(zenith_transmittance, mass)


def transmittance(
    link: Downlink, range_km: float, elevation_deg: float, excess_db: float = 0.0
) -> float:
    """Return the mean share of photons that reach the detectors; `excess_db` for haze or cirrus."""
    if not 0 < range_km < math.inf:
        raise ParameterError("range_km", f"must be positive, not {range_km}")
    radius_m = beam_radius_m(link.half_divergence_rad, link.wavelength_m, range_km)
    return (
        geometric_transmittance(radius_m, link.telescope_m, link.obscuration_m)
        * pointing_transmittance(radius_m, link.pointing_jitter_rad, range_km)
        * atmospheric_transmittance(link.zenith_transmittance, elevation_deg)
        * link.optics_efficiency
        * transmittance_from_db(excess_db)
    )


def sky_photons_hz(link: Downlink, radiance: float) -> float:
    """Return photons of the sky that reach the detectors per second.

    H Omega A dLambda / (h c / lambda), times the optics; H in W / (m^2 sr um): Miao et al. 2005.
    """
    solid_angle = math.pi / 4 * link.field_of_view_rad**2
    area_m2 = math.pi / 4 * (link.telescope_m**2 - link.obscuration_m**2)
    photon_j = _PLANCK_J_S * _LIGHT_M_PER_S / link.wavelength_m
    power_w = radiance * solid_angle * area_m2 * link.filter_um
    return power_w / photon_j * link.optics_efficiency
