"""Runs late in time: a year or a century after the start all is as at the start, but for the times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from network import SimulatedNetwork, simulate

from emulator.build.environment import timeline_of
from emulator.build.loading import read
from emulator.results import journal_queries
from protos.core import Core, Managed
from protos.facts import Fact, FactKind, Shares
from protos.mib import BY_ROW, Row
from protos.pdu import ErrorStatus
from protos.rows import check_value

Write = Callable[..., Path]
YEAR_S = 31_557_600
FAULTS: list[dict[str, Any]] = [
    {"kind": "fiber-cut", "link": ["A", "B"], "at_s": 95, "until_s": 161},
    {"kind": "eavesdropper", "link": ["B", "C"], "fraction": 0.5, "at_s": 175, "until_s": 201},
    {"kind": "outage", "entity": "kme-B", "at_s": 120, "until_s": 133},
    {"kind": "link-degraded", "link": ["A", "B"], "loss_db": 3, "at_s": 210},
]


def _begun_at(write_experiment: Write, at_s: int) -> SimulatedNetwork:
    """Run a small experiment with faults whose start and whole schedule are so much later."""
    shifted = [{key: _later(key, value, at_s) for key, value in each.items()} for each in FAULTS]
    setup = read(str(write_experiment(faults=shifted)))
    timeline = timeline_of(setup)
    later = replace(timeline, first_period_s=timeline.first_period_s + at_s)
    setup._parts[timeline_of.__wrapped__] = later  # type: ignore[attr-defined]
    network, _ = simulate(setup, first_window=at_s)
    return network


def _rows(core: Core) -> Iterator[Row]:
    """Yield what a core shows by SNMP."""
    if isinstance(core, Managed):
        for rows in core.rows().values():
            yield from rows


def _later(key: str, value: Any, at_s: int) -> Any:
    return value + at_s if key in ("at_s", "until_s") else value


def _story(network: SimulatedNetwork, at_s: int) -> Iterator[tuple[str, int, Fact]]:
    """Yield what was noted, times counted from the start, without what epochs are the number of.

    The number of an epoch is a time, and draws of key and errors are keyed by it.
    """
    for entity, noted in network.facts.items():
        for window, fact in noted:
            plain = fact._replace(serial=0, key_id="", fingerprint=b"")
            if isinstance(fact.details, Shares):
                plain = plain._replace(details=replace(fact.details, qber=()))
            yield entity, window - at_s, plain


@pytest.mark.parametrize("at_s", [2**31 // 1000 // 20 * 20, YEAR_S, 100 * YEAR_S])
def test_a_schedule_that_is_shifted_changes_nothing_but_times(
    write_experiment: Write, at_s: int
) -> None:
    now, later = _begun_at(write_experiment, 0), _begun_at(write_experiment, at_s)

    assert list(_story(later, at_s)) == list(_story(now, 0))
    kinds = {fact.kind for fact in later.all_facts()}
    assert {FactKind.REPLANNED, FactKind.LINK, FactKind.ACTIVE} <= kinds
    shown = [row for core in later.cores.values() for row in _rows(core)]
    assert {"ReservationRow", "ChannelRow", "UsageRow"} <= {type(row).__name__ for row in shown}
    for row in shown:
        table = BY_ROW[type(row)]
        for field in table.columns:
            assert check_value(table, field, getattr(row, field)) is ErrorStatus.NO_ERROR


def test_a_reservation_made_after_25_days_is_taken(write_experiment: Write, tmp_path: Path) -> None:
    """A fiber is lost, and comes back, after 2^31 ms."""
    day_s = 86_400
    cut = {"kind": "fiber-cut", "link": ["A", "B"], "at_s": 26 * day_s, "until_s": 27 * day_s}
    path = write_experiment(
        demand__period_s=day_s // 4, demand__periods=4 * 30, faults=[cut], satellite__probability=0
    )
    network, _ = simulate(read(str(path)))
    network.write_journals(tmp_path / "run")

    assert journal_queries.refused_reservations(tmp_path / "run") == 0
    up_again = [
        window
        for window, fact in network.facts["fiber-controller"]
        if fact.kind is FactKind.ACTIVE and window > 27 * day_s
    ]
    assert up_again
    assert max(up_again) < 27 * day_s + 100
