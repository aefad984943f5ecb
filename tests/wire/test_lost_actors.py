"""Whoever is lost comes back, and nobody can tell from the outcome."""

from __future__ import annotations

import asyncio
import math
import random
import sqlite3
from pathlib import Path

import pytest
from live_network import LiveNetwork, within

from emulator.results.audit import audit
from emulator.runtime.clock import BarrierClock, HostFailedError
from emulator.runtime.pacing import Pace
from emulator.store.journal import FOLDER, SupersededError
from emulator.store.key_table import KeysDifferError
from emulator.store.registry import Registry


async def _undisturbed(folder: Path, hosts: int) -> None:
    network = LiveNetwork(folder, hosts)
    await network.start()
    await network.run()
    await network.stop()


@pytest.fixture(scope="module")
def quiet_digest(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("quiet") / "run"
    within(60, _undisturbed(folder, 3))
    return audit(folder).digest


async def _disturbed(folder: Path, hosts: int, seed: int, losses: int) -> int:
    """Lose hosts and the clock at random moments; return how many were lost."""
    chance = random.Random(seed)
    network = LiveNetwork(folder, hosts, checkpoint_after_s=chance.choice([0.0, 0.005, math.inf]))
    await network.start()
    running = asyncio.create_task(network.run())
    lost = 0
    for _ in range(losses):
        for _ in range(chance.randrange(200)):
            await asyncio.sleep(0)
        await asyncio.sleep(chance.choice([0, 0, 0.001, 0.01, 0.03]))
        if running.done():
            break
        lost += 1
        victim = chance.choice([*sorted(network.hosts), "clock"])
        if victim == "clock":
            running = await network.lose_clock(running)
        else:
            await network.lose(victim)
            await network.bring_up(victim)
    await running
    await network.stop()
    return lost


@pytest.mark.parametrize(("hosts", "seed"), [(1, 1), (2, 2), (3, 3), (7, 4), (7, 5)])
def test_losing_hosts_and_the_clock_changes_nothing(
    tmp_path: Path, quiet_digest: str, hosts: int, seed: int
) -> None:
    print(f"seed {seed}")
    lost = within(120, _disturbed(tmp_path / "run", hosts, seed, 25))
    result = audit(tmp_path / "run")
    assert lost > 5
    assert result.ok, result.fields()
    assert result.digest == quiet_digest
    assert Registry(tmp_path / "run").restarts > 0


def test_a_key_manager_whose_keys_are_not_those_of_its_journal_does_not_come_back(
    tmp_path: Path,
) -> None:
    async def lose_a_host_and_a_key() -> None:
        network = LiveNetwork(tmp_path / "run", 1)
        await network.start()
        running = asyncio.create_task(network.run())
        while network.clock.window < 40:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await network.lose("host-0")
        with sqlite3.connect(tmp_path / "run" / FOLDER / "host-0.sqlite") as journal:
            found = journal.execute(
                "SELECT name, key_id FROM stored_key JOIN entities ON number = entity LIMIT 1"
            )
            entity, key_id = found.fetchone()
            journal.execute("DELETE FROM stored_key WHERE key_id = ?", (key_id,))
        journal.close()
        with pytest.raises(KeysDifferError, match=f"{entity}: .* differ in 1 keys"):
            await network.bring_up("host-0")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await network.clock.close()
        await network.exporter.stop()

    within(60, lose_a_host_and_a_key())


def test_a_host_that_was_thought_lost_cannot_write_any_more(tmp_path: Path) -> None:
    async def two_lives() -> None:
        network = LiveNetwork(tmp_path / "run", 1)
        await network.start()
        old = network.hosts["host-0"]
        await network.bring_up("host-0")
        assert old._server is not None
        with pytest.raises(SupersededError, match="host-0: incarnation 1"):
            await old.run_window(0)
        await old._server.stop(grace=None)
        await network.run()
        await network.stop()

    within(60, two_lives())
    assert audit(tmp_path / "run").ok


def test_a_clock_that_was_thought_lost_is_obeyed_by_nobody_any_more(
    tmp_path: Path, quiet_digest: str
) -> None:
    async def two_clocks() -> None:
        network = LiveNetwork(tmp_path / "run", 3)
        await network.start()
        running = asyncio.create_task(network.run())
        while network.clock.window < 40:  # noqa: ASYNC110
            await asyncio.sleep(0)
        later = BarrierClock(network.clock_config, 2)
        await later.run(network.last_window, Pace(None))
        with pytest.raises(HostFailedError, match="obeys a later clock"):
            await running
        assert network.clock.window < network.last_window
        assert sum(host._services.refused["a former clock"] for host in network.hosts.values()) > 0
        await later.close()
        await network.stop()

    within(60, two_clocks())
    assert audit(tmp_path / "run").digest == quiet_digest
