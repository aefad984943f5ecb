"""Cores that are built from roles, and can learn between two windows of an event to come.

From then on they are as if they had known it from the start: what they were told is replaced, and what they
have become stays.  Their state can be written down and taken up; what they were told is in it by name only.
Nothing here knows journals or transport.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from operator import attrgetter
from typing import Any, TypeVar

from emulator.build.roles import Role
from emulator.runtime.message_faults import NO_FAULTS, MessageFaults
from emulator.runtime.stepped_cores import SteppedCores
from emulator.world.events import EventAware, WorldEvent
from protos.core import EntityOrder, Sleeper
from protos.pdu import Pdu

T = TypeVar("T", bound=EventAware)


class RoleCores(SteppedCores):
    """See the module."""

    def __init__(
        self,
        roles: Sequence[Role],
        window_s: float,
        order: EntityOrder,
        message_faults: MessageFaults = NO_FAULTS,
    ) -> None:
        self._roles = tuple(sorted(roles, key=lambda role: order.key(role.entity)))
        self._told = _told(self._roles)
        self._news: list[WorldEvent] = []
        cores = {role.entity: role.build() for role in self._roles}
        super().__init__(cores, window_s, order, message_faults)

    def told(self, world: T) -> T:
        """Return something that was told what the experiment says, told all that was heard since."""
        for event in self._news:
            world = world.with_event(event)
        return world

    def learn(self, event: WorldEvent, last_window: int = 0) -> None:
        """Learn of an event after the last window that was run, here or elsewhere."""
        state = self._state()
        self._news.append(event)
        self._roles = _roles_told(self._roles, event)
        self._told = _told(self._roles)
        self._message_faults = self._message_faults.with_event(event)
        self._take_up(state)
        if self.last_window is not None:
            self._wake_all(max(self.last_window, last_window))

    def _wake_all(self, last_window: int) -> None:
        """Have all cores look at the schedule again: who waited for an event of it may be due sooner."""
        for entity, hosted in self._here.items():
            if isinstance(hosted.core, Sleeper):
                worked = last_window
                while worked > 0 and self._message_faults.is_out(entity, worked):
                    worked -= 1
                hosted.core.slept_until(worked * self._window_s)
            wake = hosted.wake_window
            hosted.wake_window = last_window + 1 if wake is None else min(wake, last_window + 1)

    def _state(self) -> bytes:
        buffer = io.BytesIO()
        pickler = _Pickler(buffer, self._told)
        pickler.dump((self._here, self._sent, self._post, self.last_window))
        return buffer.getvalue()

    def _take_up(self, state: bytes) -> None:
        unpickler = _Unpickler(io.BytesIO(state), self._told)
        self._here, self._sent, self._post, self.last_window = unpickler.load()


def _roles_told(roles: Sequence[Role], event: WorldEvent) -> tuple[Role, ...]:
    """Return roles whose worlds have that event too; those that shared a world share it still."""
    known: dict[int, EventAware] = {}

    def told(value: EventAware) -> EventAware:
        return known.setdefault(id(value), value.with_event(event))

    return tuple(
        replace(
            role, **{name: told(v) for name, v in vars(role).items() if isinstance(v, EventAware)}
        )  # type: ignore[type-var]
        for role in roles
    )


def _told(roles: Iterable[Role]) -> dict[str, object]:
    """Name what roles were told (worlds, configurations): a checkpoint refers to it by name."""
    return {
        f"{role.entity}.{name}": value
        for role in roles
        for name, value in vars(role).items()
        if is_dataclass(value)
    }


class _Pickler(pickle.Pickler):
    """Writes what roles were told by its name, and frequent values by their fields."""

    def __init__(self, buffer: io.BytesIO, told: Mapping[str, object]) -> None:
        super().__init__(buffer, protocol=pickle.HIGHEST_PROTOCOL)
        names = {id(value): name for name, value in told.items()}

        def by_name(item: object) -> Any:  # does not know the pickler, which so ends with its use
            name = names.get(id(item))
            if name is None:
                return item.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
            return _recall, (name,)

        kinds = {type(value) for value in told.values()}
        self.dispatch_table = {
            **copyreg.dispatch_table,
            **dict.fromkeys(kinds, by_name),
            **_BY_FIELDS,
        }


class _Unpickler(pickle.Unpickler):  # the seal tells that we wrote it
    def __init__(self, buffer: io.BytesIO, told: Mapping[str, object]) -> None:
        super().__init__(buffer)
        self._told = told

    def find_class(self, module: str, name: str) -> Any:
        is_recall = (module, name) == (_recall.__module__, _recall.__name__)
        return self._told.__getitem__ if is_recall else super().find_class(module, name)


def _recall(name: str) -> object:
    """Stand, in a checkpoint, for what roles were told."""
    raise KeyError(name)


def _by_fields(kind: type[Any]) -> Callable[[Any], Any]:
    """Return how a frozen value is written; what `dataclasses` does for slots is ten times as slow."""
    values = attrgetter(*(item.name for item in fields(kind)))
    return lambda item: (kind, values(item))


_BY_FIELDS: dict[type, Callable[[Any], Any]] = {Pdu: _by_fields(Pdu)}
