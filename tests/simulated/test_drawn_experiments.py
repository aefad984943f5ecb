"""Whatever an experiment says: it is refused in lines, soon, or it can be run to its end."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from drawn_fields import drawn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from network import simulate

from emulator.build.demand import requests_of
from emulator.build.environment import timeline_of
from emulator.build.loading import ExperimentError, read, write
from emulator.build.setup import Setup
from emulator.build.yaml_text import dump_yaml
from emulator.config import experiment as config
from emulator.config.experiment import Experiment
from emulator.config.topology import ReadingOptions
from global_manager.provisioning.check import InvalidProblemError

TINY = Path(config.__file__).parent / "experiments"
BASE = yaml.safe_load((TINY / "tiny.yaml").read_text())
MOST_CPU_S = 10.0  # of a check: it waits for nobody
MOST_REQUESTS, MOST_WINDOWS = 50, 500  # of what is run here
SEEDS = st.integers(0, 2**32 - 1)
SEARCH = settings(
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # a seed tells everything; a smaller one tells no more
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that drawn experiments name."""
    found = tmp_path_factory.mktemp("drawn")
    shutil.copy(TINY / "tiny.csv", found)
    (found / "tiny.nodes.csv").write_text("node,lat,lon\nA,40,-100\nB,41,-99\nC,42,-98\n")
    (found / "sky.csv").write_text("site,start_s,opaque\nA,0,0.5\n")
    (found / "past.csv").write_text("units\n3\n4\n9\n1\n")
    return found


def checked(folder: Path, fields: dict[str, Any]) -> Setup | None:
    """Return the setup, or None if it is refused as mistakes have to be."""
    path = folder / f"{os.getpid()}.yaml"
    path.write_text(dump_yaml(fields))
    begun_s = time.process_time()
    try:
        return read(str(path))
    except ExperimentError as error:
        for line in str(error).splitlines():
            assert line.startswith(f"{path}: ")
            assert line.isprintable()
            assert len(line) < 1_100
        return None
    finally:
        assert time.process_time() - begun_s < MOST_CPU_S


def written_again(folder: Path, setup: Setup) -> None:
    """Hold a run folder's experiment to be the same experiment."""
    again = folder / f"again-{os.getpid()}"
    again.mkdir(exist_ok=True)
    found = read(str(write(setup, again)))
    assert found.topology.links == setup.topology.links
    assert _without_paths(found.experiment) == _without_paths(setup.experiment)


def _without_paths(experiment: Experiment) -> dict[str, Any]:
    read_of_file = {"topology", "link_km", *ReadingOptions.__annotations__}
    fields = experiment.model_dump(exclude={"network": read_of_file, "access": {"asked"}})
    return fields | {"weather": bool(experiment.weather.replay)}


@settings(SEARCH, max_examples=300)
@given(seed=SEEDS)
def test_a_drawn_experiment_is_accepted_or_refused_in_lines(folder: Path, seed: int) -> None:
    setup = checked(folder, drawn(BASE, Random(seed)))
    if setup is not None:
        written_again(folder, setup)


@pytest.mark.system
@settings(SEARCH, max_examples=2_000)
@given(seed=SEEDS)
def test_many_drawn_experiments_are_accepted_or_refused_in_lines(folder: Path, seed: int) -> None:
    checked(folder, drawn(BASE, Random(seed)))


def run_through(folder: Path, seed: int) -> None:
    """Run an experiment to its end if it is accepted and small."""
    fields = drawn(BASE, Random(seed))
    if isinstance(fields.get("demand"), dict):
        fields["demand"]["periods"] = 3
    setup = checked(folder, fields)
    if setup is None or len(requests_of(setup)) > MOST_REQUESTS:
        return
    if timeline_of(setup).end_s / setup.experiment.clock.window_s > MOST_WINDOWS:
        return
    try:
        network, assembly = simulate(setup)
    except InvalidProblemError:
        return  # `check` and `plan` say so too
    assert network.window * network.window_s >= assembly.timeline.end_s


@settings(SEARCH, max_examples=150)
@given(seed=SEEDS)
def test_what_is_accepted_runs_to_its_end(folder: Path, seed: int) -> None:
    run_through(folder, seed)


@pytest.mark.system
@settings(SEARCH, max_examples=600)
@given(seed=SEEDS)
def test_many_that_are_accepted_run_to_their_end(folder: Path, seed: int) -> None:
    run_through(folder, seed)
