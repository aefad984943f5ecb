"""Sixteen SAEs take keys from a real run while its processes are killed; their history is judged.

Any process of the run may be killed, at any instant: hosts with doors, controllers, the manager, the clock.
`QSAGIN_KILLS` says how many are (20 if it is not set).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from doors import write_experiment
from machines import until
from test_sae_kills import Clients

from emulator.access import Client
from emulator.access.certificates import AccessAuthority, write_credentials
from emulator.access.opening import announced
from emulator.results import sae_keys
from emulator.results.audit import audit
from emulator.store.registry import Registry

pytestmark = pytest.mark.system
KILLS = int(os.environ.get("QSAGIN_KILLS", "20"))
SEED = 11


class _Doors:
    """The doors of a run, as its clients need them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def client(self, sae: str) -> Client:
        """Return a client for an SAE."""
        where = self._folder.parent / f"sae-{sae}"
        if not where.exists():
            authority = AccessAuthority.of(self._folder)
            write_credentials(where, authority.sae(sae), authority.certificate)
        found = announced(self._folder)
        url = found["nodes"][found["saes"][sae]["node"]]["url"]
        files = [where / name for name in ("certificate.pem", "key.pem", "ca.pem")]
        return Client(url, *files, timeout_s=10.0)


def _kill_one(folder: Path, chance: random.Random, killed: Counter[str]) -> None:
    """Kill a process of the run, and count it if it was still there."""
    actors = {actor.pid: name for name, actor in sorted(Registry(folder).everybody().items())}
    pid = chance.choice(sorted(pid for pid in actors if pid and pid != os.getpid()))
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    killed[actors[pid]] += 1


@pytest.mark.timeout(3600)
def test_a_run_whose_processes_are_killed_gives_no_key_twice_and_loses_none(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    experiment = write_experiment(tmp_path, periods=3000)
    words = ["--out", str(folder), "--pace", "10", "--hosts", "3", "--keys", "--json"]
    run = subprocess.Popen(
        [sys.executable, "-m", "emulator", "run", str(experiment), *words],
        stdout=subprocess.DEVNULL,
        stderr=(tmp_path / "stderr").open("wb"),
    )
    killed: Counter[str] = Counter()
    try:
        until((folder / "access.json").exists, 90)
        clients, chance = Clients(_Doors(folder)), random.Random(SEED)  # type: ignore[arg-type]
        threads: list[threading.Thread] = clients.threads()
        for thread in threads:
            thread.start()
        while killed.total() < KILLS:
            assert run.poll() is None, (tmp_path / "stderr").read_text()
            time.sleep(chance.uniform(0.1, 3.0))
            _kill_one(folder, chance, killed)
        time.sleep(5)
        clients.ended.set()
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive()
    finally:
        run.send_signal(signal.SIGTERM)
        run.wait(120)
    history = clients.history
    keys = {key.id: key.key for key in history.given}
    print(
        f"{killed.total()} kills {dict(killed)}, {len(keys)} keys, {dict(history.unanswered)} unanswered"
    )
    assert history.wrong == []
    assert len(keys) == len(history.given) > KILLS
    assert len(set(keys.values())) == len(keys)
    assert max(Counter(key.id for key in history.taken).values()) == 1
    assert {key.id: key.key for key in history.taken} == keys
    assert audit(folder, cut_off=True).ok
    assert sae_keys.problems(folder) == []
