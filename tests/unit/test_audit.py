"""The audit finds each of a set of planted faults, and nothing where there is none."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from controllers.key_store import key_name
from emulator.results.audit import audit
from emulator.runtime.envelopes import MANAGEMENT
from emulator.store import journals
from emulator.store.chain import Chain, Link
from emulator.store.files import origin
from emulator.store.journal import FOLDER, Journal, JournalError
from protos.facts import Fact, FactKind, Shares
from protos.syntax import MediumCode

KEY = key_name(0, MediumCode.FIBER, 1, 0)


def _delivered(end: str, content: bytes = b"tag") -> Fact:
    return Fact(
        FactKind.DELIVERED,
        0,
        0,
        medium="fiber",
        end=end,
        units=1,
        bits=8,
        key_id=KEY,
        fingerprint=content,
    )


def _link(kind: FactKind, peer: str, bits: int) -> Fact:
    shares = Shares((0,), (bits,))
    return Fact(kind, serial=1, medium="fiber", peer=peer, units=1, bits=bits, details=shares)


def _created(end: str) -> Fact:
    return Fact(FactKind.CREATED, 0, serial=1, medium="end-to-end", end=end, units=1, bits=8)


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """One key of 8 bit from A to B, with 8 bit of the link left over."""
    (tmp_path / FOLDER).mkdir()
    for node, peer, end in (("A", "B", "source"), ("B", "A", "target")):
        me = f"kme-{node}"
        book = Journal(tmp_path, me, [me])
        book.commit(1, {me: [_link(FactKind.GENERATED, peer, 16), _created(end)]})
        book.commit(2, {me: [_link(FactKind.RELAYED, peer, 8), _link(FactKind.EXPIRED, peer, 8)]})
        book.commit(3, {me: [_delivered(end)]})
        book.close()
    return tmp_path


def _share(bits: int, kind: str) -> str:
    """Return the statement that gives the one share of facts of a kind other bits."""
    shares = f"details = json_set(details, '$.bits[0]', {bits})"
    return f"UPDATE fact SET bits = {bits}, {shares} WHERE kind = '{kind}'"


def _alter(folder: Path, node: str, statement: str) -> None:
    """Alter a journal, and forge its chain: what is found is found in the books."""
    me = f"kme-{node}"
    with sqlite3.connect(folder / FOLDER / f"{me}.sqlite") as connection:
        assert connection.execute(statement).rowcount > 0
        facts = connection.execute(journals.ALL_FACTS).fetchall()
        connection.execute("DELETE FROM chain")
        Chain(connection, origin(folder, me, [me])).append(Link(None), facts)
        connection.execute("UPDATE life SET end_row = 1")
    connection.close()


def test_an_honest_run_adds_up(run_folder: Path) -> None:
    result = audit(run_folder)
    assert result.ok
    assert result.totals == {
        "generated_bits": 24,
        "delivered_bits": 8,
        "relayed_bits": 8,
        "expired_bits": 8,
        "destroyed_bits": 0,
        "stored_bits": 0,
    }


def test_a_doubled_delivery_is_found(run_folder: Path) -> None:
    _alter(run_folder, "A", "INSERT INTO fact SELECT * FROM fact WHERE kind = 'delivered'")
    result = audit(run_folder)
    assert (result.ok, result.duplicate_deliveries) == (False, 1)


def test_a_flipped_bit_is_found(run_folder: Path) -> None:
    _alter(run_folder, "B", "UPDATE fact SET fingerprint = x'00' WHERE kind = 'delivered'")
    result = audit(run_folder)
    assert (result.ok, result.mismatched_keys) == (False, 1)


def test_a_delivery_at_one_end_only_is_found(run_folder: Path) -> None:
    _alter(run_folder, "B", "DELETE FROM fact WHERE kind = 'delivered'")
    assert audit(run_folder).mismatched_keys == 1


def test_a_lost_block_is_found(run_folder: Path) -> None:
    _alter(run_folder, "A", "DELETE FROM fact WHERE kind = 'expired'")
    assert audit(run_folder).unaccounted_bits == 8


def test_a_block_that_only_one_end_knows_is_found(run_folder: Path) -> None:
    for kind in ("generated", "relayed", "expired"):
        _alter(run_folder, "B", f"DELETE FROM fact WHERE kind = '{kind}'")
    assert audit(run_folder).unaccounted_bits == 16


def test_keys_that_were_delivered_together_are_known_one_by_one(run_folder: Path) -> None:
    """A second key that nobody made, and one that the other end does not have."""
    columns = (
        "key_id = key_id || ' other', units = 2, fingerprint = CAST(fingerprint || 'gat' AS BLOB)"
    )
    _alter(run_folder, "A", f"UPDATE fact SET {columns} WHERE kind = 'delivered'")
    found = audit(run_folder)
    assert (found.unknown_keys, found.mismatched_keys) == (1, 1)
    _alter(run_folder, "A", "UPDATE fact SET units = 3 WHERE kind = 'delivered'")
    assert audit(run_folder).unknown_keys == 2


def test_a_fact_of_a_link_has_the_sum_of_its_shares(run_folder: Path) -> None:
    _alter(run_folder, "B", "UPDATE fact SET bits = bits + 3 WHERE kind = 'relayed'")
    found = audit(run_folder)
    assert (found.ok, found.unaccounted_bits) == (False, 3)


def test_a_block_that_one_end_made_alone_and_never_used_is_half_made(run_folder: Path) -> None:
    for node in "AB":
        _alter(run_folder, node, "DELETE FROM fact WHERE kind = 'relayed'")
        _alter(run_folder, node, _share(16, "expired"))
    whole = audit(run_folder)
    for kind in ("generated", "expired"):
        _alter(run_folder, "B", f"DELETE FROM fact WHERE kind = '{kind}'")
    half = audit(run_folder)
    assert (whole.half_made_bits, half.half_made_bits) == (0, 16)
    assert half.unaccounted_bits == whole.unaccounted_bits


def test_what_one_end_relayed_over_a_link_that_the_key_did_not_take_is_half_made(
    run_folder: Path,
) -> None:
    """C has not heard that the reservation moved to the link from A to B."""
    book = Journal(run_folder, "kme-C", ["kme-C"])
    relayed = [_link(FactKind.GENERATED, "B", 8), _link(FactKind.RELAYED, "B", 8)]
    book.commit(1, {"kme-C": relayed})
    book.close()
    moved = audit(run_folder)
    assert (moved.ok, moved.half_made_bits) == (True, 8)
    _alter(run_folder, "B", _share(7, "relayed"))
    _alter(run_folder, "B", _share(9, "expired"))
    assert audit(run_folder).unaccounted_bits == 8


def test_blocks_of_satellites_and_epochs_of_fibers_are_not_taken_for_each_other(
    run_folder: Path,
) -> None:
    """Key of a satellite's block was delivered; that of the fiber epoch with its number never."""
    by_satellite = f"medium = 'satellite', key_id = '{key_name(0, MediumCode.SATELLITE, 1, 0)}'"
    for node in "AB":
        _alter(run_folder, node, f"UPDATE fact SET {by_satellite} WHERE kind = 'delivered'")
        _alter(run_folder, node, "UPDATE fact SET medium = 'satellite' WHERE kind = 'created'")
    for kind in ("generated", "relayed", "expired"):
        _alter(run_folder, "B", f"DELETE FROM fact WHERE kind = '{kind}'")
    found = audit(run_folder)
    assert (found.ok, found.half_made_bits) == (True, 16)


