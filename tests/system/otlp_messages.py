"""Reads a trace as OpenTelemetry's own messages; run by an interpreter that has opentelemetry-proto.

Takes an OTLP JSON document on stdin, and prints it as each message has kept it.  A field that the messages
do not have, or a value that does not fit, is an error.  OTLP writes ids in hexadecimal where protobuf's
JSON has base64 (OTLP 1.x, JSON protobuf encoding), so ids are translated both ways.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

IDS = ("traceId", "spanId", "parentSpanId")


def to_base64(text: str) -> str:
    """Return an id as protobuf's JSON has it."""
    return base64.b64encode(bytes.fromhex(text)).decode()


def to_hex(text: str) -> str:
    """Return an id as OTLP has it."""
    return base64.b64decode(text, validate=True).hex()


def with_ids(part: Any, translate: Callable[[str], str]) -> Any:
    """Return a document with its ids translated."""
    if isinstance(part, list):
        return [with_ids(item, translate) for item in part]
    if not isinstance(part, dict):
        return part
    return {
        key: translate(item) if key in IDS else with_ids(item, translate)
        for key, item in part.items()
    }


def main() -> None:
    """Print what each message has kept, and how many bytes it has on the wire."""
    document = with_ids(json.load(sys.stdin), to_base64)
    found = {}
    for kind in (TracesData, ExportTraceServiceRequest):
        message = ParseDict(document, kind())
        again = kind.FromString(message.SerializeToString())
        kept = MessageToDict(again, use_integers_for_enums=True)
        found[kind.DESCRIPTOR.full_name] = with_ids(kept, to_hex)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
