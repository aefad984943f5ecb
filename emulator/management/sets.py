"""What operators set: a request to the real agent in the next window, recorded as an input of the run.

A Set is validated first, as the agent will validate it again; what is refused here reaches nobody.  What is
valid becomes an entry of the run's schedule, as an injected fault does, so the folder's experiment repeats
it.  The answer is the agent's own.  A request that is repeated is done once.  Whoever asks may wait for it
for some windows; a Set that the run has not taken by then is withdrawn.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emulator.management.answers import Look, Request, Response
from emulator.management.objects import Absent, Cell, Type, type_of
from emulator.runtime.injection import InjectionError, submit
from emulator.store.injection_table import Injected
from protos.core import operator_of
from protos.mib import BY_ENTRY, ENTRY_ARCS
from protos.pdu import Arcs, ErrorStatus, Missing, VarBind
from protos.rows import VarBindError
from protos.settings import settings, spelt

Submit = Callable[[dict[str, object]], Injected]
"""Makes an entry part of the schedule of the run.  Raises `InjectionError`."""
_PATIENCE_S = 10.0
_LOOK_EVERY_S = 0.02
_log = logging.getLogger(__name__)


def into(run_folder: Path) -> Submit:
    """Return how a Set becomes part of the run in a folder."""
    return lambda entry: submit(run_folder, entry, _PATIENCE_S)


@dataclass(frozen=True)
class Setting:
    """A variable of a Set as it came: its name, the type of its value, and the value."""

    name: Arcs
    type: Type | None
    value: int | bytes | Arcs


class Sets:
    """See the module.  One thread at a time calls `perform`; `refused` counts by reason."""

    def __init__(self, look: Look, submit_: Submit, refused: Counter[str]) -> None:
        self._look, self._submit, self._refused = look, submit_, refused

    def perform(self, request: Request, wanted: tuple[Setting, ...]) -> Response | None:
        """Do a Set and return the answer; None: the agent does not answer."""
        binds = tuple(VarBind(item.name, _value(item)) for item in wanted)
        try:
            glance = self._look(request.context)
        except TimeoutError:
            return None
        if glance is None:
            self._refused["out"] += 1
            return None
        try:
            settings(binds, request.role, glance.rows)
        except VarBindError as error:
            return self._refuse(request, wanted, error)
        entry: dict[str, object] = {
            "kind": "operator-set",
            "entity": request.context,
            "operator": request.user,
            "role": str(request.role),
            "values": {spelt(bind.name): bind.value for bind in binds},
        }
        try:
            taken = self._submit(entry)
        except InjectionError as error:
            _log.warning("%s: a Set was not taken: %s", request.context or "network", error)
            return _response(wanted, ErrorStatus.RESOURCE_UNAVAILABLE, 1)
        return self._answered(request, wanted, binds, taken)

    def _refuse(
        self, request: Request, wanted: tuple[Setting, ...], error: VarBindError
    ) -> Response:
        where = spelt(wanted[error.error_index - 1].name)
        self._refused["set"] += 1
        _log.warning(
            "%s (%s) may not set %s at %s: %s",
            request.user,
            request.role,
            where,
            request.context or "network",
            error.error_status.name,
        )
        return _response(wanted, error.error_status, error.error_index)

    def _answered(
        self,
        request: Request,
        wanted: tuple[Setting, ...],
        binds: tuple[VarBind, ...],
        taken: Injected,
    ) -> Response | None:
        """Wait for the agent's own answer."""
        operator = operator_of(request.user, request.role)
        ends_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < ends_s:
            try:
                glance = self._look(request.context)
            except TimeoutError:
                continue
            for window, message in () if glance is None else glance.told:
                pdu = message.body
                same = (message.destination, window) == (operator, taken.window)
                if same and getattr(pdu, "varbinds", ()) == binds:
                    return _response(wanted, pdu.error_status, pdu.error_index)  # type: ignore[union-attr]
            time.sleep(_LOOK_EVERY_S)
        return None


class RepeatedSets:
    """Which Sets are under way or done, by who asks and what: one that comes again is not done again."""

    _MOST = 1_024

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[object, ...], Response | None] = OrderedDict()
        self._waiting: dict[tuple[object, ...], list[Callable[[Response | None], None]]] = {}

    def is_new(self, key: tuple[object, ...], reply: Callable[[Response | None], None]) -> bool:
        """Return whether a Set is to be done now; `reply` is called with its answer, now or later."""
        if key in self._answers:
            reply(self._answers[key])
            return False
        is_first = key not in self._waiting
        self._waiting.setdefault(key, []).append(reply)
        return is_first

    def done(self, key: tuple[object, ...], response: Response | None) -> None:
        """Answer everybody who has asked for this."""
        self._answers[key] = response
        if len(self._answers) > self._MOST:
            self._answers.popitem(last=False)
        for reply in self._waiting.pop(key, []):
            reply(response)


def _value(item: Setting) -> int | str | Missing:
    """Return the value as the agent has it; of another type than the column's: as no value."""
    table = BY_ENTRY.get(item.name[:ENTRY_ARCS])
    columns = {} if table is None else {at: field for field, at in table.columns.items()}
    field = columns.get(item.name[ENTRY_ARCS] if len(item.name) > ENTRY_ARCS else 0)
    if table is None or field is None or item.type is not type_of(table.syntax[field]):
        return Missing.NULL
    if isinstance(item.value, bytes):
        return item.value.decode(errors="replace")
    return item.value if isinstance(item.value, int) else Missing.NULL


def _response(wanted: tuple[Setting, ...], status: ErrorStatus, index: int) -> Response:
    binds = (
        Absent(item.name, Missing.NULL)
        if item.type is None
        else Cell(item.name, item.type, item.value)
        for item in wanted
    )
    return Response([bind.octets() for bind in binds], status, index)
