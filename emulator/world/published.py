"""Published results that need orbits: passes of Micius, what its light lost on the way, and the keys.

Points as in `emulator.physics.published`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from itertools import product

import numpy as np

from emulator.physics import bb84
from emulator.physics.bb84_finite import FiniteBlock
from emulator.physics.channel import transmittance_from_db
from emulator.physics.downlink import transmittance
from emulator.physics.pass_keys import (
    MICIUS_2017,
    MICIUS_2020,
    decoy_block,
    decoy_pass_bits,
    decoy_setup,
    pair_counts,
    pair_setup,
)
from emulator.physics.published.free_space import loss_db
from emulator.physics.published.point import Point, plus_minus, times, within
from emulator.world.orbit_files import from_tle
from emulator.world.orbits import Floats
from emulator.world.passes import passes_over
from emulator.world.visibility import Site, sun_altitude_deg, views

XINGLONG = Site("xinglong", 40.39587, 117.57746, 890.0)
DELINGHA = Site("delingha", 37.37901, 97.72695, 3_153.0)
NANSHAN = Site("nanshan", 43.47546, 87.17669, 2_028.0)
_NIGHT = datetime(2016, 12, 19, 16, tzinfo=UTC)
_TLE_2016 = (
    "1 41731U 16051A   16353.90152003  .00000364  00000-0  17957-4 0  9993\n"
    "2 41731  97.3699 267.4500 0013200 178.5836 246.0824 15.23915303 19063"
)
_TLE_2021 = (
    "1 41731U 16051A   21117.42314584  .00000696  00000-0  30260-4 0  9998\n"
    "2 41731  97.3499  30.8507 0012844 347.0485 124.2616 15.25507799261429"
)
_USABLE_KM = 1_200.0  # key was made up to this range
_CONTACTS_DAYS = 2

_LIAO = "Liao et al., Nature 549, 43 (2017)"
_YIN = "Yin et al., Nature 582, 501 (2020)"
_YIN_2017 = "Yin et al., PRL 119, 200501 (2017), abstract"
_FLIGHT = "elements of 18 December 2016, the pass over Xinglong at 16:52 UTC on the 19th"
_DECOYS, _PAIRS = MICIUS_2017.setup, MICIUS_2020.setup
_DECOY_PRESET, _PAIR_PRESET = {MICIUS_2017.name: _DECOYS}, {MICIUS_2020.name: _PAIRS}
_PUBLISHED_KM, _PUBLISHED_DB = (645, 800, 1_000, 1_200), (29.8, 30.9, 34.4, 37.9)


@cache
def night_over_xinglong() -> tuple[Floats, Floats]:
    """Return ranges (km) and elevations (degrees) by second of the published pass, up to 1200 km."""
    micius = from_tle(_TLE_2016, _NIGHT)
    seen = views(micius, [XINGLONG], np.arange(0, 7_200, 1.0))
    near = seen.range_km[0, 0] <= _USABLE_KM
    return seen.range_km[0, 0][near], seen.elevation_deg[0, 0][near]


@cache
def modelled_night() -> tuple[float, ...]:
    """Return the modelled transmittance by second of that pass."""
    ranges_km, elevations_deg = night_over_xinglong()
    pairs = zip(ranges_km, elevations_deg, strict=True)
    return tuple(transmittance(_DECOYS.link, float(d), float(e)) for d, e in pairs)


def published_night() -> list[float]:
    """Return the published transmittance by second, beyond 1000 km extended as it goes before."""
    losses_db = np.interp(night_over_xinglong()[0], _PUBLISHED_KM, _PUBLISHED_DB)
    return [transmittance_from_db(float(each)) for each in losses_db]


def loss_at_db(range_km: float) -> float:
    """Return the modelled loss where the pass was nearest to a range."""
    ranges_km, _ = night_over_xinglong()
    return loss_db(modelled_night()[int(np.argmin(np.abs(ranges_km - range_km)))])


def sifted_signal(block: FiniteBlock) -> float:
    """Return what Liao et al. call sifted: signals in either basis."""
    return block.key.clicks[0] + block.test.clicks[0]


def counted_from_published_loss() -> float:
    """Return the sifted bits of the pass, from the published loss."""
    return sifted_signal(decoy_block(decoy_setup(_DECOYS), published_night(), 1.0))


def sifted_share() -> float:
    """Return the sifted bits as a share of all detections in both bases, matching or not."""
    block = decoy_block(decoy_setup(_DECOYS), published_night(), 1.0)
    return sifted_signal(block) / (2 * (sum(block.key.clicks) + sum(block.test.clicks)))


def sifted_bps(loss: float) -> float:
    """Return sifted bits per second at a loss in dB."""
    setup = decoy_setup(_DECOYS)
    seen = bb84.clicks(setup, transmittance_from_db(loss), setup.signal_photons)
    return setup.clock_hz * setup.signal_fraction * seen.gain / 2


def counted_from_modelled_loss() -> float:
    """Return the sifted bits of the pass, from orbit and optics."""
    return sifted_signal(decoy_block(decoy_setup(_DECOYS), modelled_night(), 1.0))


def key_of_the_published_counts() -> float:
    """Return the key of the pass if as many bits are sifted as were: every pulse dimmed alike."""
    setup, shares = decoy_setup(_DECOYS), published_night()
    dimmer = 1_671_072 / counted_from_published_loss()
    return decoy_pass_bits(_DECOYS, decoy_block(setup, [dimmer * eta for eta in shares], 1.0))


def single_link_db(range_km: float) -> float:
    """Return what one photon of a pair loses down to Delingha, detector included, on a rising pass."""
    micius = from_tle(_TLE_2021, datetime(2021, 4, 27, tzinfo=UTC))
    seen = views(micius, [DELINGHA], np.arange(0, 2 * 86_400, 5.0))
    nearest = int(np.argmin(np.abs(seen.range_km[0, 0] - range_km)))
    away_km, up_deg = float(seen.range_km[0, 0, nearest]), float(seen.elevation_deg[0, 0, nearest])
    return loss_db(transmittance(_PAIRS.link_a, away_km, up_deg) * _PAIRS.bbm92.efficiency_a)


def coincidences_hz() -> float:
    """Return coincidences a second in the longest contact of Delingha and Nanshan by night."""
    epoch = datetime(2021, 4, 27, tzinfo=UTC)
    micius, stations = from_tle(_TLE_2021, epoch), [DELINGHA, NANSHAN]
    passes = passes_over(micius, stations, 0, _CONTACTS_DAYS * 86_400.0, 10.0)
    common = (
        (max(a.rise_s, b.rise_s), min(a.set_s, b.set_s))
        for a, b in product(passes, passes)
        if (a.site, b.site) == (DELINGHA.name, NANSHAN.name)
    )
    dark = (
        (start_s, end_s)
        for start_s, end_s in common
        if start_s < end_s and sun_altitude_deg(stations, epoch, np.array([start_s])).max() < -12
    )
    start_s, end_s = max(dark, key=lambda contact: contact[1] - contact[0])
    seen = views(micius, stations, np.arange(start_s, end_s, 2.0))
    links = (_PAIRS.link_a, _PAIRS.link_b)
    steps = [
        tuple(
            transmittance(
                link, float(seen.range_km[0, at, step]), float(seen.elevation_deg[0, at, step])
            )
            for at, link in enumerate(links)
        )
        for step in range(seen.range_km.shape[-1])
    ]
    counts = pair_counts(pair_setup(_PAIRS), [(a, b) for a, b in steps], 2.0)
    return counts.sifted / _PAIRS.bbm92.sifting / (end_s - start_s)


def _loss_point(range_km: float, published_db: float) -> Point:
    return Point(
        f"micius-loss-{range_km:.0f}km", f"loss before the detectors at {range_km:g} km (dB)", _LIAO,
        f"{_FLIGHT}; optics 16 %, zenith 0.6", published_db, plus_minus(2.5),
        lambda: loss_at_db(range_km), _DECOY_PRESET,
    )  # fmt: skip


POINTS = (
    Point(
        "micius-closest", "closest range over Xinglong (km)", _LIAO, _FLIGHT, 645, plus_minus(3),
        lambda: float(night_over_xinglong()[0].min()), {},
    ),
    Point(
        "micius-usable", "time within 1200 km of Xinglong (s)", _LIAO, _FLIGHT, 273, plus_minus(3),
        lambda: float(len(night_over_xinglong()[0])), {},
    ),
    _loss_point(645, 29.8),
    _loss_point(800, 30.9),
    _loss_point(1_000, 34.4),
    Point(
        "micius-sifted-closest", "sifted key at 645 km (bit/s)", _LIAO,
        f"{_FLIGHT}; 100 MHz, mu 0.8, half of them signals, detectors 50 %", 12_000, times(0.56, 1.78),
        lambda: sifted_bps(loss_at_db(645)), _DECOY_PRESET,
    ),
    Point(
        "micius-sifted-farthest", "sifted key at 1200 km, published as about this (bit/s)", _LIAO,
        f"{_FLIGHT}; 100 MHz, mu 0.8, half of them signals, detectors 50 %", 1_000, times(0.56, 1.78),
        lambda: sifted_bps(loss_at_db(1_200)), _DECOY_PRESET,
    ),
    Point(
        "micius-sifted-detectors", "sifted key at 645 km from the published loss (bit/s)", _LIAO,
        "29.8 dB; 100 MHz, mu 0.8, half of them signals, detectors 50 %", 12_000, within(0.25),
        lambda: sifted_bps(29.8), _DECOY_PRESET,
    ),
    Point(
        "micius-counts-detectors", "sifted bits of the pass from the published loss", _LIAO,
        "29.8, 30.9 and 34.4 dB at 645, 800 and 1000 km, extended to 1200 km", 1_671_072, within(0.25),
        counted_from_published_loss, _DECOY_PRESET,
    ),
    Point(
        "micius-sifted-share", "sifted bits of all detections", _LIAO,
        "mu 0.8, 0.1 and 0, half, a quarter and a quarter of the pulses", 0.4706, plus_minus(0.003),
        sifted_share, _DECOY_PRESET,
    ),
    Point(
        "micius-counts", "sifted bits of the pass", _LIAO, f"{_FLIGHT}; all of the preset", 1_671_072,
        within(0.25), counted_from_modelled_loss, _DECOY_PRESET,
    ),
    Point(
        "micius-key", "secret key of the pass (bit)", _LIAO,
        "1 671 072 sifted bits at 1.1 %, failure 1e-9; f 1.16, theirs is not published", 300_939,
        within(0.3), key_of_the_published_counts, _DECOY_PRESET,
    ),
    Point(
        "micius-pairs-530km", "loss of one photon to Delingha at 530 km, detector included (dB)",
        _YIN_2017, "810 nm, 10 urad, 1.2 m; receiver of 2020, theirs is the one before it", 29,
        plus_minus(2.5), lambda: single_link_db(530), _PAIR_PRESET,
    ),
    Point(
        "micius-pairs-1000km", "loss of one photon to Delingha at 1000 km, detector included (dB)",
        _YIN_2017, "810 nm, 10 urad, 1.2 m; receiver of 2020, theirs is the one before it", 36,
        plus_minus(2.5), lambda: single_link_db(1_000), _PAIR_PRESET,
    ),
    Point(
        "micius-2020-coincidences", "coincidences of Delingha and Nanshan (Hz)", _YIN,
        "5.9 MHz of pairs, elements of 2021, longest contact of two nights; optics and detectors assumed",
        2.2, times(1 / 3, 3), coincidences_hz, _PAIR_PRESET,
    ),
)  # fmt: skip
"""All points that need orbits."""
