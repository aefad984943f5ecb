"""Policies that users bring: the same rules as for our own, and one line for those that break them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emulator.build.loading import fields_of, read
from emulator.build.yaml_text import dump_yaml
from emulator.report.paper_figures import fig4b
from emulator.runtime import provenance
from emulator.store import files
from global_manager.provisioning import own_policy
from global_manager.provisioning.own_policy import policy_named

Call = Callable[..., tuple[int, str, str]]
EXAMPLE = Path(__file__).parents[2] / "examples" / "policy"
MEAN = "qsagin_mean_policy:MeanPolicy"
HEAD = """
from dataclasses import replace
from global_manager.provisioning.own_policy import Order, ProvisioningPolicy
class Mine(ProvisioningPolicy):
"""


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a policy into the working directory; return its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(body: str) -> str:
        module = f"mine_{abs(hash(body))}"
        (tmp_path / f"{module}.py").write_text(HEAD + body, encoding="utf-8")
        return f"{module}:Mine"

    return write


@pytest.mark.usefixtures("example")
@pytest.mark.parametrize("experiment", ["tiny", "paper-drift"])
def test_a_policy_from_outside_plans_what_expected_value_does(
    qsagin: Call, experiment: str
) -> None:
    plans = []
    for name in (MEAN, "expected-value"):
        status, out, err = qsagin("plan", experiment, "--policy", name, "--json")
        assert (status, err) == (0, ""), err
        plans.append(json.loads(out))
    for field in ("allocations", "objective", "first_stage_cost", "expected_recourse_cost"):
        assert plans[0][field] == plans[1][field]
    assert plans[0]["policy"] == MEAN
    assert len(plans[0]["policy_source"]["sha256"]) == 64


@pytest.mark.usefixtures("example")
def test_a_run_by_it_costs_what_expected_value_does_and_says_whose_it_is(
    qsagin: Call, tmp_path: Path
) -> None:
    costs = []
    for name in (MEAN, "expected-value"):
        out = tmp_path / name.replace(":", "-")
        words = ("run", "tiny", "--engine", "in-process", "--policy", name, "--out", str(out))
        assert qsagin(*words)[0] == 0
        costs.append(json.loads((out / "summary.json").read_text())["cost"])
    assert costs[0] == costs[1]
    folder = tmp_path / MEAN.replace(":", "-")
    assert files.told(folder)["policy"]["name"] == MEAN
    assert provenance.differences(folder) == []


def test_a_run_whose_policy_has_changed_is_not_resumed(
    qsagin: Call, mine: Callable[[str], str], tmp_path: Path
) -> None:
    name, out = mine("    def reserve(self, view): return ()"), tmp_path / "run"
    words = ("run", "tiny", "--engine", "in-process", "--policy", name, "--out", str(out))
    assert qsagin(*words)[0] == 0
    path = tmp_path / f"{name.partition(':')[0]}.py"
    path.write_text(path.read_text() + "\n# changed\n", encoding="utf-8")
    status, _, err = qsagin("run", "--resume", str(out))
    assert status == 2
    assert f"{out} was changed: the source of its policy {name} is not" in err.splitlines()[-1]
    path.unlink()
    own_policy._load.cache_clear()
    del sys.modules[path.stem]
    status, _, err = qsagin("run", "--resume", str(out))
    assert (status, err.splitlines()[-1].split(" (")[0]) == (
        2,
        f"plan.policy: policy {name}: cannot be imported",
    )


@pytest.mark.usefixtures("example")
def test_compare_has_a_row_for_it(qsagin: Call) -> None:
    status, out, _ = qsagin("compare", "tiny", "--policy", MEAN, "--json")
    rows = {row["policy"]: row["total_cost"] for row in json.loads(out)["rows"]}
    assert status == 0
    assert rows[MEAN] == rows["expected-value"]


@pytest.mark.usefixtures("example")
def test_the_figure_of_policies_has_a_curve_for_it() -> None:
    points = {name: total for _, name, total in fig4b(read("paper"), 12, [policy_named(MEAN)])}
    assert list(points) == ["stochastic", "expected-value", "random", MEAN]
    assert points[MEAN] == points["expected-value"] > points["stochastic"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("    def reserve(self, view): return 1 / 0", "reserve raised ZeroDivisionError"),
        ("    def reserve(self, view):\n        while True: pass", "reserve took more than its"),
        (
            "    def reserve(self, view):\n        while True: view.optimize(view.problem)",
            "reserve took more than its budget of 100 programs",
        ),
        (
            """
    def reserve(self, view):
        first = view.optimize(view.problem)[0]
        return (replace(first, wavelengths=(10_000,)),)
