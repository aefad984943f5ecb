"""SAEs take keys from real runs, whose processes are killed; run again, they are the same runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from doors import write_experiment
from patience import patient

from emulator.access import AccessError, Client, Key
from emulator.store import journals
from emulator.store.registry import Registry

pytestmark = pytest.mark.cluster
COMMAND = [sys.executable, "-m", "emulator"]


def _start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "run", *words, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _qsagin(*words: str) -> dict[str, Any]:
    done = subprocess.run(
        [*COMMAND, *words, "--json"],
        capture_output=True,
        text=True,
        timeout=patient(120),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _patiently(call: Callable[[], Any], limit_s: float = 60.0) -> Any:
    """Call again while nobody answers, or what is asked for is not there yet."""
    ends_s = time.monotonic() + patient(limit_s)
    while True:
        try:
            return call()
        except (OSError, HTTPException, AccessError) as error:
            is_refused = isinstance(error, AccessError) and error.status == 401
            if is_refused or time.monotonic() > ends_s:
                raise
        time.sleep(0.05)


def _client(run: Path, sae: str) -> Client:
    folder = run.parent / f"sae-{sae.replace('/', '~')}-{time.monotonic_ns()}"
    found = _qsagin("access", str(run), "--sae", sae, "--out", str(folder))
    assert (folder / "key.pem").stat().st_mode & 0o077 == 0
    pem = [folder / name for name in ("certificate.pem", "key.pem", "ca.pem")]
    return Client(found["url"], *pem, timeout_s=10)


def _announced(run: Path, process: subprocess.Popen[str]) -> None:
    ends_s = time.monotonic() + patient(90)
    while not (run / "access.json").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < ends_s
        time.sleep(0.1)


def _kill_home_of(run: Path, entity: str) -> None:
    home = next(name for name, here in journals.homes(run).items() if entity in here)
    actor = Registry(run).find(home)
    assert actor is not None
    os.kill(actor.pid, signal.SIGKILL)


def _refused(call: Callable[[], Any]) -> int:
    with pytest.raises(AccessError) as refused:
        call()
    return refused.value.status


def test_two_saes_take_a_hundred_keys_twice_whoever_is_killed(tmp_path: Path) -> None:
    experiment = write_experiment(tmp_path, periods=24)
    run = tmp_path / "run"
    process = _start(str(experiment), "--out", str(run), "--pace", "10", "--hosts", "2", "--keys")
    try:
        _announced(run, process)
        alice, carol = _client(run, "alice"), _client(run, "carol/1")
        given: list[Key] = []
        for batch in range(10):
            keys = _patiently(lambda: alice.enc_keys("carol/1", 10))
            if batch == 3:
                _kill_home_of(run, "kme-C")
            if batch == 6:
                _kill_home_of(run, "kme-A")
            names = [key.id for key in keys]
            assert _patiently(lambda names=names: carol.dec_keys("alice", names)) == keys
            given += keys
        assert len({key.id for key in given}) == len({key.key for key in given}) == 100
        for key in given[::9]:
            assert _refused(lambda key=key: carol.dec_keys("alice", [key.id])) == 400
            assert _refused(lambda key=key: alice.dec_keys("alice", [key.id])) == 400
        assert process.poll() is None, "the run was over before the keys were taken"
        out, err = process.communicate(timeout=patient(200))
    finally:
        process.kill()
    assert process.returncode == 0, err
    summary = json.loads(out)
    assert summary["restarts"] >= 2
    assert summary["demanded_units"] >= 100
    assert _qsagin("audit", str(run))["ok"]
    again = _qsagin(
        "run", str(run / "experiment.yaml"), "--out", str(tmp_path / "again"), "--hosts", "1"
    )
    assert again["digest"] == summary["digest"]
    assert not (run / "access-authority.pem").exists()


def test_a_run_that_is_killed_and_resumed_gives_no_key_again(tmp_path: Path) -> None:
    experiment = write_experiment(tmp_path, periods=12)
    run = tmp_path / "run"
    words = ("--pace", "10", "--keys")
    process = _start(str(experiment), "--out", str(run), "--hosts", "2", *words)
    try:
        _announced(run, process)
        alice, carol = _client(run, "alice"), _client(run, "carol/1")
        taken = _patiently(lambda: alice.enc_keys("carol/1", 5))
        assert _patiently(lambda: carol.dec_keys("alice", [key.id for key in taken])) == taken
        held = _patiently(lambda: alice.enc_keys("carol/1", 5))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    (run / "access.json").unlink()
    time.sleep(1)
    process = _start("--resume", str(run), *words)
    try:
        _announced(run, process)
        alice, carol = _client(run, "alice"), _client(run, "carol/1")
        assert _patiently(lambda: carol.dec_keys("alice", [key.id for key in held])) == held
        assert _refused(lambda: carol.dec_keys("alice", [held[0].id])) == 400
        more = _patiently(lambda: alice.enc_keys("carol/1", 5))
        assert not {key.id for key in more} & {key.id for key in (*taken, *held)}
        assert _patiently(lambda: carol.dec_keys("alice", [key.id for key in more])) == more
        out, err = process.communicate(timeout=patient(200))
    finally:
        process.kill()
    assert process.returncode == 0, err
    summary = json.loads(out)
    assert _qsagin("audit", str(run))["ok"]
    again = _qsagin(
        "run",
        str(run / "experiment.yaml"),
        "--out",
        str(tmp_path / "again"),
        "--engine",
        "in-process",
    )
    assert again["digest"] == summary["digest"]


def test_a_run_without_doors_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "run", "tiny", "--out", str(tmp_path / "run"), "--keys"],
        capture_output=True,
        text=True,
        timeout=patient(60),
        check=False,
    )
    assert done.returncode == 2
    assert "--keys: the experiment names no SAE" in done.stderr
    assert not (tmp_path / "run").exists()
