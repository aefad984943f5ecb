"""UAVs in an experiment: computed chains, weather that grounds them, and flights that are called home."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from network import simulate

from controllers.fleet import FleetConfig
from controllers.on_demand import OnDemandConfig
from controllers.ports import LinkSample
from controllers.uav import FlightConfig, UavController
from emulator.build.assembly import assemble
from emulator.build.environment import light_of
from emulator.build.loading import ExperimentError, read
from emulator.build.manager_role import actors_of
from emulator.build.problem import unused_of
from emulator.build.roles import KeyManagerRole, UavRole
from emulator.physics.drone import LIU_2020, chain_rate, relayed_rate, under_sky
from global_manager.orders import unit_cost
from global_manager.provisioning.model import Medium
from global_manager.provisioning.prices import Prices
from protos.core import GLOBAL_MANAGER, Message, Step
from protos.facts import FactKind
from protos.mib import OrderRow
from protos.notifications import ORDER_FAILED
from protos.pdu import ErrorStatus, Pdu, Verb
from protos.rows import encode, notified
from protos.syntax import MediumCode, RowStatus

Write = Callable[..., Path]
UAV = MediumCode.UAV
FOG = {"kind": "fog", "sites": ["A"], "at_s": 100.0, "until_s": 200.0}
STORM = {"kind": "storm", "lat_deg": 40.0, "lon_deg": -100.0, "radius_km": 20.0, "at_s": 100.0}
KM_NORTH = 1 / 111.19492664455873  # of a degree, on a sphere of 6371 km


@pytest.fixture
def placed(write_experiment: Write) -> Write:
    """Write `tiny` with changes; B is 3 km north of A, and C 40 km north of B."""

    def write(**changes: Any) -> Path:
        path = write_experiment(**changes)
        lat = {"A": 40.0, "B": 40 + 3 * KM_NORTH, "C": 40 + 43 * KM_NORTH}
        rows = "".join(f"{name},{place!r},-100\n" for name, place in lat.items())
        (path.parent / "tiny.nodes.csv").write_text("node,lat,lon\n" + rows)
        return path

    return write


def test_a_trusted_chain_is_as_fast_as_one_hop_and_a_lens_chain_soon_yields_nothing() -> None:
    setup = LIU_2020.setup
    trusted = [relayed_rate(setup, km, uavs=km).secret_bits for km in (1, 4, 20, 400)]
    lenses = [chain_rate(setup, km, uavs=km).secret_bits for km in (1, 4, 20, 400)]

    assert trusted == sorted(trusted, reverse=True), "hops of km / (km + 1) grow towards one km"
    assert trusted[-1] > 0.4 * trusted[0] > 10_000
    assert lenses[1] < 0.1 * lenses[0]
    assert lenses[-1] == 0.0


def test_a_chain_is_as_long_as_the_distance_and_costs_by_the_uav(placed: Write) -> None:
    uav = {"rate": "computed", "chain": {"relays": "trusted"}, "setup_s": 5}
    assembly = assemble(read(str(placed(uav=uav))))

    assert assembly.flights.chains == {("A", "C"): 43, ("A", "B"): 3, ("B", "C"): 40}
    long, short, middle = assembly.problem.requests
    bundle = Prices().uav_unit(1) - 20
    assert unit_cost(long, Medium.UAV) == 2 * bundle + 43 * 20
    assert unit_cost(short, Medium.UAV) == bundle + 3 * 20
    assert unit_cost(middle, Medium.UAV) == bundle + 40 * 20


@pytest.mark.parametrize(("relays", "rate"), [("lens", chain_rate), ("trusted", relayed_rate)])
def test_a_computed_rate_is_that_of_the_chain_between_the_nodes(
    placed: Write, relays: str, rate: Any
) -> None:
    uav = {"rate": "computed", "chain": {"relays": relays}, "setup_s": 5}
    setup = read(str(placed(uav=uav)))
    world = assemble(setup).world

    sample = world.sample(UAV, "B", "A", 50.0)

    moonlit = under_sky(LIU_2020.setup, light_of(setup).radiance("B", 50.0))
    expected = rate(moonlit, 3.0, 3)
    assert sample.usable
    assert sample.skr_bps == pytest.approx(expected.secret_bits, rel=1e-6)
    assert sample.qber == pytest.approx(expected.qber, rel=1e-6)
    far = world.sample(UAV, "A", "C", 50.0)
    assert far.skr_bps == pytest.approx(rate(moonlit, 43.0, 43).secret_bits, rel=1e-6)
    assert far.usable == (far.skr_bps > 0)


def test_by_day_a_computed_chain_yields_less_unless_all_hours_are_as_nights(placed: Write) -> None:
    noon_s = 18.67 * 3600  # of 1 January at 100 degrees west, from midnight UTC on
    samples = [
        assemble(read(str(placed(uav={"rate": "computed", "chain": {"daylight": daylight}}))))
        .world.sample(UAV, "A", "B", at_s)
        .skr_bps
        for daylight in (True, False)
        for at_s in (6 * 3600.0, noon_s)
    ]

    assert samples[1] < 0.2 * samples[0]
    assert samples[0] < samples[2] == samples[3], "the Moon is up"
    assert samples[0] == pytest.approx(samples[2], rel=1e-3), "and weak in a single-mode fiber"


def test_devices_of_a_chain_can_be_replaced_number_by_number(placed: Write) -> None:
    def sampled(chain: dict[str, Any]) -> LinkSample:
        world = assemble(read(str(placed(uav={"rate": "computed", "chain": chain})))).world
        return world.sample(UAV, "A", "B", 50.0)

    usual = sampled({"relays": "trusted"}).skr_bps
    changed = [{"aperture_m": 0.1}, {"coupling": 0.6}, {"jitter_rad": 0}, {"pair_rate_hz": 2.4e7}]
    for parameters in changed:
        assert sampled({"relays": "trusted", "parameters": parameters}).skr_bps > usual, parameters
    prepared = sampled({"relays": "trusted", "device": "decoy-bb84"})
    faster = sampled({"relays": "trusted", "device": "decoy-bb84", "parameters": {"clock_hz": 1e8}})
    assert faster.skr_bps == pytest.approx(2 * prepared.skr_bps)

    with pytest.raises(
        ExperimentError, match=r"uav\.chain.*parameters\.colour.*known are aperture_m"
    ):
        sampled({"parameters": {"colour": 1}})
    with pytest.raises(ExperimentError, match="coupling: must lie between 0 and 1"):
        sampled({"parameters": {"coupling": 2}})


@pytest.mark.parametrize("uav", [{"max_chain_km": 10}, {"rate": "computed"}])
def test_where_no_uav_ever_serves_none_is_planned_and_none_bought(
    placed: Write, uav: dict[str, Any]
) -> None:
    """By distance, and because lens relays over 40 km yield nothing."""
    assembly = assemble(read(str(placed(uav=uav | {"setup_s": 5}))))

    long, short, middle = (request.on_demand for request in assembly.problem.requests)
    assert long.uav_cost == long.shortfall_cost
    assert middle.uav_cost == middle.shortfall_cost
    assert short.uav_cost < short.shortfall_cost
    assert not assembly.world.sample(UAV, "C", "A", 50.0).usable
    assert assembly.world.sample(UAV, "A", "B", 50.0).usable

    unused = unused_of(read(str(placed(uav=uav))))
    assert unused.fields()["requests_without_uav"] == ["r1", "r3"]
    assert "2 of the requests are never served by UAVs" in unused.sentences()[-1]


def test_in_a_run_uavs_bring_key_over_short_distances_only(placed: Write) -> None:
    path = placed(uav={"max_chain_km": 10, "setup_s": 5}, satellite={"probability": 0})
    network, _ = simulate(read(str(path)))

    facts = network.all_facts()
    for kind in (FactKind.BOUGHT, FactKind.DELIVERED):
        of_uavs = {fact.request for fact in facts if (fact.kind, fact.medium) == (kind, "uav")}
        assert of_uavs == {1}, "only B and A are near"
    assert {fact.request for fact in facts if fact.kind is FactKind.LAPSED} >= {0}


@pytest.mark.parametrize("uav", [{"max_chain_km": 10}, {"rate": "computed"}])
def test_chains_need_the_places_of_nodes_also_where_lost_key_has_a_price(
    write_experiment: Write, uav: dict[str, Any]
) -> None:
    path = write_experiment(uav=uav, demand={"shortfall_cost": 100_000})

    with pytest.raises(ExperimentError, match=r"uav\.(max_chain_km|rate)"):
        read(str(path))


def test_weather_does_not_matter_to_uavs_unless_an_experiment_says_so(placed: Write) -> None:
    world = assemble(read(str(placed(faults=[FOG, STORM])))).world
    assert world.uav_links is None
    assert world.sample(UAV, "A", "B", 150.0).usable


@pytest.mark.parametrize(
    ("weather", "event", "grounded"),
    [
        ({}, FOG, True),
        ({"fog": False}, FOG, False),
        ({}, STORM, True),
        ({"max_wind_m_s": None}, STORM, False),
        ({"max_wind_m_s": 10}, STORM | {"wind_m_s": 10.0}, False),
        ({"max_wind_m_s": 9.9}, STORM | {"wind_m_s": 10.0}, True),
    ],
)
def test_fog_and_wind_at_either_end_ground_uavs_as_far_as_they_matter(
    placed: Write, weather: dict[str, Any], event: dict[str, Any], grounded: bool
) -> None:
    world = assemble(read(str(placed(uav__weather=weather, faults=[event])))).world
    copy = pickle.loads(pickle.dumps(world))

    for at_s, usable in ((99.0, True), (100.0, not grounded)):
        assert world.sample(UAV, "A", "C", at_s).usable is usable
        assert copy.sample(UAV, "C", "A", at_s).usable is usable
    assert world.sample(UAV, "B", "C", 150.0).usable is (event["kind"] == "fog" or not grounded)


def test_haze_dims_a_computed_chain_where_weather_matters(placed: Write) -> None:
    uav = {"rate": "computed", "setup_s": 5, "weather": {}}
    path = placed(uav=uav, weather={"replay": "haze.csv"})
    (path.parent / "haze.csv").write_text(
        "site,start_s,opaque,visibility_km\nA,0,0,\nA,60,0,2\nA,90,0,0.9\n"
    )
    world = assemble(read(str(path))).world

    clear, haze, fog = (world.sample(UAV, "A", "B", at_s) for at_s in (0.0, 60.0, 90.0))

    assert 0 < haze.skr_bps < 0.2 * clear.skr_bps
    assert haze.usable
    assert not fog.usable
    assert world.sample(UAV, "B", "C", 60.0) == world.sample(UAV, "B", "C", 0.0)


def test_only_the_uav_controller_carries_the_air(placed: Write) -> None:
    setup = read(str(placed(uav__weather={}, faults=[FOG])))
    assembly = assemble(setup)
    for role in actors_of(setup.experiment, assembly).everybody:
        if isinstance(role, KeyManagerRole):
            assert role.world.uav_links is None
        if isinstance(role, UavRole):
            assert role.world.uav_links == assembly.world.uav_links is not None


class Air:
    """A link that is lost at a time."""

    def __init__(self, lost_s: float) -> None:
        self.lost_s = lost_s

    def sample(self, _medium: MediumCode, _a: str, _b: str, now_s: float) -> LinkSample:
        return LinkSample(1_000.0, 0.03, usable=now_s < self.lost_s)

    def lost_uavs(self, _since_s: float, _now_s: float) -> float:
        return 0


def order(
    number: int, now_s: float, uav: UavController, target: str = "B"
) -> tuple[Step, ErrorStatus]:
    row = OrderRow(number, 0, 0, "A", target, 4, RowStatus.CREATE_AND_GO)
    pdu = Pdu(Verb.SET, number, tuple(encode(row)))
    step = uav.step(now_s, [Message(GLOBAL_MANAGER, uav.name, number, pdu)])
    return step, step.outbox[0].body.error_status


FLEET = FleetConfig(uavs=6, endurance_s=600.0, deploy_s=60.0, turn_s=300.0)
CONFIG = OnDemandConfig(60.0, 256, 0.11, 1_000.0)


def uavs(uav: UavController) -> dict[str, float]:
    return {m.labels[0][1]: m.value for m in uav.measures() if m.metric == "uavs"}


def test_a_flight_that_weather_catches_is_called_home_and_brings_nothing() -> None:
    uav = UavController(CONFIG, Air(lost_s=40.0), FLEET, FlightConfig(2, look_s=15.0))

    step, status = order(1, 0.0, uav)
    assert status is ErrorStatus.NO_ERROR
    assert step.wake_s == 15.0
    assert uav.step(15.0, []).wake_s == 30.0
    step = uav.step(45.0, [])

    kind, row = notified(step.outbox[0].body)
    assert step.outbox[0].destination == GLOBAL_MANAGER
    assert kind is ORDER_FAILED
    assert (row.order, row.units, row.reason) == (1, 4, "UAVs between A and B were called home")
    assert not uav.step(100.0, []).outbox
    assert uavs(uav) == {"ready": 4, "flying": 2, "charging": 0}
    assert order(2, 110.0, uav)[1] is ErrorStatus.RESOURCE_UNAVAILABLE
    uav.step(500.0, [])
    assert uavs(uav)["ready"] == 6


def test_where_weather_does_not_matter_a_flight_goes_on() -> None:
    uav = UavController(CONFIG, Air(lost_s=40.0), FLEET, FlightConfig(2))
    step, _ = order(1, 0.0, uav)
    assert step.wake_s == pytest.approx(60.0 + 4 * 256 / 1_000.0)
    assert len(uav.step(62.0, []).outbox) == 2


def test_an_order_takes_the_chain_between_its_ends_and_is_refused_beyond_the_fleet() -> None:
    chains = {("A", "B"): 4, ("A", "C"): 7}
    uav = UavController(CONFIG, Air(lost_s=1e9), FLEET, FlightConfig(1, chains))

    assert order(1, 0.0, uav, target="C")[1] is ErrorStatus.RESOURCE_UNAVAILABLE
    assert order(2, 1.0, uav)[1] is ErrorStatus.NO_ERROR
    assert uavs(uav)["ready"] == 2
    assert order(3, 2.0, uav)[1] is ErrorStatus.RESOURCE_UNAVAILABLE


def test_what_is_called_home_is_paid_back_and_bought_elsewhere(placed: Write) -> None:
    """All UAVs are called home now and then; satellites, dearer here, take over within the period."""
    gusts = [
        STORM | {"radius_km": 900.0, "at_s": at_s, "until_s": at_s + 2}
        for at_s in range(60, 300, 10)
    ]
    path = placed(
        prices={"on_demand_satellite": 30_000},
        satellite={"probability": 1.0, "setup_s": 1},
        uav={"setup_s": 8, "weather": {"look_s": 1}},
        faults=gusts,
    )
    network, _ = simulate(read(str(path)))
    facts = network.all_facts()

    refunds = [fact for fact in facts if fact.cost < 0]
    assert refunds
    assert {fact.medium for fact in refunds} == {"uav"}
    for refund in refunds:
        later = [f for f in facts if f.kind is FactKind.BOUGHT and f.serial > refund.serial]
        assert any(
            (f.request, f.period, f.units, f.medium)
            == (refund.request, refund.period, refund.units, "satellite")
            for f in later
        )


def test_what_fog_grounds_stays_a_shortfall(placed: Write) -> None:
    changes = {"satellite__probability": 0.0, "uav__weather": {}}
    everywhere = {"kind": "fog", "sites": ["A", "B", "C"], "at_s": 0.0}
    bought = {}
    for name, faults in (("calm", []), ("fog", [everywhere])):
        network, _ = simulate(read(str(placed(**changes, faults=faults))))
        facts = network.all_facts()
        media = {fact.medium for fact in facts if fact.kind is FactKind.DELIVERED}
        bought[name] = "uav" in media
        lapsed = sum(fact.units for fact in facts if fact.kind is FactKind.LAPSED)
        assert (lapsed > 0) is (name == "fog")
    assert bought == {"calm": True, "fog": False}


@pytest.mark.parametrize(
    ("uav", "fault"),
    [
        ({"chain": {}}, "uav.chain: is for a computed rate"),
        (
            {"rate": "computed", "fleet": {"uavs": 9, "uavs_per_order": 2}},
            "uav.fleet.uavs_per_order: ",
        ),
        ({"rate": "guessed"}, "uav.rate: must be 'assumed' or 'computed'"),
        ({"weather": {"rain": True}}, "uav.weather.rain: unknown field"),
        ({"weather": {"max_wind_m_s": 0}}, "uav.weather.max_wind_m_s: must be greater"),
        (
            {"setup_s": 700, "fleet": {"uavs": 1, "endurance_s": 900}},
            "uav.fleet.endurance_s: must exceed",
        ),
    ],
)
def test_uavs_that_cannot_be_are_refused_in_one_line(
    placed: Write, uav: dict[str, Any], fault: str
) -> None:
    assert the_fault(placed(uav=uav)).startswith(fault)


def test_a_computed_chain_needs_coordinates(write_experiment: Write) -> None:
    fault = the_fault(write_experiment(uav={"rate": "computed"}))
    assert (
        fault == "uav.rate: needs coordinates (lat, lon) of every node; there are none of A, B, C"
    )


def the_fault(path: Path) -> str:
    with pytest.raises(ExperimentError) as caught:
        read(str(path))
    assert len(caught.value.mistakes) == 1, str(caught.value)
    return f"{caught.value.mistakes[0].field}: {caught.value.mistakes[0].message}"
