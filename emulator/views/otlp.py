"""A followed need for keys as OTLP traces in JSON, for Jaeger, Tempo or an OpenTelemetry collector.

One span stands for the need, and below it one for each message, of its sender: from the window in
which it was sent to the one in which it was read, beneath the span of what it answers.  Facts are
events of the need.  Times are emulated ones, counted from the Unix epoch.  Source: OpenTelemetry
protocol 1.x, JSON protobuf encoding (ids in hexadecimal, 64-bit numbers as strings).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from emulator.views.tracing import Step

SPAN_BYTES = 8
_INTERNAL, _PRODUCER = 1, 4  # SpanKind


def write_traces(path: Path, steps: Sequence[Step], need: str) -> None:
    """Write the document as one line, as a collector reads it."""
    path.write_text(json.dumps(traces(steps, need)) + "\n", encoding="utf-8")


def traces(steps: Sequence[Step], need: str) -> dict[str, Any]:
    """Return a `TracesData` document of at least one step; `need` names what was followed.

    Every entity is a service of its own, to which belong the messages that it sent.
    """
    root = _root(steps, need)
    services: dict[str, list[dict[str, Any]]] = {"qsagin": [root]}
    for step in steps:
        if step.span:
            source, destination = step.who.split(" > ")
            span = _message(step, destination, root["spanId"])
            services.setdefault(source, []).append(span)
    return {"resourceSpans": [_resource(name, spans) for name, spans in services.items()]}


def _resource(name: str, spans: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "resource": {"attributes": [_attribute("service.name", name)]},
        "scopeSpans": [{"scope": {"name": "qsagin"}, "spans": spans}],
    }


def _root(steps: Sequence[Step], need: str) -> dict[str, Any]:
    trace = steps[0].trace
    began_s = min(step.sent_s if step.span else step.at_s for step in steps)
    span = _span(trace, trace, need, began_s, steps[-1].at_s)
    facts = [step for step in steps if not step.span]
    return span | {"kind": _INTERNAL, "events": [_event(step) for step in facts]}


def _message(step: Step, destination: str, root: str) -> dict[str, Any]:
    span = _span(step.trace, step.span, step.what, step.sent_s, step.at_s)
    return span | {
        "parentSpanId": _span_id(step.trace, step.parent) if step.parent else root,
        "kind": _PRODUCER,
        "attributes": [_attribute("messaging.destination.name", destination)],
    }


def _span(trace: str, name: str, what: str, began_s: float, ended_s: float) -> dict[str, Any]:
    return {
        "traceId": trace,
        "spanId": _span_id(trace, name),
        "name": what,
        "startTimeUnixNano": _nanos(began_s),
        "endTimeUnixNano": _nanos(ended_s),
    }


def _event(step: Step) -> dict[str, Any]:
    who = [_attribute("entity", step.who)]
    return {"timeUnixNano": _nanos(step.at_s), "name": step.what, "attributes": who}


def _attribute(name: str, value: str) -> dict[str, Any]:
    return {"key": name, "value": {"stringValue": value}}


def _span_id(trace: str, name: str) -> str:
    return blake2b(f"{trace} {name}".encode(), digest_size=SPAN_BYTES).hexdigest()


def _nanos(at_s: float) -> str:
    return str(round(at_s * 1e9))
