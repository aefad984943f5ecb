"""Keys of SAEs in a whole network without processes: what is asked in which window decides everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from network import SimulatedNetwork, simulate

from emulator.build.access import ASKED, Recorded, write_asked
from emulator.build.loading import read
from emulator.build.setup import Setup
from emulator.results import sae_keys
from emulator.results.audit import audit
from protos.access import AnswersSent, AnswersUnsure, Call, GetKey, GetKeyWithIds
from protos.facts import Fact, FactKind, Holder, KeyCall

SAES = {"alice": "A", "anna": "A", "bob": "B", "carol": "C"}
FIRST = 33  # a window of the first period, which begins in 31
PERIOD = 20


def _setup(folder: Path, calls: Sequence[tuple[str, int, Call]], **demand: Any) -> Setup:
    """Three nodes in a row, whose requests are those of SAEs, and what these ask: (node, window, call)."""
    tiny = Path("emulator/config/experiments")
    fields = yaml.safe_load((tiny / "tiny.yaml").read_text())
    (folder / "tiny.csv").write_text((tiny / "tiny.csv").read_text())
    fields["demand"] |= {"distribution": {"poisson": {"mean_units": 4}}, "scenarios": 12}
    fields["demand"]["requests"] = [
        {"id": "ac", "class": "external", "source": "A", "target": "C"},
        {"id": "ab", "class": "external", "source": "A", "target": "B"},
    ]
    fields["demand"] |= demand
    saes = [{"id": sae, "node": node} for sae, node in SAES.items()]
    fields["access"] = {"saes": saes, "asked": ASKED}
    numbers: Counter[str] = Counter()
    asked = []
    for node, window, call in calls:
        numbers[node] += 1
        asked.append(Recorded(node, window, numbers[node], call))
    write_asked(folder / ASKED, asked)
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(fields))
    return read(str(path))


def _run(
    folder: Path, calls: Sequence[tuple[str, int, Call]], **kwargs: Any
) -> tuple[SimulatedNetwork, dict[str, list[tuple[int, Fact]]]]:
    network, _ = simulate(_setup(folder, calls), **kwargs)
    return network, network.facts


def _of(facts: Sequence[tuple[int, Fact]], kind: FactKind) -> list[tuple[int, Fact]]:
    return [(window, fact) for window, fact in facts if fact.kind is kind]


def _given(facts: Sequence[tuple[int, Fact]], sae: str) -> list[str]:
    return [f.key_id for _, f in _of(facts, FactKind.GIVEN) if f.details == Holder(sae)]


def _ask(keys: int = 1, bits: int = 256, *slaves: str) -> GetKey:
    return GetKey("alice", slaves or ("carol",), keys, bits)


def test_what_one_asks_for_the_other_can_take_once(tmp_path: Path) -> None:
    calls = [("A", FIRST, _ask(3))]
    _, before = _run(tmp_path, calls)
    names = tuple(_given(before["kme-A"], "alice"))
    take = GetKeyWithIds("carol", "alice", names)
    network, facts = _run(tmp_path, [*calls, ("C", FIRST + 1, take), ("C", FIRST + 2, take)])
    assert len(set(names)) == 3
    assert _given(facts["kme-A"], "alice") == list(names) == _given(facts["kme-C"], "carol")
    network.write_journals(tmp_path / "run")
    assert sae_keys.problems(tmp_path / "run") == []


def test_a_copy_can_be_asked_for_in_the_window_in_which_the_key_is_given(tmp_path: Path) -> None:
    calls = [("A", FIRST, _ask(2))]
    _, before = _run(tmp_path, calls)
    names = tuple(_given(before["kme-A"], "alice"))
    take = GetKeyWithIds("carol", "alice", names)
    _, facts = _run(tmp_path, [*calls, ("C", FIRST, take)])
    assert _given(facts["kme-C"], "carol") == list(names)
    (first, *_) = (window for window, _ in _of(facts["kme-C"], FactKind.GIVEN))
    assert first == FIRST + 1
    _, facts = _run(tmp_path, [*calls, ("C", FIRST - 1, take), ("C", FIRST + 5, take)])
    assert [window for window, _ in _of(facts["kme-C"], FactKind.GIVEN)] == [FIRST + 5] * 2


@pytest.mark.parametrize(
    ("slave", "master"), [("bob", "alice"), ("carol", "bob"), ("carol", "anna")]
)
def test_who_was_not_named_gets_nothing_and_takes_nothing_away(
    tmp_path: Path, slave: str, master: str
) -> None:
    calls = [("A", FIRST, _ask())]
    _, before = _run(tmp_path, calls)
    names = tuple(_given(before["kme-A"], "alice"))
    wrong = (SAES[slave], FIRST + 3, GetKeyWithIds(slave, master, names))
    right = ("C", FIRST + 9, GetKeyWithIds("carol", "alice", names))
    _, facts = _run(tmp_path, [*calls, wrong, right])
    stranger = [] if slave == "carol" else _given(facts[f"kme-{SAES[slave]}"], slave)
    assert stranger == []
    assert _given(facts["kme-C"], "carol") == list(names)


def test_a_batch_is_given_whole_or_not_at_all(tmp_path: Path) -> None:
    calls = [("A", FIRST, _ask(2))]
    _, before = _run(tmp_path, calls)
    first, second = _given(before["kme-A"], "alice")
    nowhere = "00000000-0000-4000-8000-000000000000"
    both = ("C", FIRST + 5, GetKeyWithIds("carol", "alice", (first, nowhere)))
    _, facts = _run(
        tmp_path, [*calls, both, ("C", FIRST + 6, GetKeyWithIds("carol", "alice", (second,)))]
    )
    assert _given(facts["kme-C"], "carol") == [second]


def test_what_is_missing_is_bought_and_the_next_call_gets_it(tmp_path: Path) -> None:
    calls = [("A", FIRST, _ask(20)), ("A", FIRST + 15, _ask(20))]
    network, facts = _run(tmp_path, calls)
    first, second = (fact.details for _, fact in _of(facts["kme-A"], FactKind.ASKED))
    assert isinstance(first, KeyCall)
    assert isinstance(second, KeyCall)
    assert (first.given, second.given) == (False, True)
    demanded = [(f.period, f.units) for _, f in _of(facts["kme-A"], FactKind.DEMANDED)]
    assert demanded == [(0, 20)]  # the second call is the first once more
    short = [fact.units for _, fact in _of(facts["kme-A"], FactKind.SHORT)]
    bought = [fact.units for _, fact in _of(facts["global-manager"], FactKind.BOUGHT)]
    assert short == bought
    assert 0 < sum(bought) < 20
    assert len(set(_given(facts["kme-A"], "alice"))) == 20
    network.write_journals(tmp_path / "run")
    found = audit(tmp_path / "run")
    assert (found.ok, found.unaccounted_bits, found.mismatched_keys) == (True, 0, 0)


def test_a_call_that_wants_still_more_has_only_the_rest_bought(tmp_path: Path) -> None:
    calls = [("A", FIRST, _ask(20)), ("A", FIRST + 1, _ask(30)), ("A", FIRST + 15, _ask(30))]
    _, facts = _run(tmp_path, calls)
    demanded = sum(fact.units for _, fact in _of(facts["kme-A"], FactKind.DEMANDED))
    assert demanded == 30
    assert len(set(_given(facts["kme-A"], "alice"))) == 30


def test_what_lapsed_with_its_period_is_demanded_anew(tmp_path: Path) -> None:
    calls = [("A", FIRST + 15, _ask(30)), ("A", FIRST + 15 + 2 * PERIOD, _ask(30))]
    network, facts = _run(tmp_path, calls)
    by_period: Counter[int] = Counter()
    for _, fact in _of(facts["kme-A"], FactKind.DEMANDED):
        by_period[fact.period] += fact.units
    served: Counter[int] = Counter()
    for _, fact in _of(facts["kme-A"], FactKind.DELIVERED):
        served[fact.period] += fact.units
    lapsed = {fact.period: fact.units for _, fact in _of(facts["kme-A"], FactKind.LAPSED)}
    assert by_period.keys() == {0, 2}
    for period, units in by_period.items():
        assert units == served[period] + lapsed.get(period, 0)
    network.write_journals(tmp_path / "run")
    found = audit(tmp_path / "run")
    assert found.ok, found


def test_several_nodes_get_the_same_key_and_pay_with_their_own(tmp_path: Path) -> None:
    calls = [("A", FIRST, _ask(2, 384, "carol", "bob", "anna"))]
    _, before = _run(tmp_path, calls)
    names = tuple(_given(before["kme-A"], "alice"))
    takes = [
        (SAES[sae], FIRST + 4, GetKeyWithIds(sae, "alice", names))
        for sae in ("carol", "bob", "anna")
    ]
    network, facts = _run(tmp_path, [*calls, *takes])
    every = [f for noted in facts.values() for _, f in noted if f.kind is FactKind.GIVEN]
    assert Counter(fact.key_id for fact in every) == {names[0]: 4, names[1]: 4}
    assert len({(fact.key_id, fact.fingerprint, fact.bits) for fact in every}) == 2
    demanded = {f.request: f.units for _, f in _of(facts["kme-A"], FactKind.DEMANDED)}
    assert demanded == {0: 4, 1: 4}  # two units of 256 bits make 384
    network.write_journals(tmp_path / "run")
    assert sae_keys.problems(tmp_path / "run") == []


def test_saes_of_one_node_need_no_network(tmp_path: Path) -> None:
    calls = [("A", FIRST, _ask(2, 256, "alice"))]
    _, before = _run(tmp_path, calls)
    names = tuple(_given(before["kme-A"], "alice"))
    _, facts = _run(tmp_path, [*calls, ("A", FIRST + 1, GetKeyWithIds("alice", "alice", names))])
    assert _given(facts["kme-A"], "alice") == [*names, *names]
    assert _of(facts["kme-A"], FactKind.DEMANDED) == []


def test_an_answer_that_may_be_lost_is_given_again_and_one_that_left_is_not(tmp_path: Path) -> None:
    calls = [("A", FIRST, _ask(2))]
    _, before = _run(tmp_path, calls)
    first, second = _given(before["kme-A"], "alice")
    history: list[tuple[str, int, Call]] = [
        ("C", FIRST + 2, GetKeyWithIds("carol", "alice", (first,))),
        ("C", FIRST + 3, GetKeyWithIds("carol", "alice", (second,))),
        ("C", FIRST + 4, AnswersSent((1,))),
        ("C", FIRST + 5, AnswersUnsure()),
        ("C", FIRST + 6, GetKeyWithIds("carol", "alice", (first,))),
        ("C", FIRST + 7, GetKeyWithIds("carol", "alice", (second,))),
        ("C", FIRST + 8, GetKeyWithIds("carol", "alice", (second,))),
    ]
    network, facts = _run(tmp_path, [*calls, *history])
    assert _given(facts["kme-C"], "carol") == [first, second, second]
    unsent = [fact.key_id for _, fact in _of(facts["kme-C"], FactKind.UNSENT)]
    assert unsent == [second]
    network.write_journals(tmp_path / "run")
    assert sae_keys.problems(tmp_path / "run") == []


def test_nothing_is_given_before_the_first_period_and_after_the_last(tmp_path: Path) -> None:
    calls = [("A", 5, _ask()), ("A", FIRST, _ask()), ("A", 270, _ask()), ("A", 271, _ask())]
    _, facts = _run(tmp_path, calls)
    answers = [
        fact.details.given
        for _, fact in _of(facts["kme-A"], FactKind.ASKED)
        if isinstance(fact.details, KeyCall)
    ]
    assert answers == [False, True, True, False]


@settings(max_examples=12)
@given(
    calls=st.lists(
        st.tuples(
            st.integers(FIRST, FIRST + 10 * PERIOD),
            st.integers(1, 12),
            st.sampled_from([64, 256, 520]),
            st.sampled_from([("carol",), ("bob",), ("carol", "bob"), ("anna", "bob")]),
        ),
        max_size=12,
    ),
    seed=st.integers(0, 99),
)
def test_whatever_is_asked_and_lost_demand_is_accounted_for_and_both_ends_agree(
    tmp_path_factory: pytest.TempPathFactory,
    calls: list[tuple[int, int, int, tuple[str, ...]]],
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    asked = [
        ("A", window, _ask(keys, bits, *slaves)) for window, keys, bits, slaves in sorted(calls)
    ]
    network, facts = _run(folder, asked, late=0.3, twice=0.3, lost=0.2, seed=seed, calm_periods=2)
    network.write_journals(folder / "run")
    found = audit(folder / "run")
    assert found.ok, found
    assert sae_keys.problems(folder / "run") == []
    sums: Counter[str] = Counter()
    for _, fact in facts["kme-A"]:
        if fact.kind in (FactKind.DEMANDED, FactKind.LAPSED, FactKind.DELIVERED):
            sums[fact.kind] += fact.units
    assert sums[FactKind.DEMANDED] == sums[FactKind.DELIVERED] + sums[FactKind.LAPSED]
