"""What is injected into a live run belongs to it: the recorded experiment, run again, is the same run."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest
from live_network import LiveNetwork, within, write_experiment_of

from emulator.results import journal_queries
from emulator.results.audit import audit
from emulator.runtime import injection
from emulator.runtime.pacing import Pace
from emulator.store.injection_table import Injections

BEGUN = 30
FAULTS = [
    {"kind": "fiber-cut", "link": ["A", "B"], "for_s": 60},
    {"kind": "link-degraded", "link": ["A", "B"], "loss_db": 6, "for_s": 60},
    {"kind": "eavesdropper", "link": ["B", "C"], "fraction": 0.9, "for_s": 45},
    {"kind": "classical-power", "link": ["A", "B"], "launch_dbm": 10, "direction": "both", "for_s": 45},
    {"kind": "power-cut", "node": "C", "for_s": 30},
    {"kind": "satellite-loss", "for_s": 60},
    {"kind": "uav-loss", "for_s": 60},
    {"kind": "demand-shift", "mean_units": 4},
    {"kind": "outage", "entity": "uav-controller", "for_s": 30},
    {"kind": "outage", "entity": "global-manager", "for_s": 30},
    {"kind": "outage", "entity": "fiber-controller", "for_s": 30},
    {"kind": "outage", "entity": "A", "for_s": 40},
    {"kind": "message-fault", "drop": 0.2, "duplicate": 0.2, "corrupt": 0.1, "delay_s": 3,
     "reorder": True, "for_s": 60},
    {"kind": "partition", "groups": [["A", "B"], ["C", "global-manager"]], "for_s": 25},
    {"kind": "operator-set", "entity": "fiber-controller", "values": {"qsFiberAdminStatus.0": 2}},
    {"kind": "operator-set", "entity": "fiber-controller", "values": {"qsNodeAdminStatus.1": 2}},
    {"kind": "operator-set", "entity": "global-manager", "values": {"qsPlanningAction.1": 2}},
]  # fmt: skip


async def _run_with(
    folder: Path, faults: list[dict[str, object]], begun: int = BEGUN, pace: float = 100.0
) -> list[injection.Injected]:
    network = LiveNetwork(folder, 3)
    write_experiment_of("tiny", folder)
    await network.start()
    running = asyncio.create_task(network.clock.run(network.last_window, Pace(pace)))
    while network.clock.window < begun and not running.done():  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.01)
    taken = [await asyncio.to_thread(injection.submit, folder, fault) for fault in faults]
    await running
    await network.stop()
    return taken


async def _run_again(folder: Path, experiment: Path) -> None:
    network = LiveNetwork(folder, 2, experiment=str(experiment))
    await network.start()
    await network.run()
    await network.stop()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault['kind']}")
def test_a_run_with_an_injected_fault_can_be_repeated_from_its_folder(
    tmp_path: Path, fault: dict[str, object]
) -> None:
    live, again = tmp_path / "live", tmp_path / "again"
    (taken,) = within(60, _run_with(live, [fault]))
    assert taken.window is not None
    assert taken.window >= BEGUN
    assert injection.record(live)
    within(60, _run_again(again, live / "experiment.yaml"))
    assert audit(live).ok
    assert audit(again).digest == audit(live).digest


def test_faults_on_top_of_each_other_can_be_repeated_too(tmp_path: Path) -> None:
    live, again = tmp_path / "live", tmp_path / "again"
    within(60, _run_with(live, FAULTS))
    assert injection.record(live)
    within(60, _run_again(again, live / "experiment.yaml"))
    assert audit(live).ok
    assert audit(again).digest == audit(live).digest


def test_what_is_injected_while_nothing_is_due_happens_in_its_time(tmp_path: Path) -> None:
    live, again = tmp_path / "live", tmp_path / "again"
    out = {"kind": "operator-set", "entity": "fiber-controller"}
    faults = [out | {"values": {"qsFiberAdminStatus.0": status}} for status in (2, 1)]
    taken = within(60, _run_with(live, faults, begun=4, pace=30.0))
    assert all(item.window is not None and item.window < BEGUN for item in taken)
    assert injection.record(live)
    within(60, _run_again(again, live / "experiment.yaml"))
    for folder in (live, again):
        noted = [window for window, _ in journal_queries.link_states(folder)]
        assert noted == [item.window for item in taken]
    assert audit(again).digest == audit(live).digest


def test_recording_twice_records_once(tmp_path: Path) -> None:
    within(60, _run_with(tmp_path / "run", FAULTS[:1]))
    assert injection.record(tmp_path / "run")
    assert not injection.record(tmp_path / "run")


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ({"kind": "fiber-cut", "link": ["A", "X"]}, "fault.link: no link A-X in the network"),
        ({"kind": "outage", "entity": "nobody"}, "fault.entity: no entity nobody"),
        ({"kind": "flood"}, "fault"),
        ({"kind": "power-cut", "node": "A", "for_s": -1}, "fault.for_s: must be positive seconds"),
        ({"kind": "random", "count": 3}, "fault.kind: random faults are drawn when"),
        ({"kind": "message-fault"}, "give one of drop"),
        (
            {"kind": "operator-set", "entity": "A", "values": {"qsShortageUnits.0.0": 2}},
            "qsShortageUnits.0.0 cannot be set by an operator",
        ),
        (
            {"kind": "operator-set", "entity": "A", "values": {"ifAdminStatus.1": 2}},
            "must be a column of QSAGIN-MIB and its index, not ifAdminStatus.1",
        ),
        ({"kind": "power-cut", "node": "A", "until_s": 9}, "fault.until_s: say at_s too, or for_s"),
    ],
)
def test_what_cannot_happen_is_refused_in_one_line(
    tmp_path: Path, fault: dict[str, object], problem: str
) -> None:
    write_experiment_of("tiny", tmp_path)
    with pytest.raises(injection.InjectionError, match=problem) as caught:
        injection.submit(tmp_path, fault)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / injection.FILE).exists()


def test_a_run_that_has_ended_takes_no_fault(tmp_path: Path) -> None:
    write_experiment_of("tiny", tmp_path)
    (tmp_path / "summary.json").write_text("{}", encoding="utf-8")
    with pytest.raises(injection.InjectionError, match="the run has ended"):
        injection.submit(tmp_path, FAULTS[0])


def test_a_run_that_ends_meanwhile_takes_no_fault_and_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(_for_s: float) -> None:
        (tmp_path / "summary.json").write_text("{}", encoding="utf-8")

    write_experiment_of("tiny", tmp_path)
    monkeypatch.setattr("emulator.runtime.injection.time.sleep", end)
    monkeypatch.setattr("emulator.runtime.injection._PATIENCE_S", 1e6)
    with pytest.raises(injection.InjectionError, match="the run has ended"):
        injection.submit(tmp_path, FAULTS[0])
    with closing(Injections(tmp_path)) as injections:
        assert injections.waiting() == []


def test_a_fault_whose_asker_goes_away_is_withdrawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_for_s: float) -> None:
        raise KeyboardInterrupt

    write_experiment_of("tiny", tmp_path)
    monkeypatch.setattr("emulator.runtime.injection.time.sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        injection.submit(tmp_path, FAULTS[0])
    with closing(Injections(tmp_path)) as injections:
        assert injections.waiting() == []


def test_what_a_lost_run_was_asked_is_not_done_to_the_one_that_goes_on(tmp_path: Path) -> None:
    injection.forget_waiting(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with closing(Injections(tmp_path)) as injections:
        injections.ask({}, "")
        assert injections.accept(injections.ask({}, ""), {}, "", 5)
        injection.forget_waiting(tmp_path)
        assert injections.waiting() == []
        assert len(injections.accepted()) == 1


def test_what_was_told_stays_first_though_a_later_fault_has_an_earlier_window(
    tmp_path: Path,
) -> None:
    with closing(Injections(tmp_path)) as injections:
        numbers = [injections.ask({"kind": name}, name) for name in ("first", "second", "third")]
        told: list[str] = []
        for number, window in zip(numbers, (90, 87, 88), strict=True):
            assert injections.accept(number, {}, f"event {number}", window)
            before, told = told, [item.event for item in injections.accepted()]
            assert told[: len(before)] == before
            assert len(told) == len(before) + 1