def test_ends_that_made_different_amounts_of_what_never_became_key_are_half_made(
    run_folder: Path,
) -> None:
    """One end began earlier than the other, and relayed what became no key at the far end."""
    _alter(run_folder, "B", _share(8, "generated"))
    _alter(run_folder, "B", "DELETE FROM fact WHERE kind = 'relayed'")
    _alter(run_folder, "A", _share(16, "relayed"))
    _alter(run_folder, "A", "DELETE FROM fact WHERE kind = 'expired'")
    delivered = audit(run_folder)
    assert (delivered.half_made_bits, delivered.unaccounted_bits) == (0, 8)
    for node in "AB":
        _alter(run_folder, node, "UPDATE fact SET kind = 'destroyed' WHERE kind = 'delivered'")
    destroyed = audit(run_folder)
    assert (destroyed.half_made_bits, destroyed.unaccounted_bits) == (8, 0)


def test_a_key_that_was_delivered_but_never_made_is_found(run_folder: Path) -> None:
    for node in "AB":
        _alter(run_folder, node, "UPDATE fact SET key_id = 'other' WHERE kind = 'delivered'")
    result = audit(run_folder)
    assert (result.ok, result.unknown_keys, result.unaccounted_bits) == (False, 2, 0)


@pytest.mark.parametrize(("destroyed_units", "found"), [(3, 2), (2, 0)])
def test_a_key_that_was_delivered_after_it_was_voided_is_found(
    run_folder: Path, destroyed_units: int, found: int
) -> None:
    """The first key of three is delivered after the last two, or all, have been destroyed."""
    for node in "AB":
        _alter(run_folder, node, "UPDATE fact SET units = 3 WHERE kind = 'created'")
        lost = (
            "entity, window, 'destroyed', 0, -1, 1, 'end-to-end', '', \"end\", "
            f"{destroyed_units}, 0, 0, '', x'', ''"
        )
        for statement in (
            f"INSERT INTO fact SELECT {lost} FROM fact WHERE kind = 'delivered'",
            "INSERT INTO fact SELECT * FROM fact WHERE kind = 'delivered'",
            "DELETE FROM fact WHERE rowid = (SELECT min(rowid) FROM fact WHERE kind = 'delivered')",
        ):
            _alter(run_folder, node, statement)
    result = audit(run_folder)
    assert (result.ok, result.void_deliveries) == (found == 0, found)
    assert result.unaccounted_bits == 0


