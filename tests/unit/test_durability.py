"""What survives a process: journals, the registry of lives, and the seal on what holds key."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from emulator import journal
from emulator.journal import FOLDER, Journal, SupersededError
from emulator.registry import Registry
from emulator.sealing import Seal, SealBrokenError, new_key
from protos.core import Fact, FactKind

ME = "kme-A"
NOTED = Fact(FactKind.DEMANDED, 0, 0, units=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / FOLDER).mkdir()
    return tmp_path


def test_the_next_incarnation_finds_the_mail_of_every_window_since_the_last_checkpoint(
    folder: Path,
) -> None:
    first = Journal(folder, ME, [ME])
    first.commit(0, {ME: [NOTED]}, b"zero")
    first.commit(4, {ME: []}, b"four", checkpoint=b"sealed")
    first.commit(5, {ME: [NOTED]}, b"five")
    past = Journal(folder, ME, [ME], incarnation=2).past()
    assert past.checkpoint == b"sealed"
    assert past.mail == ((5, b"five"),)


def test_a_window_is_committed_whole_or_not_at_all(folder: Path) -> None:
    book = Journal(folder, ME, [ME])
    book.commit(0, {ME: [NOTED]}, b"zero")
    with pytest.raises(sqlite3.IntegrityError):
        book.commit(0, {ME: [NOTED]}, b"zero again")
    assert len(list(journal.rows(folder, ME, "SELECT * FROM fact"))) == 1


def test_an_incarnation_that_was_superseded_writes_nothing(folder: Path) -> None:
    old = Journal(folder, ME, [ME], incarnation=1)
    Journal(folder, ME, [ME], incarnation=2)
    with pytest.raises(SupersededError, match="incarnation 1 has been superseded"):
        old.commit(0, {ME: [NOTED]}, b"zero")
    with pytest.raises(SupersededError):
        old.finish({ME: (0, [NOTED])})
    assert list(journal.rows(folder, ME, "SELECT * FROM fact")) == []


def test_what_is_left_is_written_down_once(folder: Path) -> None:
    book = Journal(folder, ME, [ME])
    assert not book.finished
    book.finish({ME: (7, [NOTED])})
    assert book.finished
    assert list(journal.rows(folder, ME, "SELECT window, units FROM fact")) == [(7, 3)]


def test_facts_of_entities_that_share_a_journal_are_read_one_by_one(folder: Path) -> None:
    book = Journal(folder, "host-1", ["kme-A", "kme-B"])
    book.commit(3, {"kme-B": [NOTED], "kme-A": []}, b"")
    assert journal.entities(folder) == ["kme-A", "kme-B"]
    assert list(journal.rows(folder, "kme-A", "SELECT window FROM fact")) == []
    assert list(journal.rows(folder, "kme-B", "SELECT window FROM fact")) == [(3,)]
    assert journal.windows_run(folder) == 1


def test_a_volatile_journal_becomes_a_file_when_it_is_closed(folder: Path) -> None:
    book = Journal(folder, ME, [ME], volatile=True)
    book.commit(2, {ME: [NOTED]}, b"")
    assert not journal.exists(folder)
    book.close()
    assert list(journal.rows(folder, ME, "SELECT window FROM fact")) == [(2,)]


def test_lives_are_counted_and_the_address_of_the_life_before_stands_until_another_is_published(
    tmp_path: Path,
) -> None:
    registry = Registry(tmp_path)
    assert registry.claim(ME).address == ""
    registry.publish(ME, "127.0.0.1:7")
    assert registry.restarts == 0
    second = Registry(tmp_path).claim(ME)
    assert (second.incarnation, second.address, second.published) == (2, "127.0.0.1:7", False)
    registry.publish(ME, "127.0.0.1:8")
    found = registry.find(ME)
    assert found is not None
    assert (found.address, found.published, registry.restarts) == ("127.0.0.1:8", True, 1)
    assert registry.find("nobody") is None


def test_a_sealed_text_opens_only_as_it_was_sealed() -> None:
    seal, text = Seal(new_key()), b"key material"
    sealed = seal.close(text, "checkpoint")
    assert text not in sealed
    assert seal.open(sealed, "checkpoint") == text
    assert seal.close(text, "checkpoint") != sealed
    altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for broken, context, other in (
        (altered, "checkpoint", seal),
        (sealed, "another place", seal),
        (sealed, "checkpoint", Seal(new_key())),
    ):
        with pytest.raises(SealBrokenError, match="is broken"):
            other.open(broken, context)
