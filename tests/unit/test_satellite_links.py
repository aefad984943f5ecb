"""Satellites over ground stations: orbit, night and clouds decide together; and a fleet can be spent."""

from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from controllers.fleet import FleetConfig
from controllers.on_demand import OnDemandConfig
from controllers.ports import LinkSample
from controllers.satellite import SatelliteController
from controllers.uav import UavController
from emulator.physics.pass_keys import MICIUS_2017, MICIUS_2020
from emulator.world.contacts import Beams, ContactRules, Entangled, Trusted, contacts
from emulator.world.orbits import walker
from emulator.world.satellite_links import SatelliteLinks
from emulator.world.sky_light import SkyLight
from emulator.world.visibility import Site, sun_altitude_deg
from emulator.world.weather import Forecast, Sky
from emulator.world.weather_events import Event, EventKind, Named
from protos.core import GLOBAL_MANAGER, Message, Step
from protos.mib import OrderRow
from protos.pdu import ErrorStatus, Pdu, Verb
from protos.rows import encode
from protos.syntax import MediumCode, RowStatus

EPOCH = datetime(2026, 1, 1, 5, tzinfo=UTC)
SITES = (Site("Dallas", 32.78, -96.80), Site("Denver", 39.74, -104.99))
NAMES = tuple(site.name for site in SITES)
DAY_S = 86_400.0
NIGHT = SkyLight(SITES, EPOCH, glow=1e-5, full_moon=0.0, day=15.0)


@pytest.fixture(scope="module")
def source() -> Trusted:
    constellation = walker(
        EPOCH, satellites=24, planes=6, phasing=1, inclination_deg=53, altitude_km=550
    )
    beams = Beams(constellation, SITES, DAY_S, 20.0, -12.0)
    return Trusted(beams, MICIUS_2017.setup, NIGHT)


@pytest.fixture(scope="module")
def clear(source: Trusted) -> SatelliteLinks:
    """Every pass by night, with no limit to contacts."""
    return SatelliteLinks(NAMES, contacts(source, ContactRules(None, None)), 600.0, None)


def usable_share(links: SatelliteLinks) -> float:
    return links.share_of("Denver", "Dallas", [float(s) for s in np.arange(0.0, DAY_S, 300.0)])


def test_every_contact_is_at_night_and_makes_key(clear: SatelliteLinks) -> None:
    site = {site.name: site for site in SITES}
    for item in clear.contacts:
        (station,) = item.stations
        middle_s = np.array([(item.start_s + item.end_s) / 2])
        assert sun_altitude_deg([site[station]], EPOCH, middle_s)[0, 0] < -11.0
        assert item.bits > 0
        assert 0 <= item.qber < 0.11


def test_both_ends_are_told_the_same_and_wait_no_longer_than_allowed(clear: SatelliteLinks) -> None:
    usable = 0
    for at_s in np.arange(0.0, DAY_S, 300.0):
        one = clear.passages("Denver", "Dallas", float(at_s))
        other = clear.passages("Dallas", "Denver", float(at_s))
        assert [set(item.contacts) for item in one] == [set(item.contacts) for item in other]
        assert all(0 <= item.ready_s - at_s <= 600.0 for item in one)
        assert all(len({each.satellite for each in item.contacts}) == 1 for item in one)
        usable += bool(one)
    assert 0 < usable < 288 / 2
    assert usable / 288 == usable_share(clear)


def test_by_day_there_is_nothing(clear: SatelliteLinks) -> None:
    assert not clear.passages("Denver", "Dallas", 14 * 3600.0)


def test_clouds_can_only_take_away(clear: SatelliteLinks) -> None:
    cloudy = replace(clear, sky=Sky(3, SITES, EPOCH))
    assert usable_share(cloudy) < usable_share(clear)
    assert {clear.has_made(item) for item in clear.contacts} == {True}
    assert {cloudy.has_made(item) for item in cloudy.contacts} == {True, False}


def test_one_contact_at_a_time_takes_away_and_short_contacts_give_some_of_it_back(
    source: Trusted, clear: SatelliteLinks
) -> None:
    whole, short = (
        replace(clear, contacts=contacts(source, rules))
        for rules in (ContactRules(), ContactRules(contact_s=60.0))
    )
    assert usable_share(whole) < usable_share(short) < usable_share(clear)
    for links in (whole, short):
        ends_s: dict[str, float] = {}
        for item in links.contacts:
            for name in (item.satellite, *item.stations):
                assert item.start_s >= ends_s.get(name, 0.0) - 1e-6
                ends_s[name] = item.end_s
    for item in short.contacts:
        (inside,) = [
            each
            for each in clear.contacts
            if (each.satellite, each.stations) == (item.satellite, item.stations)
            and each.start_s <= item.start_s < item.end_s <= each.end_s
        ]
        assert 0 < item.bits <= inside.bits


@pytest.fixture(scope="module")
def pairs(source: Trusted) -> Entangled:
    """A source of pairs that is better than any that has flown."""
    rate = replace(MICIUS_2020.setup.bbm92, pair_rate_hz=2e8, coincidence_window_s=1e-10)
    station = replace(MICIUS_2020.setup, bbm92=rate)
    return Entangled(source.beams, station, NIGHT, (("Dallas", "Denver"),))


