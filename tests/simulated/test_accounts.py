"""Accounts by columns are those that are made fact by fact, of runs and of whatever a journal may hold."""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from accounts_by_rows import Books, used
from hypothesis import given
from hypothesis import strategies as st
from network import simulate

from controllers.key_store import key_name
from emulator.build.loading import read
from emulator.build.setup import Setup
from emulator.results import journal_queries, key_origins, ledger
from emulator.results.audit import audit, digest
from emulator.results.ledger import down_s
from emulator.store.journal import FOLDER, Journal, JournalError
from global_manager.provisioning.model import OnDemand, Request
from protos.core import GLOBAL_MANAGER
from protos.facts import Fact, FactKind, Shares
from protos.syntax import MediumCode

NODES = ("A", "B", "C")
MEDIA = ("fiber", "end-to-end", "uav")
NAMES = [
    key_name(request, medium, serial, index)
    for request in (0, 1)
    for medium in (MediumCode.FIBER, MediumCode.UAV)
    for serial in (1, 2)
    for index in (0, 1)
]
TOLD = ((None, 0), (None, 0), (1.0, 16), (0.5, 0))  # how far a block has come, and what came of it
ON_LINKS = (FactKind.GENERATED, FactKind.RELAYED, FactKind.EXPIRED, FactKind.STORED)
OF_KEY = (
    FactKind.GENERATED, FactKind.CREATED, FactKind.RELAYED, FactKind.EXPIRED, FactKind.STORED,
    FactKind.DESTROYED, FactKind.DELIVERED,
)  # fmt: skip


@st.composite
def _fact_of_key(draw: st.DrawFn) -> Fact:
    kind = draw(st.sampled_from(OF_KEY))
    medium = draw(st.sampled_from(MEDIA))
    if medium == "fiber" and kind in ON_LINKS:
        return draw(_fact_of_link(kind))
    is_delivered = kind is FactKind.DELIVERED
    names = draw(st.lists(st.sampled_from([*NAMES, "other"]), min_size=1, max_size=2))
    tags = [draw(st.sampled_from((b"one", b"two"))) for _ in names]
    return Fact(
        kind,
        request=draw(st.integers(0, 1)),
        serial=draw(st.integers(1, 2)),
        medium=medium,
        peer=draw(st.sampled_from(("A", "kme-B", "C"))),
        end=draw(st.sampled_from(("source", "target"))),
        units=draw(st.integers(0, 2)),
        bits=draw(st.sampled_from((0, 8, 16))),
        key_id=" ".join(names) if is_delivered else "",
        fingerprint=b"".join(tags) if is_delivered else b"",
    )


@st.composite
def _fact_of_link(draw: st.DrawFn, kind: FactKind) -> Fact:
    requests = draw(st.lists(st.integers(0, 1), min_size=1, max_size=2))
    bits = tuple(draw(st.sampled_from((0, 8, 16))) for _ in requests)
    filled, distilled = zip(*(draw(st.sampled_from(TOLD)) for _ in requests), strict=True)
    is_told = kind is FactKind.GENERATED and any(part is not None for part in filled)
    told = {"filled": filled, "distilled_bits": distilled} if is_told else {}
    return Fact(
        kind,
        serial=draw(st.integers(1, 2)),
        medium="fiber",
        peer=draw(st.sampled_from(("A", "kme-B", "C"))),
        bits=sum(bits) + draw(st.sampled_from((0, 0, 8))),
        details=Shares(tuple(requests), bits, **told),
    )


@st.composite
def _use(draw: st.DrawFn, request: int) -> Fact:
    kind = draw(
        st.sampled_from((FactKind.DEMANDED, FactKind.SHORT, FactKind.DELIVERED, FactKind.LAPSED))
    )
    media = ("fiber", "satellite", "uav") if kind is FactKind.DELIVERED else ("",)
    return Fact(
        kind,
        request=request,
        period=draw(st.integers(0, 2)),  # the last one has not begun
        medium=draw(st.sampled_from(media)),
        end=draw(st.sampled_from(("source", "source", "target", ""))),
        units=draw(st.integers(1, 3)),
    )


def _noted(facts: Sequence[st.SearchStrategy[Fact]]) -> st.SearchStrategy[dict[str, list[Fact]]]:
    """Draw what each of the nodes notes."""
    pairs = zip(NODES, facts, strict=True)
    return st.fixed_dictionaries({f"kme-{n}": st.lists(fact, max_size=14) for n, fact in pairs})


def _write(folder: Path, noted: Mapping[str, Sequence[Fact]]) -> None:
    """Write facts as journals, two a window; two of the entities share an actor."""
    (folder / FOLDER).mkdir()
    for actor, entities in (("host", [*noted][:2]), ("other", [*noted][2:])):
        book = Journal(folder, actor, entities, volatile=True)
        for window in range(1, 8):
            now = slice(2 * window - 2, 2 * window)
            book.commit(window, {entity: noted[entity][now] for entity in entities})
        book.finish({}, {})
        book.close()


