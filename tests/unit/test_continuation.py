"""How a run that was lost is continued: resumed if anything was done, started over if not."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.commands.continuation import Continuation
from emulator.store.journal import Journal


def begin(folder: Path, *, windows: int) -> None:
    """Write what a run leaves that was lost after so many windows."""
    (folder / "journal").mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    book = Journal(folder, "host-0", ["global-manager"])
    for window in range(windows):
        book.commit(window, {}, mail=b"")
    book.close()


@pytest.mark.parametrize("out", [("--out", "RUN"), ("--out=RUN",)])
def test_a_run_that_did_nothing_is_started_over_in_an_empty_folder(
    tmp_path: Path, out: tuple[str, ...]
) -> None:
    folder = tmp_path / "run"
    words = ["run", "tiny", *(word.replace("RUN", str(folder)) for word in out), "--json"]
    go_on = Continuation(words)
    begin(folder, windows=0)

    assert go_on() == words
    assert list(folder.iterdir()) == []


def test_a_run_that_did_something_is_resumed_and_keeps_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    go_on = Continuation(["run", "tiny", "--out", str(folder), "--seed", "3", "--pace", "20"])
    begin(folder, windows=2)
    before = sorted(folder.rglob("*"))

    assert go_on() == ["run", "--resume", str(folder), "--continued", "--pace", "20"]
    assert sorted(folder.rglob("*")) == before


def test_what_was_in_the_folder_before_is_never_touched(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    begin(folder, windows=0)
    go_on = Continuation(["run", "tiny", "--out", str(folder)])
    before = sorted(folder.rglob("*"))

    assert go_on() is None
    assert sorted(folder.rglob("*")) == before


def test_a_damaged_journal_is_left_to_whoever_resumes_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    go_on = Continuation(["run", "tiny", "--out", str(folder)])
    begin(folder, windows=2)
    (folder / "journal" / "aaa.sqlite").write_text("no database")

    assert go_on() == ["run", "--resume", str(folder), "--continued"]


def test_a_run_that_nobody_keeps_is_started_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").write_text("here")
    words = ["run", "tiny", "--engine", "in-process"]

    assert Continuation(words)() == words
    assert (tmp_path / "mine.txt").exists()