def test_pairs_need_both_stations_at_once_and_no_trust(
    pairs: Entangled, clear: SatelliteLinks, source: Trusted
) -> None:
    entangled = replace(clear, contacts=contacts(pairs, ContactRules(None, None)))
    found = entangled.contacts
    assert found
    for item in found:
        assert item.stations == ("Dallas", "Denver")
        assert MICIUS_2020.setup.bbm92.misalignment < item.qber < 0.11  # and chance
        for station in item.stations:  # either sees the satellite all the time
            assert any(
                (each.satellite, each.site) == (item.satellite, station)
                and each.rise_s <= item.start_s < item.end_s <= each.set_s
                for each in source.beams.passes
            )
    at_s = found[0].start_s
    assert [p.contacts for p in entangled.passages("Denver", "Dallas", at_s)] == [(found[0],)]
    trusted = {each.satellite: each.bits for each in contacts(source, ContactRules())}
    assert max(item.bits for item in found) < min(trusted.values())


def test_one_cloud_over_either_station_spoils_the_pairs(
    pairs: Entangled, clear: SatelliteLinks
) -> None:
    item = contacts(pairs, ContactRules())[0]
    for opaque in ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0)):
        events = tuple(
            Event(EventKind.CLOUD, Named(frozenset({name})), 0.0, DAY_S, opaque=cover)
            for name, cover in zip(NAMES, opaque, strict=True)
        )
        cloudy = replace(clear, sky=Sky(3, SITES, EPOCH, events))
        assert cloudy.has_made(item) == (max(opaque) == 0.0)


def test_the_pairs_that_have_flown_make_no_key_in_one_pass(pairs: Entangled) -> None:
    """Micius of 2020 had 2.2 coincidences a second and needed days."""
    assert not contacts(replace(pairs, station=MICIUS_2020.setup), ContactRules())


def test_the_plan_expects_of_satellites_what_their_controller_delivers(source: Trusted) -> None:
    """The same contacts, forecasts and clouds: an order at each of these times, one after the other."""
    short, forecast = contacts(source, ContactRules(contact_s=60.0)), Forecast(4, 0.5, 39_600.0)
    links = SatelliteLinks(NAMES, short, 1800.0, Sky(7, SITES, EPOCH), forecast)
    times_s = [float(at_s) for at_s in np.arange(0.0, DAY_S, 300.0)]
    satellite = SatelliteController(OnDemandConfig(0.0, 256, 0.11, 1e9), _Air(), links)
    heard: Counter[str] = Counter()
    for number, at_s in enumerate(times_s, 1):
        row = OrderRow(number, 0, 0, "Denver", "Dallas", 1, RowStatus.CREATE_AND_GO)
        order = Pdu(Verb.SET, number, tuple(encode(row)))
        inbox = [Message(GLOBAL_MANAGER, satellite.name, number, order)]
        steps = [satellite.step(at_s, inbox), satellite.step(at_s + 299.0, [])]
        heard.update(item.destination for step in steps for item in step.outbox)
        heard["taken"] += _statuses(steps[0]).count(ErrorStatus.NO_ERROR)
    heard.update(item.destination for item in satellite.step(2 * DAY_S, []).outbox)
    served = heard["kme-Denver"]
    assert 0 < served < heard["taken"]
    assert served == round(links.share_of("Denver", "Dallas", times_s) * len(times_s))


def test_it_travels_to_another_process_unchanged(clear: SatelliteLinks) -> None:
    copy = pickle.loads(pickle.dumps(replace(clear)))
    assert copy.contacts == clear.contacts
    for at_s in (0.0, 3_600.0, 20_000.0):
        assert copy.passages("Denver", "Dallas", at_s) == clear.passages("Denver", "Dallas", at_s)


class _Air:
    def sample(self, _medium: MediumCode, _a: str, _b: str, _now_s: float) -> LinkSample:
        return LinkSample(1000.0, 0.02)

    def lost_uavs(self, _since_s: float, _now_s: float) -> float:
        return 0


def _order(number: int) -> Message:
    row = OrderRow(number, 0, 0, "A", "B", 1, RowStatus.CREATE_AND_GO)
    return Message(GLOBAL_MANAGER, "uav", number, Pdu(Verb.SET, number, tuple(encode(row))))


def _outcomes(uav: UavController, now_s: float, *orders: int) -> list[ErrorStatus]:
    return _statuses(uav.step(now_s, [_order(number) for number in orders]))


def _statuses(step: Step) -> list[ErrorStatus]:
    answers = [item.body for item in step.outbox if item.destination == GLOBAL_MANAGER]
    return [
        body.error_status
        for body in answers
        if isinstance(body, Pdu) and body.verb is Verb.RESPONSE
    ]


def test_a_spent_fleet_refuses_and_flies_again_when_it_is_charged() -> None:
    fleet = FleetConfig(uavs=2, endurance_s=600.0, deploy_s=60.0, turn_s=300.0)
    uav = UavController(OnDemandConfig(60.0, 256, 0.11, 1000.0), _Air(), fleet)
    fine, spent = ErrorStatus.NO_ERROR, ErrorStatus.RESOURCE_UNAVAILABLE
    assert _outcomes(uav, 0.0, 1, 2, 3) == [fine, fine, spent]
    assert _outcomes(uav, 100.0, 4) == [spent]
    assert _outcomes(uav, 1_000.0, 5) == [fine]
    states = {m.labels: m.value for m in uav.measures() if m.metric == "uavs"}
    assert sum(states.values()) == 2
