"""Facts carry data: details come back from a journal as the values that went in."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.store import journal, journals
from emulator.store.journal import FOLDER, Journal
from protos.facts import (
    DETAILS,
    AgentState,
    Details,
    Fact,
    FactKind,
    Holder,
    KeyCall,
    LinkCondition,
    LinkState,
    Ordered,
    Planned,
    Reason,
    Replanned,
    Rotated,
    Setting,
    Shares,
    Verified,
    details_of,
    written,
)

_WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
_FINITE = st.floats(allow_nan=False, allow_infinity=False)
_BY_TYPE: dict[type, st.SearchStrategy[Details]] = {
    Planned: st.builds(Planned, st.just(json.dumps({"gap": 0.5}))),
    LinkState: st.builds(LinkState, st.tuples(_WORDS, _WORDS), qber=_FINITE),
    Replanned: st.builds(Replanned, link=st.none() | st.tuples(_WORDS, _WORDS), mean_units=_FINITE),
    Shares: st.builds(
        Shares,
        st.lists(st.integers(0, 9), min_size=1).map(tuple),
        st.lists(st.integers(0, 2**40), min_size=1).map(tuple),
        st.lists(st.none() | _FINITE).map(tuple),
    ),
    **{made: st.builds(made) for made in (AgentState, Verified, Rotated)},
    Ordered: st.builds(Ordered, other=_WORDS, reason=_WORDS),
    KeyCall: st.builds(KeyCall, _WORDS, st.lists(_WORDS).map(tuple)),
    Holder: st.builds(Holder, _WORDS),
    Setting: st.builds(Setting, st.just(("a.1", "b.2")), st.just((1, 2)), _WORDS),
    Reason: st.builds(Reason, _WORDS),
}
_DETAILED = st.sampled_from(sorted(DETAILS)).flatmap(
    lambda kind: st.tuples(st.just(kind), _BY_TYPE[DETAILS[kind]])
)


@given(_DETAILED)
def test_details_are_read_as_they_were_written_and_have_words(
    detailed: tuple[FactKind, Details],
) -> None:
    kind, details = detailed
    assert details_of(kind, written(details)) == details
    assert isinstance(Fact(kind, details=details).text, str)


def test_details_of_another_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="has no details"):
        details_of("delivered", '{"words": "late"}')
    with pytest.raises(ValueError, match="with fields words"):
        details_of("agent", '{"words": "late"}')


def test_a_journal_gives_back_what_was_noted(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    state = LinkState(("New-York", "O'Hare"), LinkCondition.NOISE, 0.125)
    book = Journal(tmp_path, "me", ["me"])
    book.commit(1, {"me": [Fact(FactKind.LINK, details=state)]})
    book.close()
    query = "SELECT kind, details FROM fact WHERE kind = ?"
    ((kind, text),) = journals.rows(tmp_path, "me", query, (FactKind.LINK,))
    assert details_of(kind, text) == state


def test_few_modules_put_questions_to_facts() -> None:
    package = Path(journal.__file__).parents[1]
    asks = re.compile(r"(FROM|UPDATE|INTO) fact\b")
    asking = {path.name for path in package.rglob("*.py") if asks.search(path.read_text("utf-8"))}
    assert asking == {"journal.py", "journals.py", "journal_news.py", "journal_queries.py"}
