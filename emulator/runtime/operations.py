"""What operators set at agents, as requests that come from outside in the window of their time.

A request is a function of the schedule: its source is the operator, its request-id its place among all of
them.  So it needs no mail and no journal of its own; whoever knows the schedule has it.  The answer goes to
the operator, who is no entity.  Nothing here knows what a value does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import inf

from emulator.world.events import NOTHING, OperatorSet, Schedule
from protos.core import Message, steps_until
from protos.pdu import Pdu, VarBind, Verb
from protos.settings import named


@dataclass(frozen=True)
class Operations:
    """All requests of operators in a schedule; after `last_window` there are none."""

    schedule: Schedule = NOTHING
    window_s: float = 1.0
    last_window: float = inf

    def due(self, entity: str, window: int) -> list[Message]:
        """Return the requests to an entity in a window, in the order of the schedule."""
        return self._by_window.get((entity, window), [])

    def after(self, entities: Iterable[str], window: int) -> int | None:
        """Return the next window in which one of these has a request."""
        if not self._by_window:
            return None
        known = set(entities)
        return min((at for to, at in self._by_window if to in known and at > window), default=None)

    @property
    def are_none(self) -> bool:
        """Whether there are no requests."""
        return not self._by_window

    @cached_property
    def _by_window(self) -> dict[tuple[str, int], list[Message]]:
        found: dict[tuple[str, int], list[Message]] = defaultdict(list)
        for number, item in enumerate(self.schedule.of(OperatorSet), 1):
            window = steps_until(item.start_s, self.window_s)
            binds = tuple(VarBind(named(name), value) for name, value in item.values)
            message = Message(item.operator, item.entity, number, Pdu(Verb.SET, number, binds))
            if window <= self.last_window:
                found[item.entity, window].append(message)
        return dict(found)
