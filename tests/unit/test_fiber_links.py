"""Fiber links as they are equipped: kinds, devices, who is trusted, what it costs and yields."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.build.demand import requests_of
from emulator.build.environment import sites_of
from emulator.build.loading import ExperimentError, built_in_names, read
from emulator.build.problem import problem_of, unused_of
from emulator.build.quantum_links import QuantumLink, by_kind, equip, quantum_links
from emulator.build.setup import Setup
from emulator.config.experiment import Keys
from emulator.config.fiber import FiberLink, FiberOptions, LinkKind
from emulator.config.topology import Link, load, save_csv
from emulator.physics.skr import secret_key_rate
from emulator.world.places import great_circle_km
from global_manager.provisioning import Policy, solve
from global_manager.provisioning.prices import Prices

Write = Callable[..., Path]
MIXED = "source,target,length_km,kind\nA,B,160,\nB,C,160,untrusted\nC,A,160,quantum-router\n"


ENDLESS = FiberOptions.model_validate({"untrusted": {"protocol": "mdi"}})


def _one(kind: LinkKind, length_km: float, **parameters: float) -> Any:
    special = FiberLink(link=("A", "B"), kind=kind, parameters=parameters)
    return equip(ENDLESS, Link("A", "B", length_km), special)


def test_trusted_repeaters_stand_between_spans_and_a_link_yields_what_a_span_yields() -> None:
    link = _one(LinkKind.TRUSTED, 200)
    span = secret_key_rate("bb84", 200 / 3)
    assert (link.trusted_repeaters, link.untrusted_repeaters) == (2, 0)
    assert (link.transmitters, link.receivers) == (3, 3)
    assert link.sample.skr_bps == span.skr_bps
    assert link.sample.qber == span.qber


@pytest.mark.parametrize("position", [0.5, 0.2])
def test_an_untrusted_link_has_one_relay_and_its_rate_at_its_split_however_long(
    position: float,
) -> None:
    link = _one(LinkKind.UNTRUSTED, 200, relay_position=position)
    alone = secret_key_rate("mdi", 200, overrides={"relay_position": position})
    assert (link.trusted_repeaters, link.untrusted_repeaters) == (0, 1)
    assert (link.transmitters, link.receivers) == (2, 1)
    assert link.sample.skr_bps == alone.skr_bps
    assert link.sample.usable == (alone.skr_bps > 0)


def _untrusted(length_km: float, **options: Any) -> QuantumLink:
    special = FiberLink(link=("A", "B"), kind=LinkKind.UNTRUSTED)
    return equip(FiberOptions(**options), Link("A", "B", length_km), special)


def test_an_untrusted_link_pays_for_the_size_of_its_blocks_unless_told_otherwise() -> None:
    assert _untrusted(50).rate == secret_key_rate("mdi-finite", 50)
    small = _untrusted(50, block_bits=3e7)
    assert small.rate == secret_key_rate("mdi-finite", 50, overrides={"block_bits": 3e7})
    assert small.rate.skr_bps < _untrusted(50).rate.skr_bps
    assert small.rate.block_s == pytest.approx(0.3 * _untrusted(50).rate.block_s)
    assert _one(LinkKind.UNTRUSTED, 50).rate == secret_key_rate("mdi", 50)


def test_a_device_may_have_blocks_of_its_own_size() -> None:
    own = {"parameters": {"block_bits": 5e7}}
    assert _untrusted(50, block_bits=3e7, untrusted=own).rate.block_bits == 5e7


def test_a_block_is_full_after_whole_periods() -> None:
    link = _untrusted(10)  # 1210 s for a block
    assert [link.periods_to_fill(s) for s in (60.0, 605.0, 1300.0)] == [21, 2, 1]
    assert _one(LinkKind.UNTRUSTED, 10).periods_to_fill(60.0) == 1
    assert link.shortcoming(Keys(), 60.0, 21) == ""
    assert "full after 21 periods, and there are 20" in link.shortcoming(Keys(), 60.0, 20)


def test_a_size_of_blocks_is_refused_where_no_protocol_has_blocks() -> None:
    with pytest.raises(ValueError, match="no protocol here has blocks"):
        FiberOptions.model_validate({"untrusted": {"protocol": "mdi"}, "block_bits": 1e7})


def test_routers_stand_at_every_span_unless_the_link_says_how_many() -> None:
    usual, dense, short = (
        _one(LinkKind.QUANTUM_ROUTER, 200),
        _one(LinkKind.QUANTUM_ROUTER, 200, routers=4),
        _one(LinkKind.QUANTUM_ROUTER, 20),
    )
    assert [item.untrusted_repeaters for item in (usual, dense, short)] == [2, 4, 1]
    assert (dense.transmitters, dense.receivers) == (10, 5)
    assert dense.rate == secret_key_rate("router", 200, overrides={"routers": 4})
    assert {item.trusted_repeaters for item in (usual, dense, short)} == {0}


def test_a_relay_reaches_further_than_one_span_and_less_far_than_trusted_repeaters() -> None:
    assert secret_key_rate("bb84", 200).skr_bps == 0
    assert _one(LinkKind.UNTRUSTED, 200).sample.skr_bps > 0
    assert _one(LinkKind.UNTRUSTED, 400).sample.skr_bps == 0
    assert _one(LinkKind.TRUSTED, 400).sample.skr_bps > 0


def test_a_link_is_as_the_experiment_says_or_the_topology_or_the_default(
    write_experiment: Write, tmp_path: Path
) -> None:
    (tmp_path / "mixed.csv").write_text(MIXED)
    path = write_experiment(
        network__topology="mixed.csv",
        fiber={"repeaters": "untrusted", "links": [{"link": ["A", "C"], "kind": "trusted"}]},
    )
    setup = read(str(path))
    links = quantum_links(setup.experiment.fiber, setup.topology)
    assert {(i.link.a + i.link.b): i.kind.value for i in links} == {
        "AB": "untrusted",
        "AC": "trusted",
        "BC": "untrusted",
    }
    assert [(row["kind"], row["links"], row["trusted_repeaters"]) for row in by_kind(links)] == [
        ("trusted", 1, 1),
        ("untrusted", 2, 0),
    ]


def test_a_network_keeps_its_kinds_when_it_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    path.write_text(MIXED)
    again = load(save_csv(load(path), tmp_path / "again.csv"))
    assert [link.kind for link in again.links] == ["", "quantum-router", "untrusted"]


def test_an_unknown_kind_in_the_topology_is_named(write_experiment: Write, tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text(MIXED.replace("untrusted", "honest"))
    with pytest.raises(ExperimentError) as caught:
        read(str(write_experiment(network__topology="odd.csv")))
    (mistake,) = caught.value.mistakes
    assert mistake.field == "network.topology"
    assert "link B-C: kind must be one of trusted, untrusted, quantum-router, not honest" in (
        mistake.message
    )


def test_untrusted_links_pay_for_each_measurement_and_for_one_key_manager() -> None:
    prices = Prices()
    measurement, ends = 2 * 1500 + 2250 + 2 * 300, 1200 + 150
    assert _one(LinkKind.TRUSTED, 160).unit_cost(prices) == 2 * 5480
    assert _one(LinkKind.UNTRUSTED, 160).unit_cost(prices) == measurement + ends + 3 * 160
    routers = _one(LinkKind.QUANTUM_ROUTER, 160, routers=2)
    assert routers.unit_cost(prices) == 3 * measurement + ends + 3 * 160


def test_the_plan_pays_what_the_kind_of_each_link_costs(
    write_experiment: Write, tmp_path: Path
) -> None:
    (tmp_path / "mixed.csv").write_text(MIXED)
    fiber = {"untrusted": {"protocol": "mdi"}}
    problem = problem_of(read(str(write_experiment(network__topology="mixed.csv", fiber=fiber))))
    costs = {fiber.a + fiber.b: fiber.unit_cost for fiber in problem.fibers}
    assert costs == {"AB": 10_960, "BC": 7_680, "AC": 13_530}


@pytest.mark.parametrize(
    ("link", "keys", "reason"),
    [
        (_one(LinkKind.TRUSTED, 80), Keys(), ""),
        (
            _one(LinkKind.UNTRUSTED, 500),
            Keys(),
            "errors are 0.497, more than keys.qber_limit of 0.11",
        ),
        (_one(LinkKind.UNTRUSTED, 500), Keys(qber_limit=0.499), "no key is left over its length"),
        (
            _one(LinkKind.TRUSTED, 80),
            Keys(unit_bits=8192),
            "bit in a period, less than a key of 8192",
        ),
    ],
)
def test_a_link_must_bring_a_key_a_wavelength_and_period(
    link: QuantumLink, keys: Keys, reason: str
) -> None:
    found = link.shortcoming(keys, period_s=60.0, periods=20)
    assert found.endswith(reason)
    assert bool(found) == bool(reason)


@pytest.mark.parametrize("policy", Policy)
def test_no_plan_reserves_on_a_link_that_yields_nothing_and_the_reader_is_told(
    write_experiment: Write, tmp_path: Path, policy: Policy
) -> None:
    rows = ("A,B,120,", "B,C,500,untrusted", "A,D,60,", "D,B,60,")
    (tmp_path / "far.csv").write_text("\n".join(("source,target,length_km,kind", *rows)))
    requests = [
        {"id": "r1", "class": "avatar", "source": "A", "target": "C"},
        {"id": "r2", "class": "avatar", "source": "A", "target": "B"},
    ]
    path = write_experiment(network__topology="far.csv", demand__requests=requests)
    setup = read(str(path))
    plan = solve(problem_of(setup), policy, gap=0.0, seed=1)
    assert [item.units for item in plan.allocations if item.request == "r1"] == [0]
    assert not [item for item in plan.allocations if "C" in item.path]
    unused = unused_of(setup)
    assert (list(unused.links), unused.requests) == (["B-C"], ("r1",))


@pytest.mark.parametrize("name", built_in_names())
def test_every_built_in_experiment_can_use_all_its_links(name: str) -> None:
    setup = read(name)
    unused = unused_of(setup)
    assert unused.links == {}
    far = _ends_far_apart(setup) if name == "sagin-day" else set()
    assert set(unused.without_uav) == far
    assert len(far) < len(requests_of(setup))


def _ends_far_apart(setup: Setup) -> set[str]:
    """Return the requests between sites that a chain of UAVs may not join, as it may have 1,000 km."""
    sites = {site.name: site for site in sites_of(setup.topology)}
    assert setup.experiment.uav.max_chain_km == 1000
    return {
        item.id
        for item in requests_of(setup)
        if great_circle_km(sites[item.source], sites[item.target]) > 1000
    }


def _lit(fiber: dict[str, Any], special: dict[str, Any] | None = None, b: str = "B") -> QuantumLink:
    options = FiberOptions.model_validate({"device": "t12"} | fiber)
    link = FiberLink.model_validate({"link": ["A", "B"]} | special) if special else None
    return equip(options, Link("A", b, 50), link)


def test_classical_channels_cost_key_and_add_errors_on_every_link_unless_it_says_otherwise() -> (
    None
):
    faint = {"launch_dbm": -30, "filter_nm": 0.1, "gate_s": 1e-10}
    dark, lit = _lit({}), _lit({"coexistence": faint})
    brighter = _lit({"coexistence": faint}, {"coexistence": {"launch_dbm": -20}})
    spared = _lit({"coexistence": faint}, {"coexistence": "none"})
    alone = _lit({}, {"coexistence": faint})

    assert 0 < brighter.sample.skr_bps < lit.sample.skr_bps < dark.sample.skr_bps
    assert brighter.sample.qber > lit.sample.qber > dark.sample.qber
    assert spared.sample == dark.sample
    assert alone.sample == lit.sample
    assert brighter.light is not None
    assert (brighter.light.launch_dbm, brighter.light.filter_nm) == (-20, 0.1)


def test_an_eavesdropper_or_a_bend_in_a_lit_fiber_comes_on_top_of_its_light() -> None:
    faint = {"launch_dbm": -20, "filter_nm": 0.1, "gate_s": 1e-10}
    dark, lit = _lit({}), _lit({"coexistence": faint})

    errors = [link.tapped(0.1).qber for link in (lit, dark)]
    assert errors[0] is not None
    assert errors[1] is not None
    assert errors[0] > errors[1]
    assert lit.dimmed(2).skr_bps < dark.dimmed(2).skr_bps
    assert lit.dimmed(0).skr_bps == lit.sample.skr_bps


def test_a_direction_is_seen_from_the_end_that_is_named_first() -> None:
    light = {"launch_dbm": -15, "filter_nm": 0.1, "gate_s": 1e-10, "direction": "forward"}
    ahead, back = (
        equip(
            FiberOptions.model_validate({"device": "t12"}),
            Link("A", "B", 50),
            FiberLink.model_validate({"link": ends, "coexistence": light}),
        )
        for ends in (["A", "B"], ["B", "A"])
    )

    assert ahead.light is not None
    assert back.light == ahead.light.turned()
    assert back.sample.qber > ahead.sample.qber, "backward scattering is the stronger"
    lit = ahead.lit(-15, 1, ahead.light.direction, "A")
    assert lit == ahead.sample
    assert ahead.lit(-15, 1, ahead.light.direction, "B") == back.sample


@pytest.mark.parametrize(
    ("fiber", "where"),
    [
        ({"coexistence": {"launch_dbm": 50}}, r"fiber\.coexistence\.launch_dbm"),
        ({"coexistence": {"colour": 1}}, r"fiber\.coexistence\.colour"),
        ({"coexistence": {"band": "X"}}, r"fiber\.coexistence\.band"),
        (
            {"coexistence": {}, "repeaters": "quantum-router"},
            r"fiber\.coexistence.*quantum routers",
        ),
        (
            {"links": [{"link": ["A", "B"], "kind": "quantum-router", "coexistence": {}}]},
            r"fiber\.links\.0.*quantum routers",
        ),
    ],
)
def test_light_that_cannot_be_is_refused_with_its_field(
    write_experiment: Write, fiber: dict[str, Any], where: str
) -> None:
    with pytest.raises(ExperimentError, match=where):
        read(str(write_experiment(fiber=fiber)))
