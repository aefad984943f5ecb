"""A power loss puts some journals back: the run is resumed from where all agree, to the quiet digest."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from live_network import LiveNetwork, within, write_experiment_of

from emulator.results.audit import audit
from emulator.runtime import injection
from emulator.runtime.pacing import Pace
from emulator.store import journals
from emulator.store.journal import FOLDER

ACTORS = 7
LOOKED_AT = (0, 31, 63, 96)
CUT = 104
FAULT = {"kind": "message-fault", "drop": 0.3, "delay_s": 3, "for_s": 40}


async def _cut_short(folder: Path, fault: dict[str, object] | None) -> str:
    """Run `tiny` until it is lost in window 104, and then to its end in a copy; return its digest.

    On the way each journal is copied several times, into `WINDOW/` beside the folder.
    """
    network = LiveNetwork(folder, ACTORS)
    write_experiment_of("tiny", folder)
    await network.start()
    running = asyncio.create_task(network.clock.run(network.last_window, Pace(200.0)))
    for window in (*LOOKED_AT, CUT):
        while network.clock.window < window and not running.done():  # noqa: ASYNC110
            await asyncio.sleep(0)
        if fault is not None and window == 63:
            await asyncio.to_thread(injection.submit, folder, fault)
        if window == CUT:
            shutil.copy(folder / "injected.sqlite", folder.parent / "injected.sqlite")
        _copy_journals(folder, folder.parent / str(window))
    await running
    await network.stop()
    return audit(folder).digest


def _copy_journals(folder: Path, to: Path) -> None:
    to.mkdir()
    for path in (folder / FOLDER).glob("*.sqlite"):
        with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(to / path.name)) as new:
            old.backup(new)


async def _resumed(folder: Path) -> str:
    told = [item.window for item in injection.taken(folder) if item.window is not None]
    journals.reopen(folder, journals.common_window(folder, told))
    network = LiveNetwork(folder, ACTORS)
    await network.start()
    await network.run()
    await network.stop()
    found = audit(folder)
    assert found.ok, found.fields()
    return found.digest


def _folder_with(before: Path, folder: Path, back: dict[str, int]) -> Path:
    """Return a run folder as it was when it was cut, with some journals from earlier windows."""
    (folder / FOLDER).mkdir(parents=True)
    shutil.copy(before / "injected.sqlite", folder)
    for place in range(ACTORS):
        name = f"host-{place}"
        shutil.copy(before / str(back.get(name, CUT)) / f"{name}.sqlite", folder / FOLDER)
    return folder


@pytest.fixture(scope="module", params=[None, FAULT], ids=["quiet", "injected"])
def cut_run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("cut")
    return folder, within(60, _cut_short(folder / "run", request.param))


def test_a_run_that_lost_no_journal_is_taken_back_by_a_window_at_most(
    cut_run: tuple[Path, str], tmp_path: Path
) -> None:
    folder = _folder_with(cut_run[0], tmp_path / "run", {})
    assert journals.last_window(folder) - 1 <= journals.common_window(folder)


@pytest.mark.parametrize("place", range(ACTORS))
@pytest.mark.parametrize("window", LOOKED_AT)
def test_a_journal_that_was_put_back_changes_no_outcome(
    cut_run: tuple[Path, str], tmp_path: Path, place: int, window: int
) -> None:
    before, digest = cut_run
    folder = _folder_with(before, tmp_path / "run", {f"host-{place}": window})
    assert within(60, _resumed(folder)) == digest


@pytest.mark.parametrize("seed", range(5))
def test_journals_that_were_put_back_each_by_itself_change_no_outcome(
    cut_run: tuple[Path, str], tmp_path: Path, seed: int
) -> None:
    before, digest = cut_run
    chance = random.Random(seed)
    back = {f"host-{place}": chance.choice([*LOOKED_AT, CUT]) for place in range(ACTORS)}
    folder = _folder_with(before, tmp_path / "run", back)
    assert within(60, _resumed(folder)) == digest
