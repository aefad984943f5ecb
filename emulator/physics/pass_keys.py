"""What a pass of a satellite is worth in key bits.

Decoy BB84 down from a satellite that is trusted, and BBM92 from one that need not be.  Counts are summed
over the whole pass and distilled once: keys of seconds would each pay the price of small numbers.
All counts are expectations of a model.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from emulator.input_checks import require_not_negative, require_positive
from emulator.physics import bb84, bb84_finite, bbm92
from emulator.physics.bb84_finite import BasisCounts, FiniteBlock, FiniteSetup
from emulator.physics.bb84_finite import sampling_deviation as sampling_gap
from emulator.physics.bbm92 import ContinuousSetup, PairRate
from emulator.physics.channel import binary_entropy, phase_entropy
from emulator.physics.devices import Device
from emulator.physics.downlink import Downlink, half_divergence_rad, sky_photons_hz
from emulator.physics.sky_light import NEW_MOON_SKY


@dataclass(frozen=True)
class DecoyDownlink:
    """A satellite that sends decoy BB84, and a ground station.

    The background yield of `bb84` is that of the detectors alone; the sky comes on top.
    """

    link: Downlink
    bb84: FiniteSetup
    gate_s: float  # how long detectors listen for a pulse
    both_bases_make_key: bool = False  # each tested by the other

    def __post_init__(self) -> None:
        require_positive(self, "gate_s")


@dataclass(frozen=True)
class PairDownlink:
    """A satellite that sends entangled pairs down to two ground stations.

    The dark rates of `bbm92` are those of the detectors alone; the sky comes on top.
    """

    link_a: Downlink
    link_b: Downlink
    bbm92: ContinuousSetup


@dataclass(frozen=True)
class PairCounts:
    """What two stations kept of a pass after sifting."""

    sifted: float
    wrong: float

    def __post_init__(self) -> None:
        require_not_negative(self, "sifted", "wrong")


def decoy_setup(station: DecoyDownlink, radiance: float = NEW_MOON_SKY) -> FiniteSetup:
    """Return the link's BB84 setup under a sky (see `sky_light` for radiances)."""
    seen_hz = sky_photons_hz(station.link, radiance) * station.bb84.receiver_efficiency
    background = min(1.0, station.bb84.background_yield + seen_hz * station.gate_s)
    return replace(station.bb84, background_yield=background)


def pair_setup(
    station: PairDownlink,
    radiance_a: float = NEW_MOON_SKY,
    radiance_b: float = NEW_MOON_SKY,
) -> ContinuousSetup:
    """Return the link's BBM92 setup under the skies of both stations."""
    setup = station.bbm92
    sky_a_hz = sky_photons_hz(station.link_a, radiance_a) * setup.efficiency_a
    sky_b_hz = sky_photons_hz(station.link_b, radiance_b) * setup.efficiency_b
    return replace(
        setup,
        dark_rate_a_hz=setup.dark_rate_a_hz + sky_a_hz,
        dark_rate_b_hz=setup.dark_rate_b_hz + sky_b_hz,
    )


def decoy_block(setup: FiniteSetup, transmittances: Iterable[float], step_s: float) -> FiniteBlock:
    """Return the clicks of a pass, given the downlink's transmittance in steps of equal length."""
    photons = (setup.signal_photons, setup.decoy_photons, setup.vacuum_photons)
    rest = 1 - setup.signal_fraction - setup.decoy_fraction
    fractions = (setup.signal_fraction, setup.decoy_fraction, rest)
    total, wrong = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
    for transmittance in transmittances:
        pulses = setup.clock_hz * step_s * bb84.live_fraction(setup, transmittance)
        for index, (fraction, mu) in enumerate(zip(fractions, photons, strict=True)):
            seen = bb84.clicks(setup, transmittance, mu)
            total[index] += pulses * fraction * seen.gain
            wrong[index] += pulses * fraction * seen.error_gain
    choice = math.sqrt(setup.sifting)  # how often each side picks the key basis
    key, test = (
        BasisCounts(tuple(share * n for n in total), tuple(share * m for m in wrong))
        for share in (choice**2, (1 - choice) ** 2)
    )
    return FiniteBlock(photons, fractions, key, test)


