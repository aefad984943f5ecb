"""What survives a process: journals, the registry of lives, and the seal on what holds key."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.results import journal_news
from emulator.results.status import stores_of
from emulator.runtime.process_faults import do
from emulator.store import journal, journals
from emulator.store.journal import FOLDER, Journal, SupersededError
from emulator.store.key_table import KeysDifferError
from emulator.store.registry import FILE, Registry
from emulator.store.sealing import Seal, SealBrokenError, new_key
from emulator.world.events import ProcessAction
from protos.facts import Fact, FactKind
from protos.key_changes import Key, KeyChange, KeysConfirmed, KeysGone, KeysHeld, StoreOpened
from protos.syntax import MediumCode

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
    assert len(list(journals.rows(folder, ME, "SELECT * FROM fact"))) == 1


def test_an_incarnation_that_was_superseded_writes_nothing(folder: Path) -> None:
    old = Journal(folder, ME, [ME], incarnation=1)
    Journal(folder, ME, [ME], incarnation=2)
    with pytest.raises(SupersededError, match="incarnation 1 has been superseded"):
        old.commit(0, {ME: [NOTED]}, b"zero")
    with pytest.raises(SupersededError):
        old.finish({ME: (0, [NOTED])}, {})
    assert list(journals.rows(folder, ME, "SELECT * FROM fact")) == []


def test_what_is_left_is_written_down_once(folder: Path) -> None:
    book = Journal(folder, ME, [ME])
    assert not book.finished
    book.finish({ME: (7, [NOTED])}, {})
    assert book.finished
    assert list(journals.rows(folder, ME, "SELECT window, units FROM fact")) == [(7, 3)]


def test_facts_of_entities_that_share_a_journal_are_read_one_by_one(folder: Path) -> None:
    book = Journal(folder, "host-1", ["kme-A", "kme-B"])
    book.commit(3, {"kme-B": [NOTED], "kme-A": []}, b"")
    assert journals.entities(folder) == ["kme-A", "kme-B"]
    assert list(journals.rows(folder, "kme-A", "SELECT window FROM fact")) == []
    assert list(journals.rows(folder, "kme-B", "SELECT window FROM fact")) == [(3,)]
    assert journals.windows_run(folder) == 1


def test_a_volatile_journal_becomes_a_file_when_it_is_closed(folder: Path) -> None:
    book = Journal(folder, ME, [ME], volatile=True)
    book.commit(2, {ME: [NOTED]}, b"")
    assert not journals.exists(folder)
    book.close()
    assert list(journals.rows(folder, ME, "SELECT window FROM fact")) == [(2,)]


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


def test_a_process_of_another_machine_is_not_taken_for_one_of_the_same_number_here(
    tmp_path: Path,
) -> None:
    registry = Registry(tmp_path)
    asleep = subprocess.Popen(["sleep", "60"])
    try:
        registry.claim(ME)
        with sqlite3.connect(tmp_path / FILE) as table:
            table.execute("UPDATE actor SET pid = ?, machine = 'another'", (asleep.pid,))
        table.close()
        assert not do(tmp_path, ME, ProcessAction.KILL, 0.0)
        with sqlite3.connect(tmp_path / FILE) as table:
            table.execute("UPDATE actor SET machine = ?", (registry.claim("me too").machine,))
        table.close()
        assert do(tmp_path, ME, ProcessAction.KILL, 0.0)
        assert asleep.wait() == -signal.SIGKILL
    finally:
        asleep.kill()
        asleep.wait()


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


FIBER = MediumCode.FIBER
KEYS = tuple(Key(f"key-{place}", bytes([200 + place]) * 32, place) for place in range(3))
OPENED = StoreOpened(7, FIBER, "B", "source", 256, 4)
HELD: list[KeyChange] = [OPENED, KeysHeld(7, FIBER, 5, KEYS)]
SEAL = Seal(bytes(32))


def _keep(book: Journal, window: int, *changes: KeyChange) -> None:
    book.commit(window, {}, b"", keys=book.key_rows({ME: changes}, SEAL))


def _bytes_on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in (folder / FOLDER).iterdir())


def test_keys_in_store_are_on_disk_sealed_and_are_burned_when_they_go(folder: Path) -> None:
    book = Journal(folder, ME, [ME])
    _keep(book, 1, *HELD)
    _keep(book, 2, KeysConfirmed(7, FIBER, 5))
    _keep(book, 3, KeysGone(7, FIBER, 5, ("key-0", "key-2")))
    left = [OPENED, KeysHeld(7, FIBER, 5, KEYS[1:2]), KeysConfirmed(7, FIBER, 5)]
    book.check_keys({ME: left}, SEAL)
    book.close()
    on_disk = _bytes_on_disk(folder)
    assert not any(key.material in on_disk for key in KEYS)
    assert b"key-1" in on_disk
    assert b"key-0" not in on_disk
    assert b"key-2" not in on_disk


def test_the_state_of_a_key_store_is_told_in_the_words_of_etsi_014_while_it_is_written(
    folder: Path,
) -> None:
    book = Journal(folder, ME, [ME])
    _keep(book, 1, *HELD)
    _keep(book, 2, KeysConfirmed(7, FIBER, 5), KeysHeld(7, FIBER, 6, (Key("new", bytes(32)),)))
    assert stores_of(folder) == [
        {
            "source_KME_ID": "kme-A",
            "target_KME_ID": "kme-B",
            "request": 7,
            "medium": "fiber",
            "end": "source",
            "key_size": 256,
            "stored_key_count": 3,
            "max_key_count": 4,
            "unconfirmed_key_count": 1,
        }
    ]
    _keep(book, 3, KeysGone(7, FIBER, 5, ("key-0", "key-1", "key-2")))
    _keep(book, 4, KeysGone(7, FIBER, 6, ("new",)))
    assert [store["stored_key_count"] for store in stores_of(folder)] == [0]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM stored_key WHERE key_id = 'key-1'",
        "UPDATE stored_key SET state = 'available' WHERE key_id = 'key-1'",
        "UPDATE stored_key SET serial = 6 WHERE key_id = 'key-1'",
        "UPDATE stored_key SET key_id = 'key-9' WHERE key_id = 'key-1'",
    ],
)
def test_stores_that_differ_from_their_journal_are_found(folder: Path, statement: str) -> None:
    book = Journal(folder, ME, [ME])
    _keep(book, 1, *HELD)
    book.check_keys({ME: HELD}, SEAL)
    with sqlite3.connect(folder / FOLDER / f"{ME}.sqlite") as other:
        assert other.execute(statement).rowcount == 1
    other.close()
    with pytest.raises((KeysDifferError, SealBrokenError), match=r"differ in 1 keys|seal of key-9"):
        book.check_keys({ME: HELD}, SEAL)


def test_material_that_was_moved_to_another_key_does_not_open(folder: Path) -> None:
    book = Journal(folder, ME, [ME])
    _keep(book, 1, *HELD)
    moved = "(SELECT material FROM stored_key WHERE key_id = 'key-0')"
    with sqlite3.connect(folder / FOLDER / f"{ME}.sqlite") as other:
        other.execute(f"UPDATE stored_key SET material = {moved} WHERE key_id = 'key-1'")
    other.close()
    with pytest.raises(SealBrokenError, match="key-1"):
        book.check_keys({ME: HELD}, SEAL)


def test_a_key_that_is_not_in_store_cannot_go(folder: Path) -> None:
    book = Journal(folder, ME, [ME])
    _keep(book, 1, *HELD)
    with pytest.raises(sqlite3.IntegrityError, match="is not here"):
        _keep(book, 2, KeysGone(7, FIBER, 5, ("key-0", "never")))
    book.check_keys({ME: HELD}, SEAL)


def test_a_volatile_journal_lists_keys_at_the_end_without_their_material(folder: Path) -> None:
    book = Journal(folder, ME, [ME], volatile=True)
    assert book.key_rows({ME: HELD}, SEAL) is None
    book.finish({ME: (1, [])}, {ME: HELD})
    book.close()
    assert [store["unconfirmed_key_count"] for store in stores_of(folder)] == [3]
    assert not any(key.material in _bytes_on_disk(folder) for key in KEYS)


def test_a_journal_that_goes_on_forgets_its_end_and_takes_another_seal(folder: Path) -> None:
    book = Journal(folder, ME, [ME])
    book.commit(1, {ME: [NOTED]}, b"one", b"sealed", book.key_rows({ME: HELD}, SEAL))
    book.finish({ME: (1, [NOTED, NOTED])}, {})
    book.close()

    assert journals.homes(folder) == {ME: (ME,)}
    journals.reopen(folder)

    assert len(list(journals.rows(folder, ME, "SELECT * FROM fact"))) == 1
    again, other = Journal(folder, ME, [ME], incarnation=2), Seal(new_key())
    assert not again.finished
    assert again.past() == journal.Past(None, ((1, b"one"),))
    again.check_keys({ME: HELD}, other)
    again.check_keys({ME: HELD}, other)
    with pytest.raises(KeysDifferError):
        again.check_keys({ME: HELD[:1]}, other)
    again.finish({ME: (1, [NOTED])}, {})
    assert len(list(journals.rows(folder, ME, "SELECT * FROM fact"))) == 2


@pytest.mark.parametrize("name", ["load#1", "why?", "50%41", "a b"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    run = tmp_path / name
    (run / journal.FOLDER).mkdir(parents=True)
    book = Journal(run, ME, [ME])
    book.commit(1, {ME: [NOTED]}, b"mail")
    assert journals.last_window(run) == 1
    book.close()
    assert journals.entities(run) == [ME]
    assert len(list(journals.rows(run, ME, "SELECT * FROM fact"))) == 1
    assert [item.name for item in tmp_path.iterdir()] == [name]


def test_a_journal_whose_actor_was_killed_while_it_was_made_is_none(folder: Path) -> None:
    half = sqlite3.connect(folder / journal.FOLDER / f"{ME}.sqlite")
    half.execute("PRAGMA journal_mode=WAL")
    half.close()
    assert not journals.exists(folder)
    with pytest.raises(journal.JournalError, match="holds no journal"):
        journals.entities(folder)
    with pytest.raises(journal.JournalError, match="holds no journal of"):
        next(journals.rows(folder, ME, "SELECT * FROM fact"))
    Journal(folder, ME, [ME])
    assert journals.entities(folder) == [ME]


def _interrupt_a_transaction(path: Path) -> None:
    """Have a process die in the middle of a transaction, part of which is in the file already."""
    script = (
        "import os, sqlite3, sys\n"
        "book = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for line in ('PRAGMA journal_mode=DELETE', 'PRAGMA cache_size=1', 'BEGIN IMMEDIATE',\n"
        "             'CREATE TABLE other (x)'):\n"
        "    book.execute(line)\n"
        "book.executemany('INSERT INTO other VALUES (?)', [('x' * 4000,)] * 50)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, path], check=False)
    assert path.with_name(f"{path.name}-journal").exists()


def test_whoever_reads_puts_back_what_a_process_was_killed_over(folder: Path) -> None:
    book = Journal(folder, ME, [ME], shared=True)
    book.commit(0, {ME: [NOTED]}, b"zero")
    book.close()
    path = journal.path_of(folder, ME)
    _interrupt_a_transaction(path)
    journals.check(folder)
    assert len(list(journals.rows(folder, ME, "SELECT * FROM fact"))) == 1
    assert journals.faults(folder) == []
    _interrupt_a_transaction(path)
    portion = journal_news.since(path, 0)
    assert portion is not None
    assert portion.last_row == 1


def test_a_journal_whose_actor_was_killed_as_it_made_it_is_not_begun(folder: Path) -> None:
    _interrupt_a_transaction(journal.path_of(folder, ME))
    assert not journals.exists(folder)
    assert not journals.has_begun(folder)
