"""What `qsagin trace --otlp` writes, read by the messages that OpenTelemetry publishes.

Beside Ray these messages break Ray's agent, so they are in an environment of their own.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import environments
import pytest
from live_network import LiveNetwork, within, write_experiment_of

from emulator.store import journals
from emulator.store.files import write_format
from protos.core import GLOBAL_MANAGER
from protos.facts import FactKind

pytestmark = pytest.mark.system
MESSAGES = {
    "opentelemetry.proto.trace.v1.TracesData",  # a file of traces
    "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest",  # what a collector is sent
}
Document = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `tiny`."""

    async def run(folder: Path) -> None:
        network = LiveNetwork(folder, 2)
        write_experiment_of("tiny", folder)
        write_format(folder)
        await network.start()
        await network.run()
        await network.stop()

    found = tmp_path_factory.mktemp("traced") / "run"
    within(60, run(found))
    return found


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the messages."""
    return environments.interpreter("otlp", tmp_path_factory.mktemp("environment"))


def _judge(python: Path, document: Document) -> subprocess.CompletedProcess[str]:
    command = [str(python), "-I", str(Path(__file__).with_name("otlp_messages.py"))]
    return subprocess.run(
        command,
        input=json.dumps(document),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _kept(python: Path, document: Document) -> dict[str, Document]:
    done = _judge(python, document)
    assert done.returncode == 0, done.stderr
    found: dict[str, Document] = json.loads(done.stdout)
    return found


def _traced(folder: Path, out: Path, *words: str) -> Document:
    command = [sys.executable, "-m", "emulator", "trace", str(folder), "--otlp", str(out), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    found: Document = json.loads(out.read_text())
    return found


def _spans(document: Document) -> Iterator[Document]:
    for part in document["resourceSpans"]:
        for scope in part["scopeSpans"]:
            yield from scope["spans"]


@pytest.fixture(scope="module")
def bought(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Document:
    """The trace of a need for which an order was refused, and another carried out."""
    query = (
        "SELECT a.request, a.period FROM fact a JOIN fact b ON a.request = b.request "
        f"AND a.period = b.period AND a.kind = '{FactKind.REFUSED}' AND b.kind = '{FactKind.COMPLETED}'"
    )
    request, period = next(iter(journals.rows(folder, GLOBAL_MANAGER, query)))
    out = tmp_path_factory.mktemp("bought") / "trace.json"
    return _traced(folder, out, "--request", f"r{int(str(request)) + 1}", "--period", str(period))


def test_the_official_messages_keep_every_field_of_a_need(python: Path, bought: Document) -> None:
    kept = _kept(python, bought)
    assert kept == dict.fromkeys(MESSAGES, bought)
    assert len(list(_spans(bought))) > 5


def test_the_official_messages_keep_every_field_of_a_reservation(
    folder: Path, python: Path, tmp_path: Path
) -> None:
    document = _traced(folder, tmp_path / "trace.json", "--request", "r1")
    assert _kept(python, document) == dict.fromkeys(MESSAGES, document)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("startTime", "1", 'no field named "startTime"'),
        ("kind", "REQUESTER", "kind"),
        ("startTimeUnixNano", "-1", "startTimeUnixNano"),
        ("parentSpanId", "no hexadecimal", "non-hexadecimal"),
    ],
)
def test_the_official_messages_refuse_what_is_wrong(
    python: Path, bought: Document, field: str, value: str, told: str
) -> None:
    changed = copy.deepcopy(bought)
    next(_spans(changed))[field] = value
    done = _judge(python, changed)
    assert done.returncode == 1
    assert told in done.stderr
