"""Tenants: what a run cost is shared among them exactly, and experiments without any know nothing of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.build.loading import ExperimentError, read
from emulator.results.ledger import LedgerRow, rows_of
from emulator.results.tenants import by_tenant

Call = Callable[..., tuple[int, str, str]]
Write = Callable[..., Path]
HERE = ("--engine", "in-process", "--json")
COSTS = st.integers(0, 10**9)


def _listed(count: int = 6, tenants: tuple[str, ...] = ("acme", "bank")) -> list[dict[str, Any]]:
    ends = (("A", "B"), ("B", "C"), ("A", "C"))
    return [
        {"id": f"r{n}", "class": "avatar", "source": ends[n % 3][0], "target": ends[n % 3][1]}
        | ({"tenant": tenants[n % len(tenants)]} if tenants else {})
        for n in range(count)
    ]


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 50), COSTS, COSTS, COSTS, COSTS, COSTS),
        max_size=30,
    ),
    st.none() | st.lists(st.floats(0, 1e12), min_size=5, max_size=5),
)
def test_costs_of_tenants_add_up_to_the_cost_of_the_run(
    drawn: list[tuple[int, ...]], weights: list[float] | None
) -> None:
    tenant_of = {f"r{n}": f"t{n}" for n in range(5)}
    rows = [
        LedgerRow(
            f"r{own}", "avatar", "A", "B", 0, demanded_units=units, reservation_cost=fiber,
            satellite_cost=satellite, uav_cost=uav, shortfall_cost=lost, change_cost=change,
        )
        for own, units, fiber, satellite, uav, lost, change in drawn
    ]  # fmt: skip

    lines = by_tenant(rows, tenant_of, weights=weights)

    assert sum(line["cost"] for line in lines) == sum(row.cost for row in rows)
    assert sum(line["cash"] for line in lines) == sum(row.cash for row in rows)
    assert sum(line["own_cash"] for line in lines) == sum(row.cash for row in rows)
    assert sum(line["requests"] for line in lines) == 5
    for line in lines:
        own = [row for row in rows if tenant_of[row.request] == line["tenant"]]
        assert line["shortfall_cost"] == sum(row.shortfall_cost for row in own)


def test_cash_follows_demand_and_lost_key_stays_with_who_lost_it() -> None:
    rows = [
        LedgerRow("r0", "a", "A", "B", 0, demanded_units=3, late_units=0, reservation_cost=100),
        LedgerRow("r1", "a", "A", "B", 0, demanded_units=1, late_units=1, shortfall_units=1,
                  shortfall_cost=40, uav_cost=20),
    ]  # fmt: skip

    one, other = by_tenant(rows, {"r0": "one", "r1": "other"})

    assert (one["cash"], one["cost"], one["blocking"]) == (90, 90, 0.0)
    assert (other["own_cash"], other["cash"], other["cost"]) == (20, 30, 70)
    assert (other["blocking"], other["shortfall_units"]) == (1.0, 1)


@pytest.mark.parametrize("method", ["proportional", "shapley"])
def test_a_run_shares_its_cost_among_tenants(
    method: str, qsagin: Call, write_experiment: Write, tmp_path: Path
) -> None:
    file = write_experiment(
        demand__requests=_listed(), demand__cost_sharing={"method": method}, network__wavelengths=4
    )
    folder = tmp_path / "out"

    status, out, err = qsagin("run", str(file), *HERE, "--out", str(folder))

    assert status == 0, err
    summary = json.loads(out)
    tenants = summary["tenants"]
    assert [line["tenant"] for line in tenants["rows"]] == ["acme", "bank"]
    assert tenants["method"] == method
    for name, whole in (
        ("cost", summary["cost"]["total"]),
        ("cash", summary["cost"]["cash"]),
        ("demanded_units", summary["demanded_units"]),
        ("late_units", summary["late_units"]),
        ("shortfall_units", summary["shortfall_units"]),
    ):
        assert sum(line[name] for line in tenants["rows"]) == whole
    if method == "shapley":
        assert all(line["shapley_cost"] > line["alone_cost"] for line in tenants["rows"])
    assert {row.tenant for row in rows_of(folder)} == {"acme", "bank"}
    assert "By tenant" in (folder / "report.html").read_text()


def test_without_tenants_nothing_says_anything_of_them(
    qsagin: Call, write_experiment: Write, tmp_path: Path
) -> None:
    file = write_experiment(demand__requests=_listed(3, ()))
    folder = tmp_path / "out"

    status, out, _ = qsagin("run", str(file), *HERE, "--out", str(folder))

    assert status == 0
    assert "tenants" not in json.loads(out)
    assert "tenant" not in pq.read_schema(folder / "ledger.parquet").names
    assert "By tenant" not in (folder / "report.html").read_text()
    assert {row.tenant for row in rows_of(folder)} == {""}
    assert "tenants" not in json.loads(qsagin("plan", str(file), "--json")[1])


def test_a_plan_tells_what_each_tenant_has_and_is_expected_to_pay(
    qsagin: Call, write_experiment: Write
) -> None:
    sharing = {"method": "shapley"}
    file = write_experiment(
        demand__requests=_listed(), demand__cost_sharing=sharing, network__wavelengths=4
    )

    status, out, _ = qsagin("plan", str(file), "--json")

    plan = json.loads(out)
    rows = plan["tenants"]["rows"]
    assert status == 0
    assert sum(row["expected_cost"] for row in rows) == pytest.approx(plan["objective"])
    assert sum(row["reserved_units"] for row in rows) == plan["reserved_units"]
    assert sum(row["shapley_cost"] for row in rows) == pytest.approx(plan["lower_bound"], rel=0.2)
    assert "acme" in qsagin("plan", str(file))[1]


def test_a_request_without_a_tenant_among_tenants_is_refused(write_experiment: Write) -> None:
    requests = _listed()
    del requests[4]["tenant"]
    with pytest.raises(ExperimentError) as refused:
        read(str(write_experiment(demand__requests=requests)))
    assert [item.field for item in refused.value.mistakes] == ["demand.requests.4.tenant"]


def test_sharing_among_no_tenants_and_sharing_that_takes_too_long_are_refused(
    write_experiment: Write,
) -> None:
    with pytest.raises(ExperimentError) as refused:
        read(str(write_experiment(demand__cost_sharing={"method": "shapley"})))
    assert [item.field for item in refused.value.mistakes] == ["demand.cost_sharing"]

    sharing = {"method": "shapley", "permutations": 10_000}
    many = _listed(400, tuple(f"t{n}" for n in range(10)))
    with pytest.raises(ExperimentError) as refused:
        read(str(write_experiment(demand__requests=many, demand__cost_sharing=sharing)))
    (mistake,) = refused.value.mistakes
    assert mistake.field == "demand.cost_sharing.permutations"
    assert "must be at most 25 with 400 requests of 10 tenants" in mistake.message
