"""An audit of a run that has ended holds every cell of its journals and every figure of its summary."""

from __future__ import annotations

import copy
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kept_folders import keep

from emulator.build.assembly import assemble
from emulator.build.loading import read
from emulator.report import retelling, summary
from emulator.results.audit import audit
from emulator.store import journals
from emulator.store.files import SUMMARY
from emulator.store.journal import FOLDER


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keep(tmp_path_factory.mktemp("kept"))


NOT_RESULTS = {
    ("life", "one"): "there is one row",
    ("life", "actor"): "the chain begins with it, and so it is noticed where there is any link",
    ("life", "incarnation"): "which process wrote last",
    ("life", "lost"): "whether the sealing key is lost",
    ("checkpoint", "one"): "there is one row, which whoever resumes drops",
    ("checkpoint", "window"): "dropped by whoever resumes",
    ("checkpoint", "state"): "sealed by itself, and dropped by whoever resumes",
    ("stored_key", "material"): "sealed by itself, and written again by whoever resumes",
}
"""Cells of a journal that its hashes do not cover, and why."""


def _altered(value: object) -> object:
    if isinstance(value, bytes):
        return value + b"x"
    return (
        value + "x" if isinstance(value, str) else (value if isinstance(value, int) else 0) + 1000
    )


def _first_cells(path: Path) -> Iterator[tuple[str, str, str, list[object]]]:
    """Yield table, column, and the statement, with values, that alters the cell of the first row."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall()
        for (table,) in tables:
            found = connection.execute(f"SELECT * FROM {table} LIMIT 1")
            columns = [item[0] for item in found.description]
            for row in found.fetchall():
                where = " AND ".join(f'"{name}" IS ?' for name in columns)
                for column, value in zip(columns, row, strict=True):
                    change = f'UPDATE {table} SET "{column}" = ? WHERE {where}'
                    yield table, column, change, [_altered(value), *row]


def test_no_cell_of_a_journal_that_has_ended_is_altered_unnoticed(
    kept: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(kept / "ended", tmp_path / "run"))
    unnoticed, tried = set(), set()
    for path in (folder / FOLDER).glob("*.sqlite"):
        whole = path.read_bytes()
        for table, column, change, values in list(_first_cells(path)):
            with closing(sqlite3.connect(path)) as connection:
                connection.execute(change, values)
                connection.commit()
            tried.add(table)
            if not journals.faults(folder):
                unnoticed.add((table, column))
            path.write_bytes(whole)
    assert tried >= {"fact", "mail", "chain", "life", "entities", "news", "key_store", "stored_key"}
    assert unnoticed <= NOT_RESULTS.keys()


def _leaves(value: Any, where: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in items:
            yield from _leaves(inner, (*where, name))
    else:
        yield where


def test_no_figure_of_a_summary_is_altered_unnoticed_but_what_no_journal_knows(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = kept / "ended"
    said, book = json.loads((folder / SUMMARY).read_text()), assemble(read("tiny"))
    setup, audited = read(str(folder / "experiment.yaml")), audit(folder)
    assert retelling.differences(folder, setup, book, said, audited) == []
    again = summary.results_again(folder, setup, book, said, audited)
    monkeypatch.setattr(retelling, "results_again", lambda *_: again)
    unnoticed = set()
    for *sections, last in _leaves(said):
        altered = section = copy.deepcopy(said)
        for name in sections:
            section = section[name]
        section[last] = (
            not section[last] if isinstance(section[last], bool) else _altered(section[last])
        )
        if not retelling.differences(folder, setup, book, altered, audited):
            unnoticed.add(sections[0] if sections else last)
    assert unnoticed == {"audit", "wall_s", "startup_s", "running_s", "restarts"}
