"""One fault, read as if it stood in the schedule of a run's experiment."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from emulator.experiment.fault_config import FaultEvent, ProcessEvent, RandomEvent
from emulator.experiment.reading import read
from emulator.experiment.wording import mistakes
from emulator.parts.schedule import happenings_of
from emulator.parts.schedule_check import schedule_faults
from emulator.runtime.injection import InjectionError
from emulator.world.events import write_down


class _One(BaseModel):
    fault: FaultEvent


def resolved(experiment_file: Path, fault: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return a fault's fields in full, and what it does as text; empty if that is to processes.

    Raises `InjectionError` with all mistakes in one line.
    """
    experiment, topology = read(str(experiment_file))
    fields = dict(fault)
    fields.setdefault("from_period" if fields.get("kind") == "demand-shift" else "at_s", 0)
    if "until_s" in fields and "at_s" not in fault:
        raise InjectionError("fault.until_s: say at_s too, or for_s: how long from now on")
    if "for_s" in fields:
        fields["until_s"] = _until_s(fields)
    try:
        event = _One.model_validate({"fault": fields}).fault
    except ValidationError as error:
        said = "; ".join(f"{field}: {message}" for field, message in mistakes(error))
        raise InjectionError(said) from error
    if isinstance(event, RandomEvent):
        raise InjectionError("fault.kind: random faults are drawn when an experiment is read")
    alone = experiment.model_copy(update={"faults": [event]})
    wrong = list(schedule_faults(alone, topology))
    if wrong:
        said = "; ".join(f"{field.replace('faults.0', 'fault')}: {text}" for field, text in wrong)
        raise InjectionError(said)
    happening = (
        "" if isinstance(event, ProcessEvent) else write_down(happenings_of(alone, topology)[0])
    )
    return event.model_dump(mode="json", by_alias=True), happening


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
