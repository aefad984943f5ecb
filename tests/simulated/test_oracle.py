"""Predict, then compare: runs under faults do what an independent oracle has computed beforehand."""

from __future__ import annotations

import ast
import json
from collections import Counter, defaultdict
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import networkx as nx
import oracle
import pytest
from hypothesis import HealthCheck, given, reject, settings
from network import SimulatedNetwork, simulate
from oracle import Prediction, Row
from oracle_nature import Undetermined
from oracle_terms import Event, Given, Way
from schedules import Case, cases

from emulator.build.assembly import Assembly
from emulator.build.loading import read
from emulator.build.setup import Setup
from emulator.results import ledger
from emulator.runtime.message_faults import MessageFaults
from protos.core import GLOBAL_MANAGER, Message
from protos.facts import Fact, FactKind, LinkState, label_of
from protos.keys import KeyBundle

PREDICTED = (
    FactKind.LINK,
    FactKind.REPLANNED,
    FactKind.RESERVED,
    FactKind.PERIOD,
    FactKind.DEMANDED,
    FactKind.SHORT,
    FactKind.LAPSED,
    FactKind.KEPT,
    FactKind.EXPIRED,
    FactKind.ORDERED,
    FactKind.REFUSED,
    FactKind.BOUGHT,
    FactKind.FAILED,
    FactKind.COMPLETED,
    FactKind.DELIVERED,
    FactKind.ACTIVE,
    FactKind.AGENT,
    FactKind.VERIFIED,
)
MORE_PERIODS = 9  # in which orders may still be decided when messages come late
UNHURRIED = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ],
)


