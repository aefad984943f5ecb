"""The trace of a need for keys through a run: every message and every fact that is part of it.

Messages of the management plane carry a trace id (W3C Trace Context: 16 bytes), the same for all that
follows from the need of one request in one period, or from its reservation.  Journals keep every message
that was read, so the trace is complete: what was sent and is not there was lost.  Key traffic and facts
name request and period themselves.

A trace can be written as OTLP JSON, for Jaeger, Tempo or an OpenTelemetry collector.  One span is the
need.  Below it is one span per message, of its sender, from the window in which it was sent to the one in
which it was read; answers are children of what they answer.  Facts are events of the need.  Times are
emulated ones, counted from the Unix epoch.  Source: OpenTelemetry protocol 1.x, JSON protobuf encoding
(ids in hexadecimal, 64-bit numbers as strings).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from emulator.build.demand import requests_of
from emulator.build.loading import ExperimentError, read
from emulator.results import journal_queries
from emulator.store import journals
from emulator.store.files import EXPERIMENT
from protos import wire
from protos.core import Message
from protos.keys import Delivered, KeyBundle, KeyTraffic
from protos.mib import BY_ENTRY, ENTRY_ARCS
from protos.pdu import ErrorStatus, Pdu, Verb
from protos.rows import VarBindError, decode, notified, trace_id


class TraceError(Exception):
    """There is nothing to trace."""


@dataclass(frozen=True)
class TraceStep:
    """One message as it was read, or one fact as it was noted.

    `span` names a message, which was sent at `sent_s` if nothing held it up; `parent` the one it answers.
    """

    at_s: float
    who: str
    what: str
    trace: str
    span: str = ""
    parent: str = ""
    sent_s: float = 0.0

    def fields(self) -> dict[str, Any]:
        """Return the step under public names."""
        return {
            "at_s": self.at_s,
            "who": self.who,
            "what": self.what,
            "trace_id": self.trace,
            "span_id": self.span,
            "parent_span_id": self.parent,
        }


def story(run_folder: Path, request: str, period: int | None) -> list[TraceStep]:
    """Return all steps in order of time.  Raises `TraceError` and `JournalError`."""
    try:
        setup = read(str(run_folder / EXPERIMENT))
    except ExperimentError as error:
        raise TraceError(f"is not the folder of a run: {error}") from error
    names = [item.id for item in requests_of(setup)]
    demand = setup.experiment.demand
    if request not in names:
        raise TraceError(f"no request {request}; the first is {names[0]}")
    if period is not None and period >= demand.periods:
        raise TraceError(f"no period {period}; there are {demand.periods}, from 0 on")
    index, window_s = names.index(request), setup.experiment.clock.window_s
    found = [
        *_messages(run_folder, index, period, window_s),
        *_facts(run_folder, index, period, window_s),
    ]
    if not found:
        raise TraceError("nothing of this has happened yet")
    return sorted(found, key=lambda step: (step.at_s, step.span == ""))


def _messages(
    run_folder: Path, index: int, period: int | None, window_s: float
) -> Iterator[TraceStep]:
    wanted = trace_id(index, -1 if period is None else period)
    found = [
        (window, message, words)
        for window, batches in journals.mail_read(run_folder)
        for message in wire.mail_messages(batches)
        if (words := _told(message.body, wanted, index, period))
    ]
    asked = {
        (item.source, item.destination, item.body.request_id): _span_name(item)
        for _, item, _ in found
        if isinstance(item.body, Pdu) and item.body.verb is not Verb.RESPONSE
    }
    for window, message, words in found:
        who, trace = f"{message.source} > {message.destination}", wanted.hex()
        span, parent, at_s = _span_name(message), _parent(message, asked), window * window_s
        yield TraceStep(at_s, who, words, trace, span, parent, at_s - window_s)


def _told(body: Pdu | KeyBundle, wanted: bytes, index: int, period: int | None) -> str:
    """Say what a message says if it is part of the trace."""
    if isinstance(body, Pdu):
        return _words(body) if body.trace_id == wanted else ""
    told = (_traffic(item, index, period) for item in body.items)
    return ", ".join(words for words in told if words)


def _parent(message: Message, asked: Mapping[tuple[str, str, int], str]) -> str:
    """Return what a response answers."""
    body = message.body
    if not isinstance(body, Pdu) or body.verb is not Verb.RESPONSE:
        return ""
    return asked.get((message.destination, message.source, body.request_id), "")


def _facts(
    run_folder: Path, index: int, period: int | None, window_s: float
) -> Iterator[TraceStep]:
    wanted = trace_id(index, -1 if period is None else period).hex()
    for entity in journals.entities(run_folder):
        for item in journal_queries.followed(run_folder, entity, index, period):
            units, cost = f"{item.units} units" if item.units else "", f"cost {item.cost}"
            parts = [item.kind.value, item.medium, units, item.details.text if item.details else ""]
            parts += [cost if item.cost else "", f"({item.peer})" if item.peer else ""]
            words = " ".join(part for part in parts if part)
            yield TraceStep(item.window * window_s, entity, words, wanted)


def _words(pdu: Pdu) -> str:
    """Say what a PDU says: its verb, what it is about, and how it was answered."""
    about = ""
    try:
        if pdu.verb in (Verb.TRAP, Verb.INFORM):
            about = notified(pdu)[0].name
        elif pdu.varbinds:
            about = BY_ENTRY[pdu.varbinds[0].name[:ENTRY_ARCS]].name
        rows = decode(pdu.varbinds[2:] if pdu.verb in (Verb.TRAP, Verb.INFORM) else pdu.varbinds)
        units = getattr(rows[0], "units", None) if rows else None
    except (VarBindError, KeyError):
        units = None
    status = pdu.error_status.name.lower() if pdu.verb is Verb.RESPONSE else ""
    said = "" if status == ErrorStatus.NO_ERROR.name.lower() else status
    parts = [pdu.verb.name.capitalize(), about, f"{units} units" if units is not None else "", said]
    return " ".join(part for part in parts if part)


def _traffic(body: KeyTraffic, index: int, period: int | None) -> str:
    """Say what key traffic says if it belongs to the need, never with what key."""
    if isinstance(body, Delivered) and (body.request, body.period) == (index, period):
        return f"Delivered {body.medium.name.lower()} {len(body.key_ids)} units"
    return ""


def _span_name(message: Message) -> str:
    return f"{message.source}/{message.sequence}"


SPAN_BYTES = 8


_INTERNAL, _PRODUCER = 1, 4  # SpanKind


def write_traces(path: Path, steps: Sequence[TraceStep], need: str) -> None:
    """Write the document as one line, as a collector reads it."""
    path.write_text(json.dumps(traces(steps, need)) + "\n", encoding="utf-8")


def traces(steps: Sequence[TraceStep], need: str) -> dict[str, Any]:
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


def _root(steps: Sequence[TraceStep], need: str) -> dict[str, Any]:
    trace = steps[0].trace
    began_s = min(step.sent_s if step.span else step.at_s for step in steps)
    span = _span(trace, trace, need, began_s, steps[-1].at_s)
    facts = [step for step in steps if not step.span]
    return span | {"kind": _INTERNAL, "events": [_event(step) for step in facts]}


def _message(step: TraceStep, destination: str, root: str) -> dict[str, Any]:
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


def _event(step: TraceStep) -> dict[str, Any]:
    who = [_attribute("entity", step.who)]
    return {"timeUnixNano": _nanos(step.at_s), "name": step.what, "attributes": who}


def _attribute(name: str, value: str) -> dict[str, Any]:
    return {"key": name, "value": {"stringValue": value}}


def _span_id(trace: str, name: str) -> str:
    return blake2b(f"{trace} {name}".encode(), digest_size=SPAN_BYTES).hexdigest()


def _nanos(at_s: float) -> str:
    """Return a time as OTLP has it; the start is 1 ns, since 0 says that there is no time."""
    return str(max(1, round(at_s * 1e9)))
