"""The Python interface gives what the command line gives, and its documented examples run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import emulator as qsagin
from emulator.build.loading import fields_of

Call = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)
MINE = """
from global_manager.provisioning.own_policy import ProvisioningPolicy
class Mine(ProvisioningPolicy):
    def reserve(self, view):
        return ()
"""


@pytest.fixture
def command(request: pytest.FixtureRequest) -> Call:
    """Call the command line; its fixture has the name of the module under test."""
    found: Call = request.getfixturevalue("qsagin")
    return found


@pytest.mark.parametrize("number", range(4))
def test_an_example_of_the_page_runs(number: int, tmp_path: Path) -> None:
    assert len(BLOCKS) == 4
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    script = tmp_path / "example.py"
    script.write_text(BLOCKS[number], encoding="utf-8")
    words = [sys.executable, "-W", "ignore", str(script)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 1
    assert len(BLOCKS[number].splitlines()) <= 12


def test_importing_it_loads_nothing_else() -> None:
    script = "import sys; before = set(sys.modules); import emulator as q; dir(q); "
    script += (
        "print(*(m for m in set(sys.modules) - before if m.startswith(('emulator.', 'numpy'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize("policy", ["stochastic", "random"])
def test_a_plan_is_that_of_the_command_line(command: Call, policy: str) -> None:
    plan = qsagin.load("tiny", seed=9).plan(policy=policy, gap=0.01)
    words = ("plan", "tiny", "--seed", "9", "--policy", policy, "--gap", "0.01", "--json")
    told = json.loads(command(*words)[1])
    assert (plan.objective, plan.lower_bound) == (told["objective"], told["lower_bound"])
    assert [list(asdict(item)["path"]) for item in plan.allocations] == [
        item["path"] for item in told["allocations"]
    ]


def test_a_comparison_is_that_of_the_command_line(command: Call) -> None:
    told = json.loads(command("compare", "tiny", "--json")[1])
    found = qsagin.load("tiny").compare()
    assert found.rows.to_pylist() == told["rows"]
    assert found.values.to_pylist() == told["values"]


def test_a_run_is_that_of_the_command_line_and_its_ledger_a_table_or_a_frame(
    command: Call, tmp_path: Path
) -> None:
    out = tmp_path / "told"
    words = ("run", "tiny", "--engine", "in-process", "--policy", "none", "--out", str(out))
    assert command(*words)[0] == 0
    told = json.loads((out / "summary.json").read_text())
    run = qsagin.load("tiny").run(policy="none")
    for field in ("digest", "cost", "served_units", "policy", "seed"):
        assert run.summary[field] == told[field]
    assert run.ledger().equals(pq.read_table(out / "ledger.parquet"))
    assert run.frame()["cost"].sum() == told["cost"]["total"]
    assert run.decisions().num_rows == pq.read_table(out / "decisions.parquet").num_rows
    assert qsagin.open_run(out).summary == told
    folder = run.folder
    del run
    assert not folder.exists()


def test_an_experiment_written_in_code_is_that_of_its_file(tmp_path: Path) -> None:
    path, fields = fields_of("tiny")
    mine = qsagin.define(fields, folder=path.parent)
    assert mine.plan() == qsagin.load("tiny").plan()
    assert mine.changed({"seed": 3}).seed == 3
    assert mine.seed == 7
    with pytest.raises(qsagin.ExperimentError, match=r"demand\.periods"):
        mine.changed({"demand.periods": -1})
    with pytest.raises(qsagin.RunError, match="has no results"):
        qsagin.open_run(tmp_path)