@given(_noted([_fact_of_key()] * len(NODES)))
def test_the_audit_of_any_facts_is_that_made_fact_by_fact(noted: dict[str, list[Fact]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        _write(Path(place), noted)
        books, found = Books(Path(place)), audit(Path(place)).fields()
    stored = Counter[tuple[str, int, bool]]()
    for entity, facts in noted.items():
        for fact in facts:
            if fact.kind is FactKind.STORED and fact.medium != "fiber":  # no key table has it
                stored[entity, fact.request, fact.medium == "uav"] += fact.bits
    expected = books.fields()
    expected["unaccounted_bits"] += sum(stored.values())
    assert {name: found[name] for name in expected} == expected


@given(_noted([_use(0), _use(1), _use(2)]))  # there are two requests only
def test_the_ledger_of_any_facts_is_that_made_fact_by_fact(noted: dict[str, list[Fact]]) -> None:
    prices = OnDemand(1, 2, 1.0, 5)
    requests = tuple(Request(f"r{n}", f"a{n}", "A", "B", prices) for n in (0, 1))
    begun = [Fact(FactKind.PERIOD, period=0), Fact(FactKind.PERIOD, period=1)]
    with tempfile.TemporaryDirectory() as place:
        _write(Path(place), noted | {GLOBAL_MANAGER: begun})
        book = ledger.read(Path(place), requests, 2.0, 20.0, {"a1": 2})
        expected = used(Path(place))
    assert len(book.rows) == 4
    for row in book.rows:
        position = (int(row.request.removeprefix("r")), row.period)
        cell = expected.get(position, {"units": Counter(), "began": 0, "ended": 0, "came": {}})
        units, began = cell["units"], cell["began"]
        served = units["fiber"] + units["satellite"] + units["uav"]
        came = [(2.0 * (window - began), keys) for (window, _), keys in cell["came"].items()]
        assert (row.demanded_units, row.late_units) == (units["demanded"], units["late"])
        assert (row.fiber_units, row.satellite_units, row.uav_units) == (
            units["fiber"],
            units["satellite"],
            units["uav"],
        )
        assert row.shortfall_units == units["demanded"] - served
        assert row.shortfall_cost == 5 * row.shortfall_units
        assert row.needed_s == (20.0 if units["demanded"] else 0.0)
        assert row.down_s == down_s(came, units["demanded"], 20.0, position[0] + 1)
        assert row.shortfall_s == (2.0 * (cell["ended"] - began) if units["late"] else 0.0)


@pytest.mark.parametrize("name", ["tiny", "sagin-metro"])
def test_accounts_of_a_run_are_those_made_fact_by_fact(name: str, tmp_path: Path) -> None:
    setup = read(name)
    network, assembly = simulate(setup)
    network.write_journals(tmp_path)
    expected, found = Books(tmp_path).fields(), audit(tmp_path)
    assert found.ok
    assert {name: found.fields()[name] for name in expected} == expected
    assert expected["totals"]["delivered_bits"] > 0
    window_s, period_s = setup.experiment.clock.window_s, setup.experiment.demand.period_s
    book = ledger.read(tmp_path, assembly.problem.requests, window_s, period_s)
    numbers = {request.id: number for number, request in enumerate(assembly.problem.requests)}
    cells = used(tmp_path)
    for row in book.rows:
        units = cells[numbers[row.request], row.period]["units"]
        assert (row.demanded_units, row.late_units) == (units["demanded"], units["late"])
        assert row.uav_units + row.satellite_units == units["uav"] + units["satellite"]


def test_neither_digest_nor_audit_depend_on_how_many_facts_are_read_at_once(
    tiny: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, _ = simulate(tiny)
    network.write_journals(tmp_path)
    whole = audit(tmp_path)
    for portion in (1, 7):
        monkeypatch.setattr(journal_queries, "_PORTION", portion)
        assert audit(tmp_path) == whole
        assert digest(tmp_path) == whole.digest


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**6),
            st.sampled_from(MediumCode),
            st.integers(0, 10**6),
            st.integers(0, 4),
        ),
        max_size=4,
    )
)
def test_names_of_many_keys_are_those_that_key_managers_give_them(
    blocks: list[tuple[int, MediumCode, int, int]],
) -> None:
    columns = [[], [], [], []] if not blocks else [list(each) for each in zip(*blocks, strict=True)]
    named = [key_name(*block, index) for *block, units in blocks for index in range(units)]
    assert key_origins.key_names(*columns).to_pylist() == named


@pytest.mark.parametrize(
    "details",
    [
        "{",
        "[]",
        '{"requests":[0]}',
        '{"requests":[0],"bits":[null]}',
        '{"requests":[0],"bits":[1.5]}',
        '{"requests":[0],"bits":[8],"qber":[0.1,0.2]}',
        '{"requests":[0],"bits":[8],"more":[8]}',
        '{"requests":[0],"bits":[8]} {"requests":[0],"bits":[8]}',
    ],
)
def test_shares_that_cannot_be_read_are_named(details: str, tmp_path: Path) -> None:
    made = Fact(FactKind.GENERATED, medium="fiber", peer="B", bits=8, details=Shares((0,), (8,)))
    _write(tmp_path, {f"kme-{node}": [made] for node in NODES})
    with closing(sqlite3.connect(tmp_path / FOLDER / "other.sqlite")) as connection:
        connection.execute("UPDATE fact SET details = ?", (details,))
        connection.commit()
    with pytest.raises(JournalError, match="kme-C: has "):
        audit(tmp_path, follow=False)
