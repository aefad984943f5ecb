"""What SNMP costs: a walk of a whole network, and polling everything every 10 s.

`python benchmarks/polling.py [PERIODS [PAIRS]]` runs USNET (24 nodes, 100 requests) in process at
--pace max, polled and alone in turn.  The poller walks every context by snmpbulkwalk, first 5 s after the
engine answers and then every 10 s, so that a run has a walk for each 10 s.  Seconds are those of the run's
CPU time: a run that keeps a core busy takes as many of the clock where it has one, and on a machine that is
shared it is not polled more often for being slow.  CPU time is that of the run's processes; what the poller
itself takes is not the run's.  Two equal runs differ by some percent, so that what polling adds is the
median of pairs, told with its standard error.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from math import pi, sqrt
from pathlib import Path
from statistics import fmean, median, stdev

import psutil
import yaml
from bars import Row, at_most, tell, words

from emulator.build.assembly import assemble
from emulator.build.loading import read
from emulator.build.manager_role import actors_of

_PERIODS, _PAIRS, _PORT = 1_000, 8, 18_161
_POLL_EVERY_S, _LOOK_EVERY_S = 10.0, 0.2
_MOST_WALK_S, _MOST_LOST = 2.0, 2.0
_FIELDS = {
    "name": "polled",
    "seed": 7,
    "network": {"topology": "usnet", "link_km": 80, "wavelengths": 80},
    "demand": {
        "period_s": 60,
        "distribution": {"poisson": {"mean_units": 3.3333}},
        "requests": {"avatar": 20, "digital-twin": 80},
    },
    "access": {"snmp": {"users": [{"name": "ops", "role": "manager"}]}},
}
_SECRETS = {"QSAGIN_SNMP_OPS_AUTH": "ops-authenticates", "QSAGIN_SNMP_OPS_PRIV": "ops-encrypts"}


def rows(periods: int = _PERIODS, pairs: int = _PAIRS) -> Iterator[Row]:
    """Measure pairs of runs, polled and alone."""
    if shutil.which("snmpbulkwalk") is None:
        sys.exit("snmpbulkwalk is not installed; apt-get install snmp")
    with tempfile.TemporaryDirectory() as place:
        source = Path(place, "experiment.yaml")
        fields = {**_FIELDS, "demand": {**_FIELDS["demand"], "periods": periods}}  # type: ignore[dict-item]
        source.write_text(yaml.safe_dump(fields))
        setup = read(str(source))
        contexts = [role.entity for role in actors_of(setup.experiment, assemble(setup)).everybody]
        walks_s: list[float] = []
        used_s = [(_cpu_s(source, contexts, walks_s), _cpu_s(source, [], [])) for _ in range(pairs)]
    note = f"{len(contexts)} contexts, median of {len(walks_s)} while the run goes on"
    yield at_most("walk of a network of 24 nodes", median(walks_s), "s", _MOST_WALK_S, note)
    more = [100 * (polled / alone - 1) for polled, alone in used_s]
    error = sqrt(pi / 2) * stdev(more) / sqrt(pairs)
    usual_s = median(alone for _, alone in used_s)
    walks = len(walks_s) / pairs
    cost_ms = 1000 * fmean(polled - alone for polled, alone in used_s) / walks
    note = f"of {usual_s:.1f} s of CPU time, median of {pairs} pairs, ± {error:.1f}"
    note += f"; {walks:.1f} walks a run, {cost_ms:.0f} ms each by the mean"
    yield at_most("CPU time that polling adds to a run", median(more), "%", _MOST_LOST, note)


def _cpu_s(source: Path, contexts: list[str], walks_s: list[float]) -> float:
    """Run, poll these contexts, and return the CPU time that the run took."""
    ended = threading.Event()
    command = [sys.executable, "-m", "emulator", "run", str(source), "--engine", "in-process"]
    command += ["--pace", "max", "--json", "--snmp-port", str(_PORT)]
    run = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | _SECRETS
    )
    poller = threading.Thread(target=_poll, args=(run.pid, contexts, walks_s, ended))
    poller.start()
    assert run.stdout is not None  # noqa: S101
    answer = run.stdout.read()
    _, status, used = os.wait4(run.pid, 0)
    ended.set()
    poller.join()
    if status or not json.loads(answer)["complete"]:
        sys.exit(f"the run ended with status {status}")
    return used.ru_utime + used.ru_stime


def _poll(run: int, contexts: list[str], walks_s: list[float], ended: threading.Event) -> None:
    """Walk all contexts every 10 s of a run's CPU time, from 5 s after the first answers on."""
    while contexts and not ended.wait(0.5):
        if _walk(contexts[0]):
            break
    due_s = _used_s(run) + _POLL_EVERY_S / 2
    while contexts and not ended.wait(_LOOK_EVERY_S):
        if _used_s(run) < due_s:
            continue
        due_s += _POLL_EVERY_S
        began_s = time.monotonic()
        if all(map(_walk, contexts)):
            walks_s.append(time.monotonic() - began_s)


def _used_s(run: int) -> float:
    """Return the CPU time that a process and its children have used so far."""
    used_s = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(run)
        for process in (parent, *parent.children(recursive=True)):
            times = process.cpu_times()
            used_s += times.user + times.system
    return used_s


def _walk(context: str) -> bool:
    command = ["snmpbulkwalk", "-v3", "-l", "authPriv", "-u", "ops", "-a", "SHA-256", "-x", "AES"]
    command += ["-A", "ops-authenticates", "-X", "ops-encrypts", "-Cr250", "-On", "-m", ""]
    command += ["-t", "3", "-n", context, f"127.0.0.1:{_PORT}", ".1"]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode == 0 and done.stdout.count(b"\n") > 20


if __name__ == "__main__":
    tell(rows(*map(int, words())))
