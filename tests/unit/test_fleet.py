"""The fleet: chains, crews and batteries, and laws that hold whatever is ordered."""

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from controllers.fleet import Fleet, FleetConfig, crews_for_continuity

CONFIG = FleetConfig(uavs=5, endurance_s=1_200.0, deploy_s=60.0, turn_s=300.0)


def counts(fleet):
    return fleet.ready, fleet.flying, fleet.charging


@pytest.mark.parametrize(("post_s", "away_s", "crews"), [
    (2_400, 0, 1), (2_400, 600, 2), (2_400, 2_400, 2), (2_400, 2_401, 3), (600, 1_800, 4),
])  # fmt: skip
def test_a_post_is_manned_for_ever_by_one_and_turn_over_flight(post_s, away_s, crews):
    assert crews_for_continuity(post_s, away_s) == crews
    assert crews >= 1 + away_s / post_s


def test_an_order_flies_lands_charges_and_is_over():
    fleet = Fleet(CONFIG)

    assert fleet.try_assign(1, 3, 500.0, now_s=0.0) == 560.0
    assert counts(fleet) == (2, 3, 0)
    assert fleet.wake_s == 620.0
    fleet.advance(620.0)
    assert counts(fleet) == (2, 0, 3)
    assert fleet.wake_s == 920.0
    fleet.advance(920.0)
    assert counts(fleet) == (5, 0, 0)
    assert fleet.wake_s is None


def test_a_spent_fleet_refuses_and_stays_as_it_is():
    fleet = Fleet(CONFIG)
    fleet.try_assign(1, 3, 500.0, now_s=0.0)

    assert fleet.try_assign(2, 3, 500.0, now_s=1.0) is None
    assert counts(fleet) == (2, 3, 0)
    assert fleet.try_assign(2, 3, 500.0, now_s=919.0) is None  # landed, but not charged
    assert fleet.try_assign(2, 3, 500.0, now_s=920.0) == 1_480.0


def test_a_repeated_order_changes_nothing():
    fleet = Fleet(CONFIG)

    assert fleet.try_assign(1, 3, 500.0, 0.0) == fleet.try_assign(1, 3, 500.0, 10.0) == 560.0
    assert counts(fleet) == (2, 3, 0)


@pytest.mark.parametrize("looks_s", [(), (20.0,), (20.0, 40.0)])
def test_the_lowest_numbers_fly_first_whoever_landed_first_and_whenever_somebody_looked(looks_s):
    fleet = Fleet(FleetConfig(uavs=2, endurance_s=100, deploy_s=5, turn_s=10))
    fleet.try_assign(1, 1, 20, 0.0)
    fleet.try_assign(2, 1, 1, 0.0)
    for now_s in looks_s:
        fleet.advance(now_s)
    fleet.try_assign(3, 1, 1, 60.0)
    assert fleet.out_for(3) == (0,)


def test_a_service_longer_than_a_battery_takes_crews_that_relieve_one_another():
    """At its post for 1080 s and away for 420 s: two crews go on for ever."""
    fleet = Fleet(CONFIG)

    assert fleet.uavs_for(2, 1_080.0) == 2
    assert fleet.uavs_for(2, 1_081.0) == fleet.uavs_for(2, 1e6) == 4
    assert fleet.try_assign(1, 2, 5_000.0, now_s=0.0) == 5_060.0
    assert counts(fleet) == (1, 4, 0)


def test_of_two_crews_one_flies_while_the_other_is_served():
    fleet = Fleet(CONFIG)
    fleet.try_assign(1, 1, 5_000.0, now_s=0.0)
    first, second = fleet.out_for(1)

    left_s = {}
    for now_s in (0.0, 600.0, 1_140.0, 1_300.0, 2_160.0):
        fleet.advance(now_s)
        left_s[now_s] = [fleet.battery_s()[uav] for uav in (first, second)]
    assert left_s[0.0] == [1_200, 1_200]
    assert left_s[600.0] == [600, 1_200]
    assert left_s[1_140.0] == [60, 1_140]  # both in the air while one relieves the other
    assert left_s[1_300.0] == [0, 980]
    assert left_s[2_160.0] == [1_200, 120]