def decoy_pass_bits(station: DecoyDownlink, block: FiniteBlock) -> float:
    """Return the secret bits of a pass, from one finite-key evaluation (Lim 2014) of each key basis.

    Where both bases make key, each evaluation may fail with half the probability allowed.
    """
    setup = station.bb84
    blocks = [block]
    if station.both_bases_make_key:
        blocks.append(replace(block, key=block.test, test=block.key))
    secrecy, correctness = setup.eps_secrecy / len(blocks), setup.eps_correctness / len(blocks)
    return sum(
        bb84_finite.key_bits(each, setup.ec_efficiency, secrecy, correctness)
        for each in blocks
        if sum(each.key.clicks) > 0 and sum(each.test.clicks) > 0
    )


def pair_rate(setup: ContinuousSetup, transmittance_a: float, transmittance_b: float) -> PairRate:
    """Return coincidences, errors and asymptotic key of two simultaneous downlinks, per second."""
    return bbm92.continuous_rate(
        setup, transmittance_a * setup.efficiency_a, transmittance_b * setup.efficiency_b
    )


def pair_counts(
    setup: ContinuousSetup, transmittances: Iterable[tuple[float, float]], step_s: float
) -> PairCounts:
    """Return what a contact sifts, given both transmittances in steps of equal length."""
    sifted = wrong = 0.0
    for transmittance_a, transmittance_b in transmittances:
        rate = pair_rate(setup, transmittance_a, transmittance_b)
        kept = setup.sifting * rate.coincidences * step_s
        sifted, wrong = sifted + kept, wrong + kept * rate.qber
    return PairCounts(sifted, wrong)


def pair_pass_bits(
    counts: PairCounts, ec_efficiency: float, eps_secrecy: float, eps_correctness: float
) -> float:
    """Return the secret bits of a contact: each basis makes key and is tested by the other.

    l = n [1 - h(e + gamma)] - f n h(e) - 2 log2(1 / (2 eps)) - log2(2 / eps_cor), for each half:
    Tomamichel, Lim, Gisin, Renner, Nat. Commun. 3, 634 (2012), with gamma of Lim et al. 2014, as
    its bound of sampling is kinder to some thousand bits.
    """
    half, eps = counts.sifted / 2, eps_secrecy / 2
    if half <= 0:
        return 0.0
    error = counts.wrong / counts.sifted
    worst = error + sampling_gap(error, half, half, math.log(1 / eps))
    leaked = ec_efficiency * binary_entropy(error)
    hashed = 2 * math.log2(1 / (2 * eps)) + math.log2(4 / eps_correctness)
    return 2 * max(0.0, half * (1 - phase_entropy(worst) - leaked) - hashed)


_MICIUS_2017_LINK = Downlink(
    wavelength_m=848.6e-9,
    half_divergence_rad=half_divergence_rad(10e-6),
    pointing_jitter_rad=1.2e-6,
    telescope_m=1.0,
    optics_efficiency=0.16,
    zenith_transmittance=0.6,
)

MICIUS_2017 = Device(
    "micius-2017",
    DecoyDownlink(
        link=_MICIUS_2017_LINK,
        bb84=FiniteSetup(
            clock_hz=100e6,
            receiver_efficiency=0.5,
            background_yield=4 * 25 * 2e-9,
            misalignment=0.0098,
            signal_photons=0.8,
            decoy_photons=0.1,
            signal_fraction=0.5,
            decoy_fraction=0.25,
            sifting=0.25,
            ec_efficiency=1.16,
        ),
        gate_s=2e-9,
        both_bases_make_key=True,
    ),
    "Liao et al., Nature 549, 43 (2017): clock, intensities, 1 m telescope, optics 16 %, detectors 50 % "
    "and below 25 Hz, window 2 ns; misalignment from the QBER of 1.1 % less the background, of which the "
    "contrast of 280:1 explains a third; its divergence of about 10 urad is read as full width "
    "at half maximum (so is its beam of about 10 m at 1200 km), its tracking of 1.2 urad as a standard "
    "deviation, its 3 to 8 dB of air and turbulence as those at the top of its pass (48 degrees) and where "
    "it began to make key (15), which is 0.6 at the zenith; field of view 100 urad, filter 10 nm and f "
    "1.16 assumed",
)

