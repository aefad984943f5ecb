"""Outages that were measured from outside stand beside those of the emulation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator.results import outages
from emulator.results.outages import ObservedError, Span

LINE = {"tunnel": "wg0", "master": "alice", "slave": "bob", "from_s": 3.0, "until_s": 9.5}


def _write(folder: Path, *lines: object) -> None:
    text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
    (folder / outages.OBSERVED).write_text(text)


def test_key_is_lacking_from_a_refused_call_to_the_next_that_was_given_some() -> None:
    calls = [(1, True), (4, False), (5, False), (9, True), (12, False)]
    assert list(outages._spans(calls, 0.5, 20.0)) == [Span(2.0, 4.5), Span(6.0, 20.0)]


def test_a_run_that_nobody_measured_has_no_observed_outage(tmp_path: Path) -> None:
    assert outages.compared(tmp_path, 1.0, 10.0) == []


def test_an_outage_stands_beside_the_one_that_it_overlaps_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, LINE, LINE | {"from_s": 50, "until_s": 51}, LINE | {"slave": "carol"})
    spans = {("alice", "bob"): [Span(0.0, 4.0), Span(4.0, 10.0)]}
    monkeypatch.setattr(outages, "without_key", lambda *_: spans)
    first, second, third = outages.compared(tmp_path, 1.0, 60.0)
    assert first == LINE | {
        "observed_s": 6.5,
        "emulated_from_s": 4.0,
        "emulated_until_s": 10.0,
        "emulated_s": 6.0,
    }
    assert second["emulated_s"] is None
    assert third["emulated_s"] is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{\n", "is no outage"),
        ("3\n", "is no outage"),
        ({"tunnel": "wg0", "master": "alice"}, "has no field slave; add it"),
        (LINE | {"until_s": 2}, "until_s must not be before from_s, 3"),
        (LINE | {"from_s": "soon"}, "is no outage"),
        (LINE | {"until_s": float("inf")}, "until_s must not be"),
    ],
)
def test_what_is_no_outage_is_refused_by_line_and_field(
    line: object, problem: str, tmp_path: Path
) -> None:
    _write(tmp_path, LINE, line)
    with pytest.raises(ObservedError, match=f"{outages.OBSERVED}: line 2: .*{problem}"):
        outages.observed(tmp_path)
