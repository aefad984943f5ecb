"""Runs that join a Ray cluster of several machines, each in a network namespace of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from machines import Machines, need_namespaces

from emulator.registry import Registry

pytestmark = [pytest.mark.system, pytest.mark.cluster]
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


def _run(machines: Machines, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "--out", str(folder), "--address", machines.address, *words]
    return subprocess.run(
        machines.command(0, command),
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
    done = _run(two, tmp_path / "run", "tiny", "--hosts", "2", "--ports", "20000-20099")
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