def test_batteries_last_to_the_landing_and_not_longer():
    fleet = Fleet(CONFIG)
    fleet.try_assign(1, 1, CONFIG.post_s, now_s=0.0)
    fleet.advance(1_199.0)

    assert fleet.battery_s()[fleet.out_for(1)[0]] == pytest.approx(1.0)
    fleet.advance(1_200.0)
    assert sorted(fleet.battery_s().values()) == [0, 1_200, 1_200, 1_200, 1_200]


def test_recalled_uavs_fly_home():
    fleet = Fleet(CONFIG)
    fleet.try_assign(1, 5, 1_000.0, 0.0)
    fleet.recall(1, 100.0)
    fleet.recall(2, 100.0)

    assert fleet.wake_s == 160.0
    fleet.advance(460.0)
    assert counts(fleet) == (5, 0, 0)


@pytest.mark.parametrize("fields", [
    {"uavs": -1}, {"deploy_s": -1.0}, {"turn_s": math.nan}, {"endurance_s": 120.0},
])  # fmt: skip
def test_a_fleet_that_cannot_fly_is_refused(fields):
    name = next(iter(fields))
    with pytest.raises(ValueError, match=name):
        FleetConfig(
            **({"uavs": 5, "endurance_s": 1_200.0, "deploy_s": 60.0, "turn_s": 300.0} | fields)
        )


def test_nonsense_is_refused():
    fleet = Fleet(CONFIG)
    with pytest.raises(ValueError, match="no service"):
        fleet.try_assign(1, 0, 10.0, 0.0)
    fleet.advance(5.0)
    with pytest.raises(ValueError, match="time goes back"):
        fleet.advance(4.0)


class FleetLaws(RuleBasedStateMachine):
    """Orders, recalls and time in any sequence."""

    @initialize(
        uavs=st.integers(0, 12),
        endurance_s=st.floats(10, 3_000),
        way=st.floats(0, 0.45),
        turn_s=st.floats(0, 5_000),
    )
    def build(self, uavs, endurance_s, way, turn_s):
        self.config = FleetConfig(uavs, endurance_s, way * endurance_s, turn_s)
        self.fleet = Fleet(self.config)
        self.now_s = 0.0
        self.promised = {}

    @rule(order=st.integers(0, 6), n=st.integers(1, 5), service_s=st.floats(0, 10_000))
    def assign(self, order, n, service_s):
        self.fleet.advance(self.now_s)
        wanted, ready = self.fleet.uavs_for(n, service_s), self.fleet.ready
        is_out = bool(self.fleet.out_for(order))
        done_s = self.fleet.try_assign(order, n, service_s, self.now_s)
        if is_out:
            assert done_s == self.promised[order]
        elif wanted > ready:
            assert done_s is None
        else:
            assert done_s == pytest.approx(self.now_s + self.config.deploy_s + service_s)
            assert self.fleet.ready == ready - wanted
            self.promised[order] = done_s

    @rule(order=st.integers(0, 6))
    def recall(self, order):
        self.fleet.recall(order, self.now_s)
        if order in self.promised:
            self.promised[order] = min(self.promised[order], self.now_s)

    @rule(passed_s=st.floats(0, 5_000))
    def wait(self, passed_s):
        self.now_s += passed_s
        self.fleet.advance(self.now_s)

    @invariant()
    def no_uav_is_lost_or_made(self):
        assert sum(counts(self.fleet)) == self.config.uavs
        assert sorted(self.fleet.battery_s()) == list(range(self.config.uavs))

    @invariant()
    def no_uav_flies_for_two_orders(self):
        out = [uav for order in range(7) for uav in self.fleet.out_for(order)]
        assert len(out) == len(set(out)) == self.fleet.flying

    @invariant()
    def no_battery_is_below_empty_or_above_full(self):
        assert all(0 <= s <= self.config.endurance_s for s in self.fleet.battery_s().values())

    def teardown(self):
        if hasattr(self, "fleet"):
            while (wake_s := self.fleet.wake_s) is not None:
                self.fleet.advance(wake_s)
            assert self.fleet.ready == self.config.uavs


TestFleetLaws = FleetLaws.TestCase
TestFleetLaws.settings = settings(max_examples=150, stateful_step_count=30)