def test_a_key_in_the_table_that_facts_do_not_account_for_is_found(run_folder: Path) -> None:
    for statement in (
        "INSERT INTO key_store VALUES (0, 0, 'fiber', 'B', 'source', 8, 1)",
        "INSERT INTO stored_key VALUES (0, 0, 'fiber', 2, 0, 'left', 'available', 8, x'')",
    ):
        _alter(run_folder, "A", statement)
    assert audit(run_folder).unaccounted_bits == 8


def test_stored_key_that_is_not_in_the_table_is_found(run_folder: Path) -> None:
    _alter(
        run_folder,
        "A",
        "UPDATE fact SET kind = 'stored', medium = 'end-to-end' WHERE kind = 'delivered'",
    )
    assert audit(run_folder).unaccounted_bits == 8


@pytest.mark.parametrize("value", ["NULL", "'many'", "1.5"])
def test_a_fact_that_cannot_be_read_is_named(run_folder: Path, value: str) -> None:
    _alter(run_folder, "A", f"UPDATE fact SET bits = {value} WHERE kind = 'delivered'")
    with pytest.raises(JournalError, match=r"kme-A: has a .*bits"):
        audit(run_folder)


def test_a_missing_journal_is_named(run_folder: Path) -> None:
    (run_folder / FOLDER / "kme-B.sqlite").unlink()
    with pytest.raises(JournalError, match="no journal of kme-B"):
        audit(run_folder)


def test_a_changed_fact_changes_the_digest(run_folder: Path) -> None:
    before = audit(run_folder).digest
    _alter(run_folder, "A", "UPDATE fact SET window = 9 WHERE kind = 'delivered'")
    assert audit(run_folder).digest != before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE fact SET window = 9 WHERE kind = 'delivered'",
        "UPDATE fact SET cost = 1 WHERE kind = 'delivered'",
        "INSERT INTO fact SELECT * FROM fact WHERE kind = 'expired'",
        "DELETE FROM fact WHERE kind = 'delivered'",
        "INSERT INTO mail VALUES (2, x'')",
        "DELETE FROM chain WHERE window = 3",
        "UPDATE chain SET wake = 9 WHERE window = 3",
        "UPDATE entities SET name = 'kme-Z'",
    ],
)
def test_whatever_is_not_what_was_committed_breaks_the_chain(
    run_folder: Path, statement: str
) -> None:
    assert journals.faults(run_folder) == []
    with sqlite3.connect(run_folder / FOLDER / "kme-A.sqlite") as connection:
        assert connection.execute(statement).rowcount > 0
    connection.close()
    (fault,) = journals.faults(run_folder)
    assert "kme-A.sqlite: " in fault


def test_a_truncated_database_is_named(run_folder: Path) -> None:
    path = run_folder / FOLDER / "kme-A.sqlite"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(JournalError, match=r"kme-A\.sqlite"):
        audit(run_folder)


def test_a_folder_without_journals_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="is it the folder of a run"):
        audit(tmp_path)


def _rotated(peer: str, serial: int, units: int = 1, bits: int = 256) -> Fact:
    return Fact(
        FactKind.ROTATED, serial=serial, medium=MANAGEMENT, peer=peer, units=units, bits=bits
    )


@pytest.fixture
def managed_folder(run_folder: Path) -> Path:
    """Besides, two rotations of a pair of which the second is overdue, and 44 bit that are left."""
    for place, (here, there) in enumerate((("manager", "kme-A"), ("kme-A", "manager")), 1):
        book = Journal(run_folder, here, [here], place)
        book.commit(4, {here: [_rotated(there, 1, bits=300), _rotated(there, 2, 0, 0)]})
        book.commit(5, {here: [Fact(FactKind.STORED, medium=MANAGEMENT, peer=there, bits=44)]})
        book.close()
    return run_folder


def test_management_keys_have_totals_of_their_own(managed_folder: Path) -> None:
    result = audit(managed_folder)
    assert result.ok
    assert result.totals["generated_bits"] == 24
    assert result.management == {
        "generated_bits": 300,
        "used_bits": 256,
        "stored_bits": 44,
        "overdue": 1,
    }


@pytest.mark.parametrize(
    ("statement", "unaccounted_bits"),
    [
        ("UPDATE fact SET bits = 50 WHERE kind = 'stored'", 6),
        ("UPDATE fact SET bits = bits + 8 WHERE kind IN ('stored', 'rotated') AND serial < 2", 8),
        ("UPDATE fact SET units = 1 WHERE serial = 2 AND kind = 'rotated'", 512),
        ("DELETE FROM fact WHERE medium = 'management'", 556),
    ],
)
def test_a_management_key_that_one_end_does_not_account_for_is_found(
    managed_folder: Path, statement: str, unaccounted_bits: int
) -> None:
    _alter(managed_folder, "A", statement)
    result = audit(managed_folder)
    assert (result.ok, result.unaccounted_bits) == (False, unaccounted_bits)


def test_a_management_key_that_was_withdrawn_twice_is_found(managed_folder: Path) -> None:
    _alter(
        managed_folder,
        "A",
        "UPDATE fact SET serial = 1, units = 0 WHERE serial = 2 AND kind = 'rotated'",
    )
    result = audit(managed_folder)
    assert (result.ok, result.duplicate_deliveries) == (False, 1)
