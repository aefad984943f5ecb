"""The whole loop without processes: reserve, transmit, run short, buy, pay; and what it costs."""

from __future__ import annotations

import pickle
from collections import Counter
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from network import SimulatedNetwork, simulate

from emulator.build.assembly import Assembly
from emulator.build.loading import read
from emulator.build.setup import Setup
from emulator.config.experiment import Experiment
from emulator.results import ledger
from emulator.results.audit import audit
from emulator.results.ledger import Ledger
from global_manager.provisioning import solve
from global_manager.provisioning.model import Policy
from protos.core import FIBER_CONTROLLER, GLOBAL_MANAGER
from protos.facts import FactKind, keys_named
from protos.keys import KeyBundle, Relay
from protos.pdu import Pdu, Verb


def changed(experiment: Experiment, **sections: dict[str, Any]) -> Experiment:
    """Return the experiment with fields of sections replaced."""
    updates = {
        name: getattr(experiment, name).model_copy(update=fields)
        for name, fields in sections.items()
    }
    return experiment.model_copy(update=updates)


def booked(setup: Setup, folder: Path) -> tuple[Ledger, Assembly, SimulatedNetwork]:
    """Simulate, and read the ledger from the journals as a run does."""
    network, assembly = simulate(setup)
    network.write_journals(folder)
    experiment = setup.experiment
    book = ledger.read(
        folder, assembly.problem.requests, experiment.clock.window_s, experiment.demand.period_s
    )
    return book, assembly, network


def test_every_row_of_the_ledger_balances_and_the_audit_agrees(tiny: Setup, tmp_path: Path) -> None:
    book, assembly, _ = booked(tiny, tmp_path)
    for row in book.rows:
        served = row.fiber_units + row.satellite_units + row.uav_units
        assert row.demanded_units == served + row.shortfall_units
        assert row.late_units == row.satellite_units + row.uav_units + row.shortfall_units
    world, asked = assembly.world, Counter[str]()
    for place, request in enumerate(assembly.problem.requests):
        for period in range(tiny.experiment.demand.periods):
            asked[request.id] += world.demanded_units(place, period)
    found = Counter[str]()
    for row in book.rows:
        found[row.request] += row.demanded_units
    assert found == asked
    result = audit(tmp_path)
    assert result.ok
    assert result.totals["delivered_bits"] == 256 * sum(
        row.demanded_units - row.shortfall_units for row in book.rows
    )


def test_all_three_media_serve_and_the_shortage_ends_when_key_arrives(
    tiny: Setup, tmp_path: Path
) -> None:
    experiment = changed(tiny.experiment, demand={"periods": 60})
    book, _, _ = booked(tiny.with_experiment(experiment), tmp_path)
    for medium in ("fiber", "satellite", "uav"):
        assert sum(getattr(row, f"{medium}_units") for row in book.rows) > 0
    for row in book.rows:
        assert (row.shortfall_s > 0) == (row.late_units > 0)
        assert row.shortfall_units == 0
        assert row.shortfall_s < experiment.demand.period_s
        assert 0 <= row.down_s <= row.shortfall_s
    assert any(0 < row.down_s < row.shortfall_s for row in book.rows)


def test_both_ends_deliver_the_same_keys(tiny: Setup) -> None:
    network, _ = simulate(tiny)
    ends: dict[str, dict[str, bytes]] = {"source": {}, "target": {}}
    for fact in network.all_facts():
        if fact.kind is FactKind.DELIVERED:
            keys = dict(keys_named(fact.key_id, fact.fingerprint))
            assert len(keys) == fact.units
            assert not keys.keys() & ends[fact.end].keys()
            ends[fact.end] |= keys
    assert ends["source"] == ends["target"] != {}


def test_a_key_crosses_every_hop_encrypted_and_uses_a_bit_of_each_hop_for_each_bit(
    tiny: Setup,
) -> None:
    network, assembly = simulate(tiny)
    bundles = [m.body for m in network.sent if isinstance(m.body, KeyBundle)]
    relayed = [item for bundle in bundles for item in bundle.items if isinstance(item, Relay)]
    secrets = {
        assembly.world.fresh(source, r, epoch, 32)
        for r, source in ((0, "A"), (1, "B"), (2, "C"))
        for epoch in range(1, 14)
    }
    assert len(relayed) > 10
    assert not [body for body in relayed if any(s in body.ciphertext for s in secrets)]
    used = sum(f.bits for f in network.all_facts() if f.kind is FactKind.RELAYED)
    assert used == 2 * sum(8 * len(body.ciphertext) for body in relayed)


