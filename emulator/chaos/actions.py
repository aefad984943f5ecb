"""Chaos Toolkit actions: start a run, strike it, wait in emulated time, end it.

Plain functions over run folders; any Chaos Toolkit experiment can name them.  A run is a process of its
own, which ends with the one that started it.  While it may be alive, its pid is next to its folder in
`NAME.pid`, and its output in `NAME.log`.
As a control of an experiment, this module brings a run to its steady state before the hypothesis is first
tested, and ends it, with its report written, after the experiment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import yaml
from chaoslib.exceptions import InterruptExecution

from emulator.runtime import injection
from emulator.store import journal, journals
from emulator.store.files import EXPERIMENT, PLAN, SUMMARY

NETWORKS = Path(__file__).parent / "networks"
_STARTED: list[subprocess.Popen[bytes]] = []  # a run ends when nobody holds its standard input
_LOOK_EVERY_S = 0.1
_START_LIMIT_S = 120.0
_END_LIMIT_S = 300.0


class ChaosError(Exception):
    """An action failed, or what it waited for did not come."""


def start_run(
    experiment: str,
    run_folder: str,
    hosts: int = 1,
    pace: str = "30",
    seed: int | None = None,
    *,
    keys: bool = False,
) -> int:
    """Start a run of a file, a built-in experiment, or a network of chaos experiments; return its pid.

    With `keys` it serves SAEs.
    """
    folder = Path(run_folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    own = NETWORKS / f"{experiment}.yaml"
    source = str(own) if own.exists() else experiment
    words = ["--out", run_folder, "--hosts", str(hosts), "--pace", str(pace)]
    words += [] if seed is None else ["--seed", str(seed)]
    words += ["--keys"] if keys else []
    with _log(folder).open("wb") as log:
        run = subprocess.Popen(  # noqa: S603 - our own command, and no shell
            [sys.executable, "-m", "emulator", "run", source, *words, "--attached"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
    _STARTED.append(run)
    _number(folder).write_text(f"{run.pid}\n", encoding="ascii")
    return run.pid


def inject(run_folder: str, fault: Mapping[str, Any]) -> dict[str, Any]:
    """Inject a fault, with the fields of an entry of `faults`, into a live run; return it with its time."""
    return injection.submit(Path(run_folder), fault).fault


def inject_on_busiest_link(run_folder: str, fault: Mapping[str, Any]) -> dict[str, Any]:
    """Inject a fault into the link that carries the most units of the plan."""
    return inject(run_folder, {**fault, "link": busiest_link(run_folder)})


def busiest_link(run_folder: str) -> list[str]:
    """Return the ends of the link that carries the most units of the first plan."""
    plan = json.loads((Path(run_folder) / PLAN).read_text(encoding="utf-8"))
    load: Counter[tuple[str, str]] = Counter()
    for item in plan["allocations"]:
        for a, b in pairwise(item["path"]):
            load[min(a, b), max(a, b)] += item["units"]
    busiest, _ = min(load.items(), key=lambda item: (-item[1], item[0]))
    return list(busiest)


def emulated_s(run_folder: str) -> float:
    """Return the emulated time of the last thing that a run has done; 0 before the first."""
    folder = Path(run_folder)
    with suppress(OSError, journal.JournalError, TypeError):
        fields = yaml.safe_load((folder / EXPERIMENT).read_text(encoding="utf-8"))
        return float(journals.last_window(folder) * fields["clock"]["window_s"])
    return 0.0


def wait_until(run_folder: str, at_s: float, within_s: float = _START_LIMIT_S) -> float:
    """Wait until a live run has reached an emulated time; return how far it is."""
    ends_s = time.monotonic() + within_s
    while (now_s := emulated_s(run_folder)) < at_s:
        if not _is_alive(Path(run_folder)):
            raise ChaosError(
                f"{run_folder}: the run has ended at {now_s:g} s; see {_log(run_folder)}"
            )
        if time.monotonic() > ends_s:
            raise ChaosError(
                f"{run_folder}: at {now_s:g} s after {within_s:g} s, not at {at_s:g} s"
            )
        time.sleep(_LOOK_EVERY_S)
    return now_s


def end_run(run_folder: str, within_s: float = _END_LIMIT_S) -> bool:
    """Wait until a run has ended and written its report; return whether it is complete."""
    folder = Path(run_folder)
    ends_s = time.monotonic() + within_s
    while _is_alive(folder):
        if time.monotonic() > ends_s:
            raise ChaosError(f"{run_folder}: the run has not ended within {within_s:g} s")
        time.sleep(_LOOK_EVERY_S)
    _number(folder).unlink(missing_ok=True)
    summary = folder / SUMMARY
    if not summary.exists():
        raise ChaosError(f"{run_folder}: the run has left no summary; see {_log(folder)}")
    return bool(json.loads(summary.read_text(encoding="utf-8"))["complete"])


def stop_run(run_folder: str, within_s: float = _END_LIMIT_S) -> bool:
    """End a run now, with partial results; do nothing if it has ended."""
    folder = Path(run_folder)
    process = _process(folder)
    if process is not None:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
        end_run(run_folder, within_s)
    return True


def before_experiment_control(
    context: Mapping[str, Any], configuration: Mapping[str, Any], **_: Any
) -> None:
    """Bring a run to its steady state; first complete an undisturbed one, if that is asked for."""
    folder, source = str(configuration["run_folder"]), str(configuration["experiment"])
    hosts, pace = int(configuration.get("hosts", 1)), str(configuration.get("pace", 30))
    try:
        if configuration.get("undisturbed"):
            _run_undisturbed(source, str(undisturbed(folder)), hosts)
        start_run(source, folder, hosts, pace, keys=bool(configuration.get("keys")))
        wait_until(folder, float(configuration.get("steady_s", 0)))
    except (ChaosError, OSError) as error:
        raise InterruptExecution(f"{context.get('title')}: {error}") from error


def _run_undisturbed(source: str, run_folder: str, hosts: int) -> None:
    start_run(source, run_folder, hosts, "max")
    if not end_run(run_folder):
        raise ChaosError(f"{run_folder}: the undisturbed run was interrupted")


def after_experiment_control(
    context: Mapping[str, Any],  # noqa: ARG001 - the toolkit names it
    configuration: Mapping[str, Any],
    **_: Any,
) -> None:
    """Leave no run behind, and a report of each."""
    stop_run(str(configuration["run_folder"]))


def undisturbed(run_folder: str) -> Path:
    """Return the folder of the undisturbed run that belongs to another."""
    return Path(run_folder).with_name(f"{Path(run_folder).name}-undisturbed")


def _is_alive(folder: Path) -> bool:
    return _process(folder) is not None


def _process(folder: Path) -> psutil.Process | None:
    """Return the process of a run; None if it has ended."""
    try:
        process = psutil.Process(int(_number(folder).read_text(encoding="ascii")))
        if process.ppid() == os.getpid() and process.status() == psutil.STATUS_ZOMBIE:
            process.wait()
            return None
        words = process.cmdline()  # none while it is only just beginning
        return process if not words or str(folder) in words else None
    except (OSError, ValueError, psutil.Error):
        return None


def _number(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.pid")


def _log(folder: Path | str) -> Path:
    return Path(folder).with_name(f"{Path(folder).name}.log")