""",
            "reserve: request ",
        ),
    ],
)
def test_a_policy_that_breaks_a_rule_is_told_in_one_line_and_the_run_has_its_results(
    qsagin: Call, mine: Callable[[str], str], tmp_path: Path, body: str, problem: str
) -> None:
    name, out = mine(body), tmp_path / "run"
    status, _, err = qsagin("plan", "tiny", "--policy", name)
    assert (status, err.count("\n")) == (2, 1)
    assert f"policy {name}: {problem}" in err
    run = ("run", "tiny", "--engine", "in-process", "--policy", name, "--out", str(out))
    status, _, err = qsagin(*run)
    assert status == 1
    assert f"policy {name}: {problem}" in err.splitlines()[-1]
    assert json.loads((out / "summary.json").read_text())["complete"]
    assert (out / "report.html").exists()


def test_a_policy_decides_what_is_ordered_from_whom(
    qsagin: Call, mine: Callable[[str], str]
) -> None:
    dearest = mine(
        "    def reserve(self, view): return ()\n"
        "    def recourse(self, view):\n"
        "        return [Order(s.request.id, s.media[-1], s.units)\n"
        "                for s in view.shortages if s.media]"
    )
    cheapest = mine(
        "    def reserve(self, view): return ()\n    def recourse(self, view): return view.cheapest"
    )
    costs = []
    for name in (dearest, cheapest, "none"):
        words = ("run", "tiny", "--engine", "in-process", "--policy", name, "--json")
        status, out, err = qsagin(*words)
        assert status == 0, err
        costs.append(json.loads(out)["cost"])
    assert costs[1] == costs[2]
    assert costs[0] != costs[2]


def test_orders_that_break_a_constraint_are_replaced_by_the_cheapest(
    qsagin: Call, mine: Callable[[str], str]
) -> None:
    name = mine(
        "    def reserve(self, view): return ()\n"
        "    def recourse(self, view):\n"
        "        s = view.shortages[0]\n"
        "        return [Order(s.request.id, s.media[0], s.units + 1)]"
    )
    words = ("run", "tiny", "--engine", "in-process", "--json", "--policy")
    status, out, err = qsagin(*words, name)
    assert status == 1
    assert f"policy {name}: recourse for request " in err
    assert json.loads(out)["cost"] == json.loads(qsagin(*words, "none")[1])["cost"]


def test_a_policy_that_plans_again_knows_what_was_lost(
    qsagin: Call, mine: Callable[[str], str], tmp_path: Path
) -> None:
    name = mine("""
    def reserve(self, view):
        if view.previous is not None:
            assert view.lost_fibers, "asked again without a cause"
            assert not view.lost_fibers & {(f.a, f.b) for f in view.problem.fibers}
            assert {type(each.units) for each in view.heard} <= {int}
        return view.optimize(view.problem)

    def recourse(self, view):
        lacking = {each.request.id: each.units for each in view.shortages}
        heard = {each.request for each in view.heard if each.period == view.period}
        assert view.silent == ()
        assert set(lacking) <= heard
        assert {each.request for each in view.reserved} == {r.id for r in view.problem.requests}
        return view.cheapest
