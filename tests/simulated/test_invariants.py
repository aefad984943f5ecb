"""What holds whatever happens, also where no oracle can say what does: pools that all share, and chance.

Runs of drawn networks under drawn faults, with shared limits that a solver deals out: every bit is
accounted for, nothing is given twice, nobody pays for more than was missing, no pool gives more than it
has, and some time after the last fault everybody has again what is reserved.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from network import SimulatedNetwork, simulate
from schedules import Case, cases
from test_oracle import UNHURRIED, plans_of

from emulator.build.assembly import Assembly
from emulator.build.loading import read
from emulator.results import ledger
from emulator.results.audit import audit
from emulator.results.ledger import LedgerRow
from global_manager.orders import unit_cost
from global_manager.provisioning.model import Medium

SIFTED_BPS = 7.5e6  # of BOARON's devices over 80 km; shorter spans sift up to twice as much
CALM_WINDOWS = 80  # in which late messages arrive, and what was lost is said again


@st.composite
def shared_pools(draw: st.DrawFn) -> Case:
    """Draw an experiment whose requests share pools, and whose faults end long before it does."""
    case = draw(cases())
    demand, window_s = case.fields["demand"], case.fields["clock"]["window_s"]
    lead_windows = len(case.nodes) + 8
    over_s = lead_windows * window_s + (demand["periods"] + 1) * demand["period_s"]
    calm = 2 + int(CALM_WINDOWS * window_s // demand["period_s"])
    faults = [
        fault | ({"until_s": min(fault["until_s"] or over_s, over_s)} if "until_s" in fault else {})
        for fault in case.fields["faults"]
    ]
    changes = {
        "demand": demand | {"periods": demand["periods"] + calm, "shortfall_cost": 1_000_000},
        "faults": [f for f in faults if f.get("at_s", 0) < f.get("until_s", over_s)],
        "plan": case.fields["plan"] | {"look_every_periods": 0},
        "fiber": {"monitor_s": 5, "wait_to_restore_s": 0},
        "keys": {"qber_limit": 0.11, "unit_bits": 256},
        "limits": {
            "satellite_units": draw(st.integers(0, 4)),
            "uav_units": draw(st.integers(0, 4)),
            "futures": 5,
        },
    }
    return replace(case, fields=case.fields | changes)


LATE_WORD = Case(
    fields={
        "name": "late-word",
        "seed": 0,
        "network": {"topology": "net.csv", "wavelengths": 8, "capacity": "both-directions"},
        "demand": {
            "periods": 10,
            "scenarios": 3,
            "distribution": {"poisson": {"mean_units": 0.7}},
            "correlated": False,
            "requests": [
                {"id": f"r{n}", "class": "avatar", "source": source, "target": target}
                for n, (source, target) in enumerate(["IA", "CI", "CA", "IA", "BC", "IA"])
            ],
            "period_s": 70,
            "shortfall_cost": 1_000_000,
        },
        "prices": {"on_demand_satellite": 10, "on_demand_transmitter": 6_000},
        "plan": {"policy": "stochastic", "look_every_periods": 0, "drift_sigmas": 0.5},
        "fiber": {"monitor_s": 5, "wait_to_restore_s": 0},
        "satellite": {"probability": 1.0, "sky": "each-pair", "setup_s": 0, "skr_bps": 1000},
        "uav": {"setup_s": 0, "skr_bps": 10_000, "fleet": None},
        "clock": {"window_s": 2},
        "keys": {"qber_limit": 0.11, "unit_bits": 256},
        "faults": [
            {"kind": "fiber-cut", "at_s": 78, "until_s": 498, "link": ["A", "B"]},
            {"kind": "fiber-cut", "at_s": 265.395, "until_s": 358, "link": ["A", "C"]},
            {"kind": "message-fault", "at_s": 78, "until_s": 524, "reorder": True}
            | {"corrupt": 0.5, "duplicate": 0.1},
        ],
        "limits": {"satellite_units": 0, "uav_units": 1, "futures": 5},
    },
    nodes=[(name, 28, -75) for name in "IAHGDBCFE"],
    links=[(a, b, 0.001) for a, b in ["IA", "IH", "IG", "ID", "AB", "AC", "GF", "FE"]],
)
"""One end of a link hears later than the other how much a reservation has from its first epoch on."""


def check(case: Case) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        setup = read(str(case.write(folder)))
        network, assembly = simulate(setup)
        network.write_journals(folder / "run")
        clock, demand = setup.experiment.clock, setup.experiment.demand
        requests = assembly.problem.requests
        book = ledger.read(folder / "run", requests, clock.window_s, demand.period_s)
        found = audit(folder / "run")
    assert found.ok, found
    assert len(book.rows) == len(requests) * demand.periods
    nobody_pays_for_more_than_was_missing(book.rows, assembly)
    no_pool_gives_more_than_it_has(book.rows, assembly)
    everybody_has_what_is_reserved(book.rows, network, demand.periods - 1)


def nobody_pays_for_more_than_was_missing(rows: tuple[LedgerRow, ...], assembly: Assembly) -> None:
    of = {request.id: request for request in assembly.problem.requests}
    for row in rows:
        assert 0 <= row.shortfall_units <= row.late_units <= row.demanded_units
        for medium, cost in (
            (Medium.SATELLITE, row.satellite_cost),
            (Medium.UAV, row.uav_cost),
        ):
            assert 0 <= cost <= row.late_units * unit_cost(of[row.request], medium)


def no_pool_gives_more_than_it_has(rows: tuple[LedgerRow, ...], assembly: Assembly) -> None:
    satellite, uav = Counter[int](), Counter[int]()
    for row in rows:
        satellite[row.period] += row.satellite_units
        uav[row.period] += row.uav_units
    pools = assembly.problem.pools
    assert pools is not None
    assert max(satellite.values()) <= (pools.satellite_units or 0)
    assert max(uav.values()) <= (pools.uav_units or 0)


def everybody_has_what_is_reserved(
    rows: tuple[LedgerRow, ...], network: SimulatedNetwork, period: int
) -> None:
    reserved = defaultdict(int, {name: way.units for name, way in plans_of(network)[-1].items()})
    for row in rows:
        if row.period == period:
            assert row.fiber_units >= min(row.demanded_units, reserved[row.request])


@st.composite
def gathered(draw: st.DrawFn) -> Case:
    """Draw such an experiment whose links gather finite blocks for up to four periods, and calm enough."""
    case = draw(shared_pools())
    demand = case.fields["demand"]
    block_bits = draw(st.floats(0.5, 3.5)) * demand["period_s"] * SIFTED_BPS
    devices = {"protocol": "bb84-one-decoy-finite", "device": "boaron", "block_bits": block_bits}
    changes = {
        "demand": demand | {"periods": demand["periods"] + 12},
        "fiber": case.fields["fiber"] | devices,
    }
    return replace(case, fields=case.fields | changes)


@settings(UNHURRIED, max_examples=20)
@given(gathered())
def test_runs_that_gather_finite_blocks_keep_the_books_and_recover(case: Case) -> None:
    check(case)


@settings(UNHURRIED, max_examples=30)
@example(LATE_WORD)
@given(shared_pools())
def test_runs_whose_requests_share_pools_keep_the_books_and_recover(case: Case) -> None:
    check(case)


@pytest.mark.system
@pytest.mark.timeout(900)
@settings(UNHURRIED, max_examples=300)
@given(shared_pools())
def test_three_hundred_such_runs_keep_the_books_and_recover(case: Case) -> None:
    check(case)
