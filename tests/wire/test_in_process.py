"""The engine in one process notes what hosts note that speak over gRPC, to the byte."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, assume, given, settings
from live_network import LiveNetwork, within
from schedules import Case, cases

from emulator.build.assembly import assemble
from emulator.build.loading import read
from emulator.build.manager_role import actors_of
from emulator.build.setup import Setup
from emulator.config.topology import save_csv
from emulator.engines.job import Job, Options
from emulator.results.audit import audit
from emulator.results.ledger import Ledger
from emulator.results.ledger import read as read_ledger
from emulator.runtime.envelopes import ManagementKeys
from emulator.runtime.in_process import ACTOR, InProcessNetwork, NetworkConfig
from emulator.runtime.pacing import Pace
from emulator.store import journals
from emulator.store.files import Engine
from emulator.store.injection_table import Injections
from emulator.store.journal import FOLDER, BufferedJournal
from global_manager.provisioning.check import InvalidProblemError

ROTATION_S = 25.0


def over_grpc(experiment: str, folder: Path, hosts: int) -> Path:
    """Run an experiment on so many hosts; return its folder."""

    async def work() -> None:
        network = LiveNetwork(folder, hosts, experiment=experiment, rotation_s=ROTATION_S)
        await network.start()
        try:
            await network.run()
        finally:
            await network.stop()

    within(120, work())
    return folder


def in_process(experiment: str, folder: Path) -> Path:
    """Run an experiment in this process, with management keys as those of the hosts; return its folder."""
    (folder / FOLDER).mkdir(parents=True)
    setup = read(experiment)
    job = Job(setup, assemble(setup), folder, Options(Pace(None), Engine.IN_PROCESS))
    actors = actors_of(setup.experiment, job.assembly)
    config = NetworkConfig(
        actors.everybody,
        setup.experiment.clock.window_s,
        job.assembly.timeline,
        ManagementKeys(actors.ground, setup.experiment.clock.window_s, ROTATION_S),
        job.order,
        job.message_faults,
    )
    with closing(Injections(folder)) as injections:
        journal = BufferedJournal(folder, ACTOR, config.entities)
        network = InProcessNetwork(config, journal, injections)
        network.run(job.last_window, Pace(None))
        network.finish()
    return folder


def book_of(folder: Path, setup: Setup) -> Ledger:
    """Return the ledger of a run."""
    demand, clock = setup.experiment.demand, setup.experiment.clock
    requests = assemble(setup).problem.requests
    return read_ledger(folder, requests, clock.window_s, demand.period_s)


@pytest.mark.parametrize("hosts", [1, 7])
def test_tiny_is_the_same_run_in_one_process_and_on_hosts(tmp_path: Path, hosts: int) -> None:
    live, here = over_grpc("tiny", tmp_path / "live", hosts), in_process("tiny", tmp_path / "here")
    found, expected = audit(here), audit(live)
    assert found.ok
    assert found.fields() == expected.fields()
    assert book_of(here, read("tiny")) == book_of(live, read("tiny"))
    assert journals.windows_run(here) == journals.windows_run(live)


def _of_second_windows(case: Case) -> bool:
    return case.fields["clock"]["window_s"] == 1


@settings(
    max_examples=12,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(case=cases().filter(_of_second_windows))
def test_drawn_experiments_with_faults_are_the_same_run_too(case: Case) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        experiment = str(case.write(folder))
        try:
            here = in_process(experiment, folder / "here")
        except InvalidProblemError:
            assume(False)
        live = over_grpc(experiment, folder / "live", 3)
        assert audit(here).fields() == audit(live).fields()
        setup = read(experiment)
        assert book_of(here, setup) == book_of(live, setup)


def test_an_agent_that_is_out_until_the_end_comes_back_the_same_on_any_host(tmp_path: Path) -> None:
    """Also if nobody has written to it, and it had nothing to do, while it was out."""
    setup = read("tiny")
    fields = setup.experiment.model_dump(mode="json", by_alias=True, exclude_none=True)
    digests = set()
    for entity in ("satellite-controller", "uav-controller", "C"):
        fault = {"kind": "outage", "entity": entity, "at_s": 270}
        path = _written(tmp_path / entity, fields | {"faults": [fault]})
        runs = [in_process(str(path), tmp_path / entity / "here")]
        runs += [over_grpc(str(path), tmp_path / entity / f"{n}", n) for n in (1, 7)]
        found = {audit(run).digest for run in runs}
        assert len(found) == 1
        digests |= found
    assert len(digests) == 3


def _written(folder: Path, fields: dict[str, object]) -> Path:
    folder.mkdir()
    save_csv(read("tiny").topology, folder / "tiny.csv")
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return path


def test_the_engine_can_be_asked_how_far_it_is_and_be_stopped(tmp_path: Path) -> None:
    """What is under way is delivered, so that both ends of every key agree."""

    class Stopped(InProcessNetwork):
        def run_window(self, window: int) -> None:
            super().run_window(window)
            if window >= 60:
                self.stop()

    (tmp_path / FOLDER).mkdir()
    setup = read("tiny")
    job = Job(setup, assemble(setup), tmp_path, Options(Pace(None), Engine.IN_PROCESS))
    actors = actors_of(setup.experiment, job.assembly)
    config = NetworkConfig(
        actors.everybody,
        1.0,
        job.assembly.timeline,
        job.management_keys(actors.ground),
        job.order,
        job.message_faults,
    )
    with closing(Injections(tmp_path)) as injections:
        network = Stopped(config, BufferedJournal(tmp_path, ACTOR, config.entities), injections)
        network.run(job.last_window, Pace(None))
        progress = network.progress
        network.finish()
    assert 60 <= progress.window < job.last_window
    assert progress.totals.demanded_units > 0
    assert audit(tmp_path).ok


def test_nothing_of_grpc_or_ray_is_loaded_for_it() -> None:
    script = (
        "import sys, emulator.commands.run, emulator.run, emulator.engines.in_process, "
        "emulator.report.summary; print(*({'grpc', 'ray'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
