"""Contacts: what satellites and stations can do at a time, whatever the passes are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.world.contacts import ContactRules, Opening, Slot, booked

STATIONS = ("Dallas", "Denver", "Miami", "A", "B", "C")
ROOMY = ContactRules(per_station=None, per_satellite=None)


def opening(satellite: str, station: str, start_s: float, end_s: float) -> Opening:
    return Opening(start_s, end_s, satellite, (station,), (start_s + end_s) / 2)


def spans(slots: list[Slot]) -> list[tuple[str, float, float]]:
    return [(slot.opening.stations[0], slot.start_s, slot.end_s) for slot in slots]


def test_a_satellite_serves_the_pass_that_is_worth_most_and_the_others_are_lost() -> None:
    over = {
        opening("s", "Denver", 0.0, 300.0): 5.0,
        opening("s", "Dallas", 100.0, 400.0): 7.0,
        opening("s", "Miami", 350.0, 600.0): 6.0,
        opening("t", "Dallas", 500.0, 800.0): 1.0,
    }
    assert spans(booked(over, ContactRules(), STATIONS)) == [
        ("Dallas", 100.0, 400.0),
        ("Dallas", 500.0, 800.0),
    ]
    assert len(booked(over, ContactRules(per_satellite=2), STATIONS)) == 4
    assert len(booked(over, ROOMY, STATIONS)) == 4


def test_a_station_follows_one_satellite_at_a_time() -> None:
    over = {opening("s", "Denver", 0.0, 300.0): 5.0, opening("t", "Denver", 200.0, 500.0): 4.0}
    assert spans(booked(over, ContactRules(), STATIONS)) == [("Denver", 0.0, 300.0)]
    assert len(booked(over, ContactRules(per_station=2), STATIONS)) == 2


def test_short_contacts_move_within_their_passes_until_they_fit() -> None:
    over = {opening("s", "Denver", 0.0, 300.0): 5.0, opening("s", "Dallas", 0.0, 300.0): 4.0}
    found = booked(over, ContactRules(contact_s=60.0, acquire_s=15.0), STATIONS)
    assert spans(found) == [("Dallas", 40.0, 100.0), ("Denver", 120.0, 180.0)]


PASSES = st.builds(
    lambda satellite, station, start_s, lasts_s, best: Opening(
        start_s, start_s + lasts_s, satellite, (station,), start_s + best * lasts_s
    ),
    st.sampled_from("st"),
    st.sampled_from("ABC"),
    st.integers(0, 60).map(lambda n: 10.0 * n),
    st.integers(1, 30).map(lambda n: 10.0 * n),
    st.floats(0, 1),
)
RULES = st.builds(
    ContactRules,
    per_station=st.sampled_from([None, 1, 2]),
    per_satellite=st.sampled_from([None, 1, 2]),
    contact_s=st.sampled_from([None, 40.0, 60.0]),
    acquire_s=st.sampled_from([0.0, 15.0]),
)


@given(worth=st.dictionaries(PASSES, st.floats(1, 10), max_size=12), rules=RULES)
def test_nobody_ever_has_more_contacts_than_it_can_hold_and_each_lies_in_its_pass(
    worth: dict[Opening, float], rules: ContactRules
) -> None:
    found = booked(worth, rules, STATIONS)
    for slot in found:
        assert slot.opening.start_s <= slot.start_s < slot.end_s <= slot.opening.end_s + 1e-9
        at_once = [other for other in found if other.start_s <= slot.start_s < other.end_s]
        same_satellite = [o for o in at_once if o.opening.satellite == slot.opening.satellite]
        same_station = [o for o in at_once if o.opening.stations == slot.opening.stations]
        assert len(same_satellite) <= (rules.per_satellite or len(found))
        assert len(same_station) <= (rules.per_station or len(found))
        if rules.contact_s is not None:
            assert slot.end_s - slot.start_s <= rules.contact_s + 1e-9
    assert found == booked(dict(reversed(worth.items())), rules, STATIONS)
    if rules.per_station is None and rules.per_satellite is None:
        assert len(found) == len(worth)


@given(worth=st.dictionaries(PASSES, st.integers(1, 3), max_size=12), rules=RULES)
def test_names_of_stations_change_no_contact(
    worth: dict[Opening, float], rules: ContactRules
) -> None:
    renamed = dict(zip("ABC", "zyx", strict=True))
    other = {
        replace(opening, stations=tuple(renamed[name] for name in opening.stations)): bits
        for opening, bits in worth.items()
    }
    assert [
        (renamed[name], start_s, end_s)
        for name, start_s, end_s in spans(booked(worth, rules, "ABC"))
    ] == spans(booked(other, rules, "zyx"))


@given(worth=st.dictionaries(PASSES, st.floats(1, 10), max_size=12))
def test_contacts_of_one_satellite_leave_time_to_turn_to_the_next_station(
    worth: dict[Opening, float],
) -> None:
    found = booked(worth, replace(ContactRules(), acquire_s=15.0), STATIONS)
    for one in found:
        for other in found:
            if one is not other and one.opening.satellite == other.opening.satellite:
                gap_s = max(one.start_s, other.start_s) - min(one.end_s, other.end_s)
                assert gap_s >= 15.0 or gap_s == pytest.approx(15.0)