_MICIUS_2020_LINK = replace(
    _MICIUS_2017_LINK, wavelength_m=810e-9, telescope_m=1.2, zenith_transmittance=0.7
)

MICIUS_2020 = Device(
    "micius-2020",
    PairDownlink(
        link_a=_MICIUS_2020_LINK,
        link_b=_MICIUS_2020_LINK,
        bbm92=ContinuousSetup(
            pair_rate_hz=5.9e6,
            coincidence_window_s=2.5e-9,
            efficiency_a=0.5,
            efficiency_b=0.5,
            dark_rate_a_hz=2_400.0,
            dark_rate_b_hz=2_400.0,
            misalignment=0.0147,
            ec_efficiency=1.19,
        ),
    ),
    "Yin et al., Nature 582, 501 (2020): 5.9 MHz of pairs, about 10 urad, 1.2 m telescopes, f 1.19; "
    "dark counts with stray light from the signal-to-noise ratio of 15:1 at the loss that these optics "
    "have in a contact, and polarization error from what that leaves of the QBER of 4.5 %; optics and "
    "pointing as in 2017, zenith transmittance 0.7 (stations at 2 and 3 km), detectors 50 %, window "
    "2.5 ns assumed",
)

EAGLE_1 = Device(
    "eagle-1",
    DecoyDownlink(
        link=Downlink(
            wavelength_m=1550e-9,
            half_divergence_rad=13.7e-6,
            pointing_jitter_rad=2e-6,
            telescope_m=0.8,
            optics_efficiency=0.1,
            zenith_transmittance=0.85,
            obscuration_m=0.3,
            field_of_view_rad=2.5e-6,
            filter_um=0.001,
        ),
        bb84=FiniteSetup(
            clock_hz=2.25e9,
            receiver_efficiency=0.7,
            background_yield=2 * 100 * 2e-10,
            misalignment=0.01,
            signal_photons=0.63,
            decoy_photons=0.14,
            vacuum_photons=0.001,
            signal_fraction=0.5,
            decoy_fraction=0.25,
            sifting=0.25,
            ec_efficiency=1.16,
            dead_time_s=2e-8,
        ),
        gate_s=2e-10,
        both_bases_make_key=True,
    ),
    "EAGLE-1 as announced (arXiv:2505.20838): phase-encoded BB84, intensities 0.63, 0.14 and 0.001, 2.25e9 "
    "symbols a second, a laser terminal of 80 mm at 1550 nm, whose beam has its waist at nine tenths "
    "of the aperture; not flown yet.  Assumed: a ground telescope of 0.8 m with adaptive optics into a "
    "single-mode fiber, optics 10 % with it, superconducting detectors of 70 %, 100 Hz and 20 ns dead "
    "time, gates 200 ps, filter 1 nm, pointing 2 urad, zenith transmittance 0.85, error 1 %, half the "
    "pulses signals, both bases alike, f 1.16",
)

DECOY_DOWNLINK_DEVICES = {each.name: each for each in (MICIUS_2017, EAGLE_1)}
PAIR_DOWNLINK_DEVICES = {MICIUS_2020.name: MICIUS_2020}

UNUSED = frozenset({"attenuation_db_per_km", "insertion_loss_db", "source_position", "block_bits"})
"""Numbers of a setup that count for nothing in a downlink: there is no fiber, and a block is a pass."""
