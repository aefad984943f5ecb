"""Runs that join a Ray cluster of several machines, each in a network namespace of its own."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from machines import Machines, need_namespaces, until

from emulator.runtime.grpc_services import CLOCK
from emulator.store.journal import FOLDER
from emulator.store.journals import last_window
from emulator.store.registry import ActorRecord, Registry
from protos.facts import FactKind

pytestmark = [pytest.mark.system, pytest.mark.cluster]
KEY_MANAGERS = "kme-B"  # on the second of three machines
PORTS = "20000-20099"
COMMAND = [sys.executable, "-m", "emulator", "run", "--json"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of `tiny` on one machine."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    words = [*COMMAND, "tiny", "--hosts", "1", "--out", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    digest: str = json.loads(done.stdout)["digest"]
    return digest


@pytest.fixture(scope="module")
def two() -> Iterator[Machines]:
    """Two machines, one of them meant for the nodes in the east."""
    need_namespaces()
    with Machines(["", "qsagin-domain=east"]) as machines:
        yield machines


def _command(machines: Machines, folder: Path, *words: str) -> list[str]:
    return [*COMMAND, "--out", str(folder), "--address", machines.address, *words]


def _run(machines: Machines, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        machines.command(0, _command(machines, folder, *words)),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env=machines.environment,
    )


def _summary(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_two_machines_give_the_digest_of_one(two: Machines, alone: str, tmp_path: Path) -> None:
    done = _run(two, tmp_path / "run", "tiny", "--hosts", "2", "--ports", PORTS)
    summary = _summary(done)
    where = [item.address for item in Registry(tmp_path / "run").everybody().values()]
    addresses = [address.removeprefix("http://").split("/")[0] for address in where if address]
    ends = [address.split(":") for address in addresses]
    assert summary["digest"] == alone
    assert {host for host, _ in ends} == {two.ip(0), two.ip(1)}
    assert all(20000 <= int(port) <= 20099 for _, port in ends)


def test_domains_run_on_the_machines_that_are_meant_for_them(
    two: Machines, write_experiment: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_experiment()
    (tmp_path / "tiny.nodes.csv").write_text("node,domain\nA,west\nB,east\nC,east\n")
    words = (str(path), "--hosts", "3", "--placement", "domains")
    summary = _summary(_run(two, tmp_path / "run", *words))
    where = Registry(tmp_path / "run").everybody()
    east = {name for name, item in where.items() if item.address.startswith(two.ip(1))}
    assert east == {"kme-B", "kme-C"}
    assert summary["complete"]


def test_a_folder_that_only_one_machine_sees_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    need_namespaces()
    with Machines(hidden=tmp_path) as machines:
        done = _run(machines, tmp_path / "run", "tiny", "--hosts", "2")
        assert done.returncode == 2
        assert done.stderr == (
            f"--address: {machines.ip(1)} does not see {tmp_path / 'run'}; "
            "name a folder on storage that all machines mount\n"
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("loss", ["raylet", "power", "cable"])
def test_a_lost_machine_is_replaced_in_time_and_changes_nothing(
    alone: str, tmp_path: Path, loss: str
) -> None:
    """Loss of Ray's part alone, of all processes, or of the network, with the clock and key managers."""
    need_namespaces()
    folder = tmp_path / "run"
    with Machines(["", "", ""]) as machines, _started(machines, folder) as run:
        lives = _lives_at(folder, machines.ip(1))
        old = [psutil.Process(item.pid) for item in lives.values()]
        began_s = time.monotonic()
        machines.lose(1, loss)
        until(lambda: not _lives_at(folder, machines.ip(1)))
        moved_s, before = time.monotonic() - began_s, _delivered(folder)
        split = sum(process.is_running() for process in old)
        until(lambda: _delivered(folder) > before)
        served_s = time.monotonic() - began_s
        out, err = run.communicate(timeout=120)
    print(
        f"{loss}: moved {moved_s:.1f} s, keys again {served_s:.1f} s, {split} live twice: {[*lives]}"
    )
    assert run.returncode == 0, err
    summary = json.loads(out)
    assert set(lives) == {"satellite-controller", KEY_MANAGERS}
    assert summary["restarts"] >= len(lives) + 1  # the clock, which has no address
    assert summary["digest"] == alone
    assert summary["audit"]["ok"]
    assert loss != "cable" or split == len(lives)  # cut off, and fenced
    assert served_s < 10


