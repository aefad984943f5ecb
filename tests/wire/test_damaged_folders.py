"""Folders after bad days: a resumption refuses, touching nothing, and an audit notices what was altered."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from kept_folders import keep

from emulator import cli, run
from emulator.runtime import injection
from emulator.store.files import SUMMARY, locked
from emulator.store.journal import FOLDER

Damage = Callable[[Path], object]


def _call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["qsagin", *words])
    monkeypatch.setenv("QSAGIN_SUPERVISED", "1")  # else `run` would be done by another process
    try:
        cli.main()
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    return status, *capsys.readouterr()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keep(tmp_path_factory.mktemp("kept"))


def _sql(statement: str, host: int = 0) -> Damage:
    def alter(folder: Path) -> None:
        with closing(sqlite3.connect(folder / FOLDER / f"host-{host}.sqlite")) as connection:
            assert connection.execute(statement).rowcount > 0
            connection.commit()

    return alter


def _table_sql(name: str, statement: str) -> Damage:
    def alter(folder: Path) -> None:
        with closing(sqlite3.connect(folder / name)) as connection:
            assert connection.execute(statement).rowcount > 0
            connection.commit()

    return alter


def _gone(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def _bytes(name: str, change: Callable[[bytes], bytes]) -> Damage:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def _text(name: str, old: str, new: str) -> Damage:
    def alter(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return alter


def _copied(name: str, source: str) -> Damage:
    return lambda folder: shutil.copy(folder.parent / source, folder / name)


def _fields(name: str, **changes: Any) -> Damage:
    def alter(folder: Path) -> None:
        fields = yaml.safe_load((folder / name).read_text())
        for dotted, value in changes.items():
            *sections, last = dotted.split("__")
            section = fields
            for key in sections:
                section = section[key]
            assert section[last] != value
            section[last] = value
        text = json.dumps(fields) if name.endswith("json") else yaml.safe_dump(fields)
        (folder / name).write_text(text)

    return alter


JOURNAL = f"{FOLDER}/host-1.sqlite"
DAMAGES: dict[str, Damage] = {
    "a journal is shorter": _bytes(JOURNAL, lambda old: old[: len(old) // 2]),
    "a journal is empty": _bytes(JOURNAL, lambda _: b""),
    "a journal has no header": _bytes(JOURNAL, lambda old: bytes(100) + old[100:]),
    "a journal has a page of zeros": _bytes(JOURNAL, lambda old: old[:8192] + bytes(4096) + old[12288:]),
    "a journal is text": _bytes(JOURNAL, lambda _: b"what\n" * 3000),
    "a journal is gone": _gone(JOURNAL),
    "all journals are gone": lambda folder: [path.unlink() for path in (folder / FOLDER).iterdir()],
    "a journal is that of another actor": _copied(JOURNAL, f"cut/{FOLDER}/host-2.sqlite"),
    "a journal is that of another run": _copied(JOURNAL, f"cut-other/{FOLDER}/host-1.sqlite"),
    "a fact is altered": _sql("UPDATE fact SET units = units + 1 WHERE rowid = 9"),
    "a fact is gone": _sql("DELETE FROM fact WHERE rowid = 9"),
    "a fact is added": _sql("INSERT INTO fact SELECT * FROM fact WHERE rowid = 9"),
    "facts are of another entity": _sql("UPDATE fact SET entity = 1 - entity WHERE entity < 2"),
    "entities have changed names": _sql("UPDATE entities SET name = 'x' || name"),
    "entities have changed places": _sql("UPDATE entities SET number = 9 - number"),
    "mail is gone": _sql("DELETE FROM mail WHERE window > 20"),
    "mail is altered": _sql("UPDATE mail SET batches = x'' WHERE length(batches) > 0"),
    "a window was moved": _sql("UPDATE fact SET window = window + 1 WHERE rowid = 9"),
    "the chain is shorter": _sql("DELETE FROM chain WHERE number > 9"),
    "who was written to is altered": _sql("UPDATE chain SET wrote = '' WHERE wrote <> ''"),
    "an actor lives a later life": _sql("UPDATE life SET incarnation = 7"),
    "the table of actors is gone": _gone("actors.sqlite"),
    "the table of actors is text": _bytes("actors.sqlite", lambda _: b"what\n" * 3000),
    "the table of actors was put back": _table_sql("actors.sqlite", "DELETE FROM actor"),
    "the table of faults is gone": _gone("injected.sqlite"),
    "the table of faults is shorter": _bytes("injected.sqlite", lambda old: old[:5000]),
    "the table of faults was put back": _table_sql("injected.sqlite", "DELETE FROM injection"),
    "prices were edited": _fields("experiment.yaml", prices={"fiber_unit": 1}),
    "periods were edited": _fields("experiment.yaml", demand__periods=9),
    "the seed was edited": _fields("experiment.yaml", seed=8),
    "the experiment is gone": _gone("experiment.yaml"),
    "the experiment is no YAML": _bytes("experiment.yaml", lambda _: b"{{{{"),
    "the network was edited": _text("network.csv", "40.0", "41.0"),
    "the network is gone": _gone("network.csv"),
    "the folder does not say what it is": _gone("run.json"),
    "what it says is damaged": _bytes("run.json", lambda old: old[:20]),
    "what it was told is not said": _fields("run.json", told={}),
    "it is of another program": _fields("run.json", told__program="qsagin 0.0.9"),
    "its summary is damaged": lambda folder: (folder / SUMMARY).write_text('{"complete": fal'),
    "its summary is none": lambda folder: (folder / SUMMARY).write_text("[]"),
}  # fmt: skip


def _content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_refused_in_one_line_and_left_as_it_is(
    kept: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: str,
) -> None:
    shutil.copytree(kept, tmp_path / "kept", dirs_exist_ok=True)
    folder = tmp_path / "kept" / "cut"
    monkeypatch.setattr(run, "_account", lambda *_: pytest.fail("it would have been resumed"))
    DAMAGES[damage](folder)
    before = _content(folder)
    status, out, err = _call(monkeypatch, capsys, "run", "--resume", str(folder))
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert str(folder) in err
    assert _content(folder) == before


def test_a_run_that_had_not_begun_has_lost_nothing(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(kept, tmp_path / "kept", dirs_exist_ok=True)
    folder = tmp_path / "kept" / "cut"
    DAMAGES["all journals are gone"](folder)
    DAMAGES["the table of faults is gone"](folder)
    (folder / FOLDER / "manager.sqlite").touch()
    status, _, err = _call(monkeypatch, capsys, "run", "--resume", str(folder))
    assert status == 2
    assert "before every actor had begun" in err
    assert "injected" not in err


def test_a_folder_that_nobody_damaged_would_be_resumed(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class WouldBeResumedError(Exception):
        pass

    def account(*_: object) -> None:
        raise WouldBeResumedError

    monkeypatch.setattr(run, "_account", account)
    folder = Path(shutil.copytree(kept / "cut", tmp_path / "cut"))
    injection.record(folder)  # as when it was interrupted by a signal
    with pytest.raises(WouldBeResumedError):
        _call(monkeypatch, capsys, "run", "--resume", str(folder))


def _parquet(name: str, column: str, by: int) -> Damage:
    def alter(folder: Path) -> None:
        table = pq.read_table(folder / name)
        place, field = table.schema.get_field_index(column), table.schema.field(column)
        values = [value + by for value in table[column].to_pylist()]
        pq.write_table(table.set_column(place, field, [values]), folder / name)

    return alter


def _sql_everywhere(statement: str) -> Damage:
    def alter(folder: Path) -> None:
        changed = 0
        for path in (folder / FOLDER).glob("*.sqlite"):
            with closing(sqlite3.connect(path)) as connection:
                changed += connection.execute(statement).rowcount
                connection.commit()
        assert changed

    return alter


ALTERATIONS: dict[str, Damage] = {
    "costs are doubled": _sql_everywhere("UPDATE fact SET cost = 2 * cost"),
    "demands are changed": _sql_everywhere("UPDATE fact SET units = units + 1 WHERE kind = 'demanded'"),
    "windows are moved": _sql_everywhere("UPDATE fact SET window = window + 1 WHERE kind = 'short'"),
    "mail is deleted": _sql_everywhere("DELETE FROM mail WHERE window > 30"),
    "the end is deleted": _sql_everywhere("DELETE FROM fact WHERE kind = 'stored'"),
    "a journal is not finished": _sql("UPDATE life SET end_row = 0"),
    "the manager's journal is deleted": _gone(f"{FOLDER}/host-0.sqlite"),
    "details cannot be read": _sql_everywhere("UPDATE fact SET details = '{' WHERE details <> ''"),
    "a journal is nobody's": _sql("DELETE FROM life"),
    "a window counts its facts wrongly": _sql("UPDATE chain SET facts = -1 WHERE number = 9"),
    "the end counts its facts wrongly": _sql_everywhere("UPDATE chain SET facts = 99 WHERE window IS NULL"),
    "keys have other names": _sql_everywhere("UPDATE stored_key SET key_id = 'x' || key_id"),
    "a key store is deleted": _sql_everywhere("DELETE FROM key_store WHERE capacity = 0"),
    "faults are deleted": _gone("injected.sqlite"),
    "faults are put back": _table_sql("injected.sqlite", "DELETE FROM injection"),
    "the plan is deleted": _gone("plan.json"),
    "the summary has another digest": _fields(SUMMARY, digest="0" * 64),
    "the summary has another cost": _fields(SUMMARY, cost__total=1),
    "the summary has other services": _fields(SUMMARY, served_units__fiber=1),
    "the summary has another audit": _fields(SUMMARY, audit__totals={}),
    "ledger rows are edited": _parquet("ledger.parquet", "demanded_units", 1),
    "ledger times are edited": _parquet("ledger.parquet", "down_s", 1),
    "ledger costs are edited": _parquet("ledger.parquet", "cost", 5),
    "the ledger is deleted": _gone("ledger.parquet"),
    "decisions are edited": _parquet("decisions.parquet", "cost", 5),
    "the plan is edited": _fields("plan.json", objective=1.0),
    "the experiment is edited": _fields("experiment.yaml", seed=99),
    "the network is edited": _text("network.csv", "40.0", "41.0"),
}  # fmt: skip


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_an_audit_notices_what_was_altered(
    kept: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    alteration: str,
) -> None:
    folder = Path(shutil.copytree(kept / "ended", tmp_path / "run"))
    ALTERATIONS[alteration](folder)
    status, out, err = _call(monkeypatch, capsys, "audit", str(folder), "--json")
    assert status in {1, 2}
    assert (json.loads(out)["ok"], err) == (False, "") if status == 1 else err.count("\n") == 1


def test_an_audit_finds_nothing_where_nothing_was_altered(
    kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = _call(monkeypatch, capsys, "audit", str(kept / "ended"), "--json")
    found = json.loads(out)
    assert (status, found["ok"], found["problems"]) == (0, True, [])
    assert (found["live"], found["cut_off"]) == (False, False)


def test_a_run_that_was_cut_off_is_said_to_be_and_has_not_failed(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(kept / "cut", tmp_path / "cut"))
    status, out, _ = _call(monkeypatch, capsys, "audit", str(folder), "--json")
    found = json.loads(out)
    assert (status, found["cut_off"], found["live"]) == (0, True, False), found
    _sql("UPDATE fact SET cost = 2 * cost WHERE cost > 0")(folder)
    status, out, _ = _call(monkeypatch, capsys, "audit", str(folder), "--json")
    assert (status, json.loads(out)["ok"]) == (1, False)


def test_a_live_run_is_said_to_be_and_has_not_failed(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(kept / "cut", tmp_path / "cut"))
    with locked(folder, AssertionError("nobody else is here")):
        status, out, _ = _call(monkeypatch, capsys, "audit", str(folder), "--json")
        found = json.loads(out)
        assert (status, found["ok"], found["cut_off"], found["live"]) == (0, True, False, True)
        status, _, err = _call(monkeypatch, capsys, "report", str(folder))
        assert (status, err.count("\n")) == (2, 1)


@pytest.mark.parametrize("name", ["ended", "cut"])
def test_a_report_is_drawn_again(
    kept: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    folder = Path(shutil.copytree(kept / name, tmp_path / name))
    page = folder / "report.html"
    before = page.read_bytes() if page.exists() else b""
    page.unlink(missing_ok=True)
    status, out, err = _call(monkeypatch, capsys, "report", str(folder), "--json")
    assert (status, err, json.loads(out)) == (0, "", {"file": str(page)})
    assert (len(page.read_bytes()) > 10_000) == (len(before) > 10_000 or name == "cut")


@pytest.mark.parametrize("command", ["status", "audit", "report"])
def test_a_damaged_summary_is_named(
    kept: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    folder = Path(shutil.copytree(kept / "ended", tmp_path / "run"))
    (folder / SUMMARY).write_text('{"complete": tr')
    status, out, err = _call(monkeypatch, capsys, command, str(folder))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "summary.json" in err
    assert "--resume" in err


def test_results_that_cannot_be_written_are_told_with_the_way_on(tmp_path: Path) -> None:
    with pytest.raises(run.ResultsError) as told, run._results_named(tmp_path):
        raise OSError(28, "No space left on device", str(tmp_path / "ledger.parquet"))
    assert str(told.value) == (
        f"the results cannot be written: {tmp_path}/ledger.parquet: No space left on device; "
        f"mend that, then `qsagin run --resume {tmp_path}`"
    )