def differences(case: Case) -> list[str]:
    """Run a case and predict it; return in which the two differ, the earliest window first."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        setup = read(str(case.write(folder)))
        network, assembly = simulate(setup)
        network.write_journals(folder / "run")
        book = ledger.read(
            folder / "run",
            assembly.problem.requests,
            setup.experiment.clock.window_s,
            setup.experiment.demand.period_s,
        )
    predicted = oracle.predict(told(setup, network, assembly))
    return [
        *predicted.objections,
        *different_windows(predicted, happened(network, predicted.last_window)),
        *different_rows(predicted, assembly, book),
    ]


def told(setup: Setup, network: SimulatedNetwork, assembly: Assembly) -> Given:
    """Return what the oracle may know: the experiment, the network, draws, and what plans chose."""
    graph: nx.Graph[str] = nx.Graph()
    experiment, topology = setup.experiment, setup.topology
    for node in topology.nodes:
        graph.add_node(node.name, lat=node.lat_deg, lon=node.lon_deg)
    for link in topology.links:
        graph.add_edge(link.a, link.b, length_km=link.length_km)
    fields = experiment.model_dump(mode="json", by_alias=True)
    fields["prices"] = experiment.price_table.model_dump()
    world, demand = assembly.world, experiment.demand
    demand_draws, sky_draws = {}, {}
    for place, request in enumerate(assembly.problem.requests):
        ends = world.pair(request.source, request.target)
        for period in range(demand.periods + MORE_PERIODS):
            who = () if demand.correlated else (place,)
            demand_draws[place, period] = world.uniform("demand", period, *who)
            pair = () if experiment.satellite.sky == "common" else ends
            chance = world.uniform("SATELLITE", *pair, period)
            sky_draws[request.source, request.target, period] = chance
    return Given(
        fields,
        graph,
        demand_draws,
        sky_draws,
        partial(message_draw, network.message_faults),
        plans_of(network),
    )


def message_draw(
    by: MessageFaults, source: str, destination: str, number: int, *question: str | int
) -> float:
    """Return what chance has drawn for a message."""
    return by.draw(Message(source, destination, number, KeyBundle(())), *question)


def plans_of(network: SimulatedNetwork) -> list[dict[str, Way]]:
    """Return the paths and wavelengths that plans chose, as the manager has noted them."""
    notes = [
        json.loads(fact.text)
        for _, fact in network.facts[GLOBAL_MANAGER]
        if fact.kind is FactKind.PLANNED
    ]
    return [
        {
            item["request"]: Way(tuple(item["path"]), tuple(item["wavelengths"]))
            for item in note["allocations"]
        }
        for note in notes
    ]


def happened(network: SimulatedNetwork, last_window: int) -> list[Event]:
    """Return what journals say up to a window, keys that were delivered together as one."""
    facts = [item for noted in network.facts.values() for item in noted]
    delivered: Counter[Event] = Counter()
    events = []
    for window, fact in facts:
        if window > last_window or fact.kind not in PREDICTED:
            continue
        if fact.kind is FactKind.EXPIRED and fact.medium == "fiber":
            continue
        event = _event(window, fact)
        if fact.kind is not FactKind.DELIVERED:
            events.append(event)
        elif fact.end == "source":
            delivered[replace(event, units=0)] += fact.units
    return [*events, *(replace(event, units=units) for event, units in delivered.items())]


def _event(window: int, fact: Fact) -> Event:
    place = (window, fact.kind.value, fact.request, fact.period)
    match fact.kind:
        case FactKind.LINK:
            assert isinstance(fact.details, LinkState)
            return Event(*place, note=f"{label_of(fact.details.link)} {fact.details.condition}")
        case FactKind.REPLANNED:
            return Event(*place, units=fact.units, note=fact.text)
        case FactKind.AGENT:
            return Event(*place, note=f"{fact.peer} {fact.text}")
        case FactKind.VERIFIED:
            return Event(*place, units=fact.units, note=fact.text)
        case FactKind.PERIOD:
            return Event(*place, medium="fiber", cost=fact.cost)
        case _:
            return Event(*place, fact.medium, fact.units, fact.cost)


def different_windows(predicted: Prediction, seen: list[Event]) -> list[str]:
    """Return, for each window, what was served and paid by its end, and what else happened in it."""
    wanted, found = _by_window(predicted.events), _by_window(seen)
    had, have = Counter[str](), Counter[str]()
    different = []
    for window in sorted(wanted.keys() | found.keys()):
        here, there = Counter(wanted[window]), Counter(found[window])
        had.update(_totals(wanted[window]))
        have.update(_totals(found[window]))
        if here != there or had != have:
            different += [
                f"window {window}: predicted {event}" for event in (here - there).elements()
            ]
            different += [
                f"window {window}: happened {event}" for event in (there - here).elements()
            ]
            totals = {
                name: (had[name], have[name]) for name in had | have if had[name] != have[name]
            }
            different.append(f"window {window}: by then predicted and seen: {totals}")
    return different


def _by_window(events: list[Event]) -> dict[int, list[Event]]:
    found: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        found[event.window].append(event)
    return found


def _totals(events: list[Event]) -> Counter[str]:
    """Return units served and money spent, by medium."""
    totals: Counter[str] = Counter()
    for event in events:
        if event.what == "delivered":
            totals[f"{event.medium} units"] += event.units
        elif event.what in ("period", "bought", "failed"):
            totals[f"{event.medium} cost"] += event.cost
    return totals


def different_rows(predicted: Prediction, assembly: Assembly, book: ledger.Ledger) -> list[str]:
    """Return the ledger's rows that are not as predicted."""
    place = {request.id: number for number, request in enumerate(assembly.problem.requests)}
    different = []
    for row in book.rows:
        wanted = asdict(predicted.rows[place[row.request], row.period])
        found = {name: getattr(row, name) for name in Row.__dataclass_fields__}
        if found != pytest.approx(wanted):
            wrong = {
                name: (wanted[name], found[name]) for name in found if wanted[name] != found[name]
            }
            different.append(f"{row.request} in period {row.period}: predicted and seen: {wrong}")
    if len(book.rows) != len(predicted.rows):
        different.append(f"{len(predicted.rows)} rows predicted, {len(book.rows)} seen")
    return different


@settings(UNHURRIED, max_examples=50)
@given(cases())
def test_runs_under_drawn_faults_do_what_was_predicted(case: Case) -> None:
    try:
        assert differences(case) == []
    except Undetermined:
        reject()


@pytest.mark.system
@pytest.mark.timeout(1200)
@settings(UNHURRIED, max_examples=500)
@given(cases())
def test_five_hundred_schedules_of_faults_agree_with_the_oracle(case: Case) -> None:
    try:
        assert differences(case) == []
    except Undetermined:
        reject()


def test_the_oracle_shares_no_code_with_what_it_judges() -> None:
    for path in Path(str(oracle.__file__)).parent.glob("oracle*.py"):
        tree = ast.parse(path.read_text())
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        ours = ("controllers", "global_manager", "emulator", "protos")
        assert not [name for name in names if name.split(".")[0] in ours]