@pytest.mark.parametrize("loss", ["power", "cable"])
def test_a_machine_that_comes_back_harms_nothing_and_is_used_again(
    alone: str, tmp_path: Path, loss: str
) -> None:
    """It was lost with key managers, and comes back while the run goes on; then another is lost."""
    need_namespaces()
    folder = tmp_path / "run"
    with Machines(["", "", ""]) as machines:
        with _started(machines, folder, pace="3") as run:
            machines.lose(1, loss)
            until(lambda: not _lives_at(folder, machines.ip(1)))
            machines.come_back(1)
            assert run.poll() is None
            machines.lose(2, "power")
            until(lambda: not _lives_at(folder, machines.ip(2)))
            out, err = run.communicate(timeout=120)
            on_it = _lives_at(folder, machines.ip(1))
        again = _summary(_run(machines, tmp_path / "again", "tiny", "--hosts", "2"))
        where = Registry(tmp_path / "again").everybody().values()
        used = {item.address.removeprefix("http://").split(":")[0] for item in where}
    print(f"{loss}: in the same run {[*on_it]} have moved to the machine that came back")
    assert run.returncode == 0, err
    summary = json.loads(out)
    assert summary["digest"] == again["digest"] == alone
    assert summary["audit"]["ok"]
    assert machines.ip(1) in used


def test_a_partition_between_machines_holds_the_run_up_and_changes_nothing(
    alone: str, tmp_path: Path
) -> None:
    """Actors do not reach one another; Ray, which uses other ports, notices nothing."""
    need_namespaces()
    folder = tmp_path / "run"
    with Machines(["", "", ""]) as machines, _started(machines, folder) as run:
        machines.part(1, PORTS)
        until(lambda: _stands_still(folder, 3.0))
        before = last_window(folder)
        machines.heal(1, PORTS)
        until(lambda: last_window(folder) > before)
        out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    summary = json.loads(out)
    assert summary["digest"] == alone
    assert summary["audit"]["ok"]


@contextmanager
def _started(machines: Machines, folder: Path, pace: str = "10") -> Iterator[subprocess.Popen[str]]:
    """Start a run over all machines, and wait until it delivers keys."""
    words = ("tiny", "--hosts", "2", "--pace", pace, "--ports", PORTS)
    with subprocess.Popen(
        machines.command(0, _command(machines, folder, *words)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=machines.environment,
    ) as run:
        until((folder / "plan.json").exists, 180)
        until(lambda: _delivered(folder) > 60)
        yield run


def _stands_still(folder: Path, for_s: float) -> bool:
    """Wait for a while; return whether nobody has begun a window meanwhile."""
    before, ends_s = last_window(folder), time.monotonic() + for_s
    until(lambda: time.monotonic() > ends_s)
    return last_window(folder) == before


def _lives_at(folder: Path, address: str) -> dict[str, ActorRecord]:
    """Return the actors whose latest life answers at a machine, or has not yet begun to answer."""
    return {
        name: item
        for name, item in Registry(folder).everybody().items()
        if item.address.startswith(address) or not (item.published or name == CLOCK)
    }


def _delivered(folder: Path) -> int:
    """Return the last window in which the key managers that will be lost have delivered a key."""
    path = folder / FOLDER / f"{KEY_MANAGERS}.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as journal:
        query = "SELECT coalesce(max(window), 0) FROM fact WHERE kind = ?"
        window: int = journal.execute(query, (FactKind.DELIVERED.value,)).fetchone()[0]
    return window


def _points_on(machines: Machines, place: int) -> int:
    """Return how many points of a sweep a machine has under way."""
    count = 0
    for pid in machines.pids(place):
        with suppress(psutil.NoSuchProcess):
            count += "--attached" in psutil.Process(pid).cmdline()
    return count


def test_a_sweep_outlives_a_machine_that_has_a_point_of_it(tmp_path: Path) -> None:
    need_namespaces()
    folder = tmp_path / "sweep"
    words = ["tiny", "--set", "demand.periods=12,13", "--seeds", "1,2", "--out", str(folder)]
    with Machines() as machines:
        words += ["--engine", "processes", "--jobs", "2", "--json"]
        command = [sys.executable, "-m", "emulator", "sweep", *words]
        with subprocess.Popen(
            machines.command(0, [*command, "--address", machines.address]),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=machines.environment,
        ) as sweep:
            until(lambda: all(_points_on(machines, place) for place in (0, 1)), 120)
            machines.lose(1, "power")
            out, err = sweep.communicate(timeout=280)
    assert sweep.returncode == 0, err
    assert [row["state"] for row in json.loads(out)["rows"]] == ["done"] * 4
