"""One shortage can be followed from node to manager, to a controller, and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from live_network import LiveNetwork, within, write_experiment_of

from emulator.runtime import journal
from emulator.views.tracing import Step, TraceError, story
from protos.core import GLOBAL_MANAGER, FactKind
from protos.rows import trace_id


async def _run(folder: Path) -> None:
    network = LiveNetwork(folder, 2)
    write_experiment_of("tiny", folder)
    await network.start()
    await network.run()
    await network.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("traced") / "run"
    within(60, _run(found))
    return found


def told(steps: list[Step], *words: str) -> int:
    """Return the place of the first step that says all of this."""
    found = (
        n for n, step in enumerate(steps) if all(w in f"{step.who} {step.what}" for w in words)
    )
    return next(found)


def test_a_refused_order_is_told_from_shortage_to_delivery(folder: Path) -> None:
    query = (
        "SELECT a.request, a.period FROM fact a JOIN fact b ON a.request = b.request "
        f"AND a.period = b.period AND a.kind = '{FactKind.REFUSED}' AND b.kind = '{FactKind.COMPLETED}'"
    )
    request, period = next(iter(journal.rows(folder, GLOBAL_MANAGER, query)))
    steps = story(folder, f"r{int(str(request)) + 1}", int(str(period)))
    places = [
        told(steps, "short"),
        told(steps, f"> {GLOBAL_MANAGER}", "Inform qsKeyShortage"),
        told(steps, f"{GLOBAL_MANAGER} > satellite-controller", "Set qsOrder"),
        told(steps, "satellite-controller >", "resource_unavailable"),
        told(steps, f"{GLOBAL_MANAGER} > uav-controller", "Set qsOrder"),
        told(steps, "bought uav", "cost"),
        told(steps, "uav-controller > kme-", "Set qsDelivery"),
        told(steps, "uav-controller >", "Inform qsOrderComplete"),
    ]
    assert places == sorted(places)
    assert {step.trace for step in steps} == {trace_id(int(str(request)), int(str(period))).hex()}
    spans = [step.span for step in steps if step.span]
    assert len(set(spans)) == len(spans)


def test_a_reservation_is_told_without_a_period(folder: Path) -> None:
    steps = story(folder, "r1", None)
    assert told(steps, "Set qsReservation") < told(steps, "Set qsChannel") < told(steps, "active")
    assert told(steps, "active") < told(steps, "Inform qsReservationUp")


def test_what_cannot_be_followed_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no request x; the first is r1"):
        story(folder, "x", 0)
    with pytest.raises(TraceError, match="no period 99; there are 12"):
        story(folder, "r1", 99)
    with pytest.raises(TraceError, match="is not the folder of a run"):
        story(tmp_path, "r1", 0)