def test_phases_happen_by_messages_with_the_verbs_of_snmp(
    tiny: Setup,
) -> None:
    network, _ = simulate(tiny)
    pdus = [m for m in network.sent if isinstance(m.body, Pdu)]
    verbs = Counter(m.body.verb for m in pdus if isinstance(m.body, Pdu))
    assert {Verb.SET, Verb.RESPONSE, Verb.TRAP, Verb.INFORM, Verb.GET_BULK} <= verbs.keys()
    asked = sum(verbs[v] for v in (Verb.SET, Verb.INFORM, Verb.GET_BULK))
    assert verbs[Verb.RESPONSE] == asked
    verified = [f for f in network.all_facts() if f.kind is FactKind.VERIFIED]
    assert [fact.text for fact in verified] == ["as planned"]
    assert any(m.source == FIBER_CONTROLLER and m.destination == "kme-B" for m in pdus)


def test_the_same_seed_gives_the_same_facts_and_another_seed_others(
    tiny: Setup,
) -> None:
    one, two = simulate(tiny)[0], simulate(tiny)[0]
    other = simulate(tiny.with_experiment(tiny.experiment.model_copy(update={"seed": 8})))[0]
    assert one.facts == two.facts
    assert one.facts != other.facts


@pytest.mark.parametrize("lost", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("seed", range(5))
def test_late_doubled_and_lost_messages_lose_no_key_and_buy_nothing_twice(
    tiny: Setup, tmp_path: Path, seed: int, lost: float
) -> None:
    network, assembly = simulate(tiny, late=0.3, twice=0.3, lost=lost, calm_periods=3, seed=seed)
    network.write_journals(tmp_path)
    result = audit(tmp_path)
    assert result.ok, result.fields()
    bought = [f for f in network.all_facts() if f.kind is FactKind.BOUGHT]
    places = [(fact.request, fact.period) for fact in bought]
    assert len(places) == len(set(places))
    assert bought
    assert assembly.timeline.periods == 12


def test_a_manager_that_has_run_ten_times_as_long_remembers_no_more(
    tiny: Setup,
) -> None:
    sizes = []
    for periods in (20, 200):
        experiment = changed(tiny.experiment, demand={"periods": periods})
        network, _ = simulate(
            tiny.with_experiment(experiment), late=0.2, twice=0.2, lost=0.1, calm_periods=2
        )
        sizes.append(len(pickle.dumps(network.cores[GLOBAL_MANAGER])))
    assert sizes[1] < sizes[0] + 100


def test_the_realised_mean_cost_agrees_with_the_expected_cost_of_the_plan(
    tiny: Setup, tmp_path: Path
) -> None:
    experiment = changed(tiny.experiment, demand={"periods": 1500, "scenarios": 14})
    book, assembly, _ = booked(tiny.with_experiment(experiment), tmp_path)
    costs = book.cost_by_period()
    planned = solve(assembly.problem, Policy.STOCHASTIC).objective
    standard_error = stdev(costs) / sqrt(len(costs))
    assert abs(fmean(costs) - planned) < 2.58 * standard_error
    assert standard_error < 0.03 * planned


def test_other_policies_cost_more_under_the_same_demand(tiny: Setup, tmp_path: Path) -> None:
    means = {}
    for policy in (Policy.STOCHASTIC, Policy.EXPECTED_VALUE, Policy.RANDOM, Policy.NONE):
        experiment = changed(tiny.experiment, demand={"periods": 400}, plan={"policy": policy})
        book, _, _ = booked(tiny.with_experiment(experiment), tmp_path / policy)
        means[policy] = fmean(book.cost_by_period())
    assert means[Policy.STOCHASTIC] < means[Policy.EXPECTED_VALUE]
    assert means[Policy.STOCHASTIC] < means[Policy.RANDOM]
    assert means[Policy.STOCHASTIC] < means[Policy.NONE]


@pytest.mark.system
def test_the_papers_network_costs_what_its_plan_expects(tmp_path: Path) -> None:
    setup = read("paper")
    independent = changed(setup.experiment, demand={"periods": 40, "correlated": False})
    book, assembly, _ = booked(setup.with_experiment(independent), tmp_path)
    costs = book.cost_by_period()
    planned = solve(assembly.problem, Policy.STOCHASTIC).objective
    assert abs(fmean(costs) - planned) < 3 * stdev(costs) / sqrt(len(costs))
    assert audit(tmp_path).ok
