"""Chaos experiments: probes say what a run folder says, and a hypothesis that does not hold is told."""

from __future__ import annotations

import json
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from chaoslib.exceptions import InterruptExecution
from live_network import LiveNetwork, within
from typer.testing import CliRunner

from emulator.build.loading import read
from emulator.chaos import actions, probes, trial
from emulator.cli import app_for
from emulator.commands.options import UsageError
from emulator.config.topology import save_csv
from emulator.results.audit import audit

CUT = {"kind": "fiber-cut", "link": ["A", "B"], "at_s": 100.0, "until_s": 160.0}


async def _run(folder: Path, source: str) -> None:
    network = LiveNetwork(folder, 2, experiment=source)
    await network.start()
    await network.run()
    await network.stop()


@pytest.fixture(scope="module")
def cut_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `tiny` that has ended, with a fiber cut, written down as a run does."""
    folder = tmp_path_factory.mktemp("chaos")
    setup = read("tiny")
    fields = setup.experiment.model_dump(mode="json", by_alias=True, exclude_none=True)
    fields["network"]["topology"] = save_csv(setup.topology, folder / "network.csv").name
    fields["network"].pop("link_km", None)
    fields["faults"] = [CUT]
    (folder / "experiment.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    run = folder / "run"
    within(60, _run(run, str(folder / "experiment.yaml")))
    for name in ("experiment.yaml", "network.csv"):
        shutil.copy(folder / name, run / name)
    return run


def test_a_probe_tells_how_much_was_served_and_by_whom(cut_run: Path) -> None:
    folder = str(cut_run)
    served = sum(
        probes.units_served(folder, medium, periods=12) for medium in ("fiber", "satellite", "uav")
    )
    assert served > 0
    assert probes.share_served(folder, periods=12) == 1
    assert 0 < probes.longest_without_key_s(folder, periods=12) < 20
    assert probes.units_served_during(folder, "fiber-cut", "uav") > 0


def test_a_cut_is_seen_by_the_probes(cut_run: Path) -> None:
    folder = str(cut_run)
    assert probes.every_link_fault_noticed(folder, "fiber-cut", within_s=15)
    assert not probes.every_link_fault_noticed(folder, "fiber-cut", within_s=-1)
    assert probes.bits_relayed_over_struck_links(folder, "fiber-cut", grace_s=45) == 0
    assert probes.alarms_open(folder) == 0


def test_what_has_not_happened_leaves_nothing_to_be_found(cut_run: Path) -> None:
    folder = str(cut_run)
    assert probes.share_served_during(folder, "storm") == 1
    assert probes.units_served_during(folder, "storm", "uav") == 0
    assert probes.every_link_fault_noticed(folder, "eavesdropper")


def test_the_audit_of_a_run_that_has_ended_counts_every_fault(cut_run: Path) -> None:
    assert probes.audit_faults(str(cut_run)) == 0
    assert audit(cut_run).ok


def test_a_run_tells_the_story_of_its_twin_and_not_that_of_another(
    cut_run: Path, tmp_path: Path
) -> None:
    within(60, _run(tmp_path / "twin", str(cut_run / "experiment.yaml")))
    within(60, _run(tmp_path / "other", "tiny"))
    assert probes.is_as_undisturbed(str(tmp_path / "twin"), str(cut_run))
    assert not probes.is_as_undisturbed(str(tmp_path / "other"), str(cut_run))


def test_the_busiest_link_is_the_one_with_most_units(tmp_path: Path) -> None:
    allocations = [{"path": ["C", "B", "A"], "units": 2}, {"path": ["B", "C"], "units": 1}]
    (tmp_path / "plan.json").write_text(json.dumps({"allocations": allocations}))
    assert actions.busiest_link(str(tmp_path)) == ["B", "C"]


def test_a_run_that_is_not_there_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(actions.ChaosError, match="has ended"):
        actions.wait_until(str(tmp_path / "run"), 10)


def test_an_experiment_whose_run_cannot_start_is_interrupted(tmp_path: Path) -> None:
    configuration = {"run_folder": str(tmp_path / "run"), "experiment": "nowhere", "steady_s": 10}
    with pytest.raises(InterruptExecution):
        actions.before_experiment_control({"title": "none"}, configuration)


def _experiment(folder: Path, run: Path, tolerance: Any) -> str:
    """Write an experiment that only looks at a run which has ended."""
    arguments = {"run_folder": str(run), "medium": "uav", "periods": 12}
    provider = {"type": "python", "module": "emulator.chaos.probes", "func": "units_served"}
    probe = {"type": "probe", "name": "UAVs serve", "tolerance": tolerance}
    fields = {
        "title": "looking only",
        "description": "nothing is done",
        "steady-state-hypothesis": {
            "title": "so many",
            "probes": [probe | {"provider": provider | {"arguments": arguments}}],
        },
        "method": [],
        "rollbacks": [],
    }
    path = folder / "look.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return str(path)


def test_a_hypothesis_that_holds_ends_well_and_leaves_the_journal(
    cut_run: Path, tmp_path: Path
) -> None:
    source = _experiment(tmp_path, cut_run, [1, 10_000])
    words = ["chaos", source, "--out", str(tmp_path / "out"), "--json", "--times", "2"]
    result = CliRunner().invoke(app_for("chaos"), words)
    assert result.exit_code == 0
    assert [trial["ok"] for trial in json.loads(result.stdout)["trials"]] == [True, True]
    told = result.stderr.splitlines()
    assert told.count("Probe: UAVs serve") == 4  # before and after, twice
    assert f"{source}: 2 of 2, in {tmp_path / 'out' / '2'}" in told
    assert not [line for line in told if "ollback" in line]
    journal = json.loads((tmp_path / "out" / "2" / "journal.json").read_text())
    assert journal["status"] == "completed"
    assert not journal["deviated"]


def test_a_hypothesis_that_cannot_hold_ends_with_status_one(cut_run: Path, tmp_path: Path) -> None:
    source = _experiment(tmp_path, cut_run, -1)
    words = ["chaos", source, "--out", str(tmp_path / "out"), "--journal", str(tmp_path / "j.json")]
    result = CliRunner().invoke(app_for("chaos"), [*words, "--json"])
    assert result.exit_code == 1
    (trial,) = json.loads(result.stdout)["trials"]
    assert "UAVs serve" in trial["broken"][0]
    assert (tmp_path / "j.json").exists()


@pytest.mark.parametrize("text", ["- a list", "title: nothing else", "{", "title: a\nmethod: 3"])
def test_what_is_no_chaos_experiment_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(trial.ChaosInputError) as caught:
        trial.load(str(path))
    assert "\n" not in str(caught.value)
    result = CliRunner().invoke(
        app_for("chaos"), ["chaos", str(path), "--out", str(tmp_path / "out")]
    )
    assert isinstance(result.exception, UsageError)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", trial.built_in())
def test_every_built_in_chaos_experiment_is_one_for_the_toolkit(name: str) -> None:
    experiment = trial.load(name)
    assert experiment["steady-state-hypothesis"]["probes"]
    assert experiment["rollbacks"]


def test_an_interruption_ends_all_trials(
    cut_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = []

    def interrupted(experiment: dict[str, Any], **_options: object) -> dict[str, Any]:
        with suppress(KeyboardInterrupt):  # as the toolkit does
            os.kill(os.getpid(), signal.SIGINT)
        played.append(experiment["title"])
        states = {"steady_states": {"before": None, "after": None}, "run": [], "rollbacks": []}
        head = {"experiment": experiment, "status": "interrupted", "deviated": False, "duration": 1}
        return states | head

    monkeypatch.setattr(trial, "run_experiment", interrupted)
    source = _experiment(tmp_path, cut_run, [1, 10_000])
    words = ["chaos", source, "--out", str(tmp_path / "out"), "--times", "3"]
    result = CliRunner().invoke(app_for("chaos"), words)
    assert result.exit_code == 130
    assert len(played) == 1


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--journal", "nowhere/j.json"], "--journal: nowhere is not a folder"),
        (["--journal", "j.json", "--times", "2"], "--journal: is one file"),
    ],
)
def test_a_journal_that_cannot_be_is_refused_before_anything_is_played(
    cut_run: Path, tmp_path: Path, words: list[str], problem: str
) -> None:
    source = _experiment(tmp_path, cut_run, [1, 10_000])
    result = CliRunner().invoke(
        app_for("chaos"), ["chaos", source, "--out", str(tmp_path / "out"), *words]
    )
    assert isinstance(result.exception, UsageError)
    assert str(result.exception).startswith(problem)
    assert not (tmp_path / "out").exists()
