"""Faults and weather injected into a live run, by anybody who may write to its folder.

The injecting process checks the fault as if it were in the experiment, works out what it does to the world,
and puts both into a table in the run folder.  The clock takes it at the next boundary of two windows.
From then on it has a time, every host learns of it before it runs the next window, and it is part of the
run's schedule.  `record` writes it into the folder's experiment; running that again is the same run.  If
the run does not take a fault in time, it is withdrawn, and has not happened.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from math import inf
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from emulator.build.loading import read
from emulator.build.schedule import events_of
from emulator.build.validation import check_schedule
from emulator.build.yaml_text import dump_yaml, read_yaml
from emulator.config.error_messages import mistakes
from emulator.config.experiment import Experiment
from emulator.config.schedule import FaultEvent, ProcessEvent, RandomEvent
from emulator.store.files import EXPERIMENT, SUMMARY, Engine, engine_of, write_atomically
from emulator.store.injection_table import FILE, Injected, Injections
from emulator.world.events import write_down

_PATIENCE_S = 20.0
_LOOK_EVERY_S = 0.05


class InjectionError(ValueError):
    """A fault cannot be injected; the message is one line that names field and remedy."""


class _One(BaseModel):
    fault: FaultEvent


def submit(run_folder: Path, fault: Mapping[str, Any], patience_s: float | None = None) -> Injected:
    """Inject a fault into a live run; return it with its time.

    The fields are those of an entry of `faults`.  `at_s` may be left out, or be a time to come, and `for_s`
    may replace `until_s`.  The run has `patience_s` of wall time to take it.  Raises `InjectionError`.
    """
    if not (run_folder / EXPERIMENT).exists():
        raise InjectionError(f"{run_folder}: is not the folder of a run")
    if (run_folder / SUMMARY).exists():
        raise InjectionError(f"{run_folder}: the run has ended")
    fields, written = _resolved(run_folder / EXPERIMENT, fault)
    with _table(run_folder) as injections:
        number = injections.ask(fields, written)
        try:
            _wait_for(injections, number, run_folder, patience_s or _PATIENCE_S)
        except BaseException:  # whoever asked has gone
            injections.withdraw(number)
            raise
        return next(item for item in injections.accepted() if item.number == number)


def _resolved(experiment_file: Path, fault: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return a fault's fields in full, and what it does as text; empty if that is to processes.

    Raises `InjectionError` with all mistakes in one line.
    """
    setup = read(str(experiment_file))
    fields = dict(fault)
    fields.setdefault("from_period" if fields.get("kind") == "demand-shift" else "at_s", 0)
    if "until_s" in fields and "at_s" not in fault:
        raise InjectionError("fault.until_s: say at_s too, or for_s: how long from now on")
    if "for_s" in fields:
        fields["until_s"] = _until_s(fields)
    try:
        event = _One.model_validate({"fault": fields}).fault
    except ValidationError as error:
        said = "; ".join(f"{item.field}: {item.message}" for item in mistakes(error))
        raise InjectionError(said) from error
    if isinstance(event, RandomEvent):
        raise InjectionError("fault.kind: random faults are drawn when an experiment is read")
    alone = setup.with_experiment(setup.experiment.model_copy(update={"faults": [event]}))
    wrong = check_schedule(alone)
    if wrong:
        said = "; ".join(
            f"{item.field.replace('faults.0', 'fault')}: {item.message}" for item in wrong
        )
        raise InjectionError(said)
    if isinstance(event, ProcessEvent) and engine_of(experiment_file.parent) is Engine.IN_PROCESS:
        raise InjectionError(
            "fault.kind: an in-process run has no processes that a fault could strike"
        )
    written = "" if isinstance(event, ProcessEvent) else write_down(events_of(alone)[0])
    return event.model_dump(mode="json", by_alias=True), written


def _until_s(fields: dict[str, Any]) -> float:
    for_s = fields.pop("for_s")
    if "until_s" in fields:
        raise InjectionError("fault.for_s: stands for until_s; give one of them")
    try:
        at_s, lasts_s = float(fields.get("at_s", 0.0)), float(for_s)
    except (TypeError, ValueError):
        at_s, lasts_s = 0.0, 0.0
    if not 0 < lasts_s < inf:
        raise InjectionError(f"fault.for_s: must be positive seconds, not {for_s}")
    return at_s + lasts_s


def _wait_for(injections: Injections, number: int, run_folder: Path, patience_s: float) -> None:
    ends_s = time.monotonic() + patience_s
    while injections.window_of(number) is None:
        if time.monotonic() > ends_s and injections.withdraw(number):
            problem = f"took no fault within {patience_s:g} s; is it still going on?"
            raise InjectionError(f"{run_folder}: the run {problem}")
        if (run_folder / SUMMARY).exists() and injections.withdraw(number):
            raise InjectionError(f"{run_folder}: the run has ended")
        time.sleep(_LOOK_EVERY_S)


def forget_waiting(run_folder: Path) -> None:
    """Withdraw what was asked of a run that was lost before it took it."""
    if (run_folder / FILE).exists():
        with _table(run_folder) as injections:
            for item in injections.waiting():
                injections.withdraw(item.number)


def taken(run_folder: Path) -> list[Injected]:
    """Return what a run has taken, in that order."""
    if not (run_folder / FILE).exists():
        return []
    with _table(run_folder) as injections:
        return injections.accepted()


def faults_taken(run_folder: Path) -> list[dict[str, Any]]:
    """Return the fields of the faults that a run has taken."""
    return [item.fault for item in taken(run_folder)]


def as_begun(run_folder: Path, experiment: Experiment) -> Experiment:
    """Return the experiment of a run folder without what was injected, which actors know already."""
    injected = faults_taken(run_folder)
    faults = []
    for event in experiment.faults:
        fields = event.model_dump(mode="json", by_alias=True)
        if fields in injected:
            injected.remove(fields)
        else:
            faults.append(event)
    return experiment.model_copy(update={"faults": faults})


def record(run_folder: Path) -> bool:
    """Write what was injected into the folder's experiment; return whether there was anything new."""
    faults = faults_taken(run_folder)
    if not faults:
        return False
    path = run_folder / EXPERIMENT
    fields = read_yaml(path)
    new = [fault for fault in faults if fault not in fields["faults"]]
    if new:
        fields["faults"] += new
        write_atomically(path, dump_yaml(fields))
    return bool(new)


@contextmanager
def _table(run_folder: Path) -> Iterator[Injections]:
    with closing(Injections(run_folder)) as injections:
        yield injections
