"""One shortage can be followed from node to manager, to a controller, and back."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from live_network import LiveNetwork, within, write_experiment_of

from emulator.results.tracing import TraceError, TraceStep, story, traces, write_traces
from emulator.store import journals
from protos.core import GLOBAL_MANAGER
from protos.facts import FactKind
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


def told(steps: list[TraceStep], *words: str) -> int:
    """Return the place of the first step that says all of this."""
    found = (
        n for n, step in enumerate(steps) if all(w in f"{step.who} {step.what}" for w in words)
    )
    return next(found)


SPAN_FIELDS = {  # of opentelemetry/proto/trace/v1/trace.proto, as protobuf writes JSON
    "traceId",
    "spanId",
    "parentSpanId",
    "name",
    "kind",
    "startTimeUnixNano",
    "endTimeUnixNano",
    "attributes",
    "events",
}


def refused_and_served(folder: Path) -> tuple[int, int]:
    """Return a request and a period in which an order for it was refused, and another carried out."""
    query = (
        "SELECT a.request, a.period FROM fact a JOIN fact b ON a.request = b.request "
        f"AND a.period = b.period AND a.kind = '{FactKind.REFUSED}' AND b.kind = '{FactKind.COMPLETED}'"
    )
    request, period = next(iter(journals.rows(folder, GLOBAL_MANAGER, query)))
    return int(str(request)), int(str(period))


def test_a_refused_order_is_told_from_shortage_to_delivery(folder: Path) -> None:
    request, period = refused_and_served(folder)
    steps = story(folder, f"r{request + 1}", period)
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
    assert {step.trace for step in steps} == {trace_id(request, period).hex()}
    spans = [step.span for step in steps if step.span]
    assert len(set(spans)) == len(spans)


def test_a_reservation_is_told_without_a_period(folder: Path) -> None:
    steps = story(folder, "r1", None)
    assert told(steps, "Set qsReservation") < told(steps, "Set qsChannel") < told(steps, "active")
    assert told(steps, "active") < told(steps, "Inform qsReservationUp")


def test_every_span_has_a_time_though_a_run_begins_at_zero(folder: Path) -> None:
    found = traces(story(folder, "r1", None), "a reservation")
    spans = [span for part in found["resourceSpans"] for span in part["scopeSpans"][0]["spans"]]
    assert min(int(span["startTimeUnixNano"]) for span in spans) == 1  # OTLP reads 0 as none
    assert all(int(span["startTimeUnixNano"]) < int(span["endTimeUnixNano"]) for span in spans)


def test_what_cannot_be_followed_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no request x; the first is r1"):
        story(folder, "x", 0)
    with pytest.raises(TraceError, match="no period 99; there are 12"):
        story(folder, "r1", 99)
    with pytest.raises(TraceError, match="is not the folder of a run"):
        story(tmp_path, "r1", 0)


def test_a_story_is_a_trace_that_opentelemetry_can_read(folder: Path, tmp_path: Path) -> None:
    request, period = refused_and_served(folder)
    steps = story(folder, f"r{request + 1}", period)
    write_traces(tmp_path / "trace.json", steps, "a need")
    (line,) = (tmp_path / "trace.json").read_text().splitlines()
    found = json.loads(line)
    assert found == traces(steps, "a need")
    spans = [span for part in found["resourceSpans"] for span in part["scopeSpans"][0]["spans"]]
    root, *messages = spans
    assert {name for span in spans for name in span} == SPAN_FIELDS
    by_id = {span["spanId"]: span for span in spans}
    assert {span["traceId"] for span in spans} == {trace_id(request, period).hex()}
    assert len(by_id) == len(spans) == 1 + sum(step.span != "" for step in steps)
    assert {len(span) for span in by_id} == {16}
    assert all(span["parentSpanId"] in by_id for span in messages)
    assert all(
        int(root["startTimeUnixNano"]) <= int(span["startTimeUnixNano"])
        and int(span["startTimeUnixNano"]) < int(span["endTimeUnixNano"])
        and int(span["endTimeUnixNano"]) <= int(root["endTimeUnixNano"])
        for span in messages
    )
    refusal = next(span for span in messages if "resource_unavailable" in span["name"])
    assert by_id[refusal["parentSpanId"]]["name"].startswith("Set qsOrder")
    assert len(root["events"]) == sum(step.span == "" for step in steps)


def test_what_has_not_happened_cannot_be_followed(folder: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(folder, cut)
    for path in (cut / "journal").iterdir():
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("DELETE FROM fact")
            connection.execute("DELETE FROM mail")
    with pytest.raises(TraceError, match="nothing of this has happened yet"):
        story(cut, "r1", 0)