""")
    out = tmp_path / "run"
    experiment = tmp_path / "cut.yaml"
    ring = tmp_path / "ring.csv"
    ring.write_text("source,target,length_km\nA,B,80\nB,C,80\nC,A,80\n", encoding="utf-8")
    fields = fields_of("tiny")[1] | {"network": {"topology": str(ring), "wavelengths": 8}}
    fields["faults"] = [{"kind": "fiber-cut", "link": ["A", "B"], "at_s": 100, "until_s": None}]
    experiment.write_text(dump_yaml(fields), encoding="utf-8")
    words = ("run", str(experiment), "--engine", "in-process", "--policy", name, "--out", str(out))
    status, _, err = qsagin(*words)
    assert status == 0, err
    made = json.loads((out / "summary.json").read_text())
    assert made["policy_failures"] == []
    assert len(made["replans"]) == 1


def test_a_sweep_has_an_axis_of_policies(
    qsagin: Call, mine: Callable[[str], str], tmp_path: Path
) -> None:
    name = mine("    def reserve(self, view): return ()")
    words = ("sweep", "tiny", "--policy", name, "--policy", "none", "--out", str(tmp_path / "all"))
    status, out, err = qsagin(*words, "--jobs", "1", "--json")
    rows = json.loads(out)["rows"]
    assert (status, [row["plan.policy"] for row in rows]) == (0, [name, "none"]), err
    assert rows[0]["cost_per_period"] == rows[1]["cost_per_period"] > 0


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("plan", "tiny", "--policy", "nowhere:Mine"), "--policy: policy nowhere:Mine: cannot be"),
        (("compare", "tiny", "--policy", "json:loads"), "--policy: policy json:loads: is not a"),
        (("sweep", "tiny", "--policy", "nowhere", "--out", "all"), "--policy: nowhere is none of"),
    ],
)
def test_a_policy_that_cannot_be_loaded_is_refused_in_one_line(
    qsagin: Call, words: tuple[str, ...], problem: str
) -> None:
    status, _, err = qsagin(*words)
    assert (status, err.count("\n")) == (2, 1), err
    assert err.startswith(problem)


def test_the_example_is_installed_from_its_own_package_and_found_by_its_entry_point(
    qsagin: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, site = tmp_path / "package", tmp_path / "site"
    shutil.copytree(EXAMPLE, package)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    install += ["--no-build-isolation", "--target", str(site), str(package)]
    made = subprocess.run(install, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "qsagin_mean_policy", raising=False)
    status, out, err = qsagin("plan", "tiny", "--policy", "mean", "--json")
    assert status == 0, err
    source = json.loads(out)["policy_source"]
    assert (source["module"], source["version"]) == ("qsagin_mean_policy", "0.1.0")


@pytest.mark.parametrize("limits", [None, {"satellite_units": 1, "uav_units": 2}])
def test_one_that_orders_what_is_cheapest_costs_what_the_manager_alone_does(
    qsagin: Call, mine: Callable[[str], str], tmp_path: Path, limits: dict[str, int] | None
) -> None:
    name = mine("    def recourse(self, view): return view.cheapest")
    fields = fields_of("tiny")[1]
    fields["network"] = {"topology": "nsfnet", "link_km": 80, "wavelengths": 2}
    fields["demand"]["requests"] = {"avatar": 3, "ai-model": 3}
    fields["demand"]["correlated"] = True
    fields["limits"] = limits
    experiment = tmp_path / "limited.yaml"
    experiment.write_text(dump_yaml(fields), encoding="utf-8")
    found = []
    for policy in (name, "stochastic"):
        words = ("run", str(experiment), "--engine", "in-process", "--policy", policy, "--json")
        status, out, err = qsagin(*words)
        assert status == 0, err
        found.append(json.loads(out))
    assert found[0]["late_units"] > 0
    for field in ("cost", "served_units", "shortfall_units", "down_s"):
        assert found[0][field] == found[1][field]
