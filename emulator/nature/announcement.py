"""Happenings as text, to be sent to processes and kept in files.

Reading loads the weather and a validator: only who is told of something needs it.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

from emulator.nature import happenings
from emulator.nature.happenings import Happening

_KINDS = {
    kind.__name__: kind
    for kind in (
        happenings.FiberCut,
        happenings.Dimming,
        happenings.Eavesdropper,
        happenings.PowerCut,
        happenings.SatelliteLoss,
        happenings.UavLoss,
        happenings.Outage,
        happenings.MessageFault,
        happenings.Partition,
        happenings.DemandShift,
    )
}


def write_down(happening: Happening) -> str:
    """Return a happening as one line of JSON."""
    return json.dumps([type(happening).__name__, _plain(happening)])


def read_back(text: str) -> Happening:
    """Return the happening that was written down.  Raises `ValueError` or `KeyError` for anything else."""
    from pydantic import TypeAdapter

    from emulator.nature.storms import Event

    name, values = json.loads(text)
    kind = Event if name == Event.__name__ else _KINDS[name]
    found: Happening = TypeAdapter(kind).validate_python(values)
    return found


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, frozenset):
        return sorted(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
