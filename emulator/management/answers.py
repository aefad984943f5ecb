"""Requests of operators, and what they are answered.

A walk is answered from one window: whoever asks for what follows a name that he was told goes on in the
window in which he was told it, for a while.  Everybody else sees the latest window.  An entity that is out
does not answer.  One that is busy is shown as it was last.  Nothing can be changed from here; see `sets`.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, chain

from emulator.management.objects import About, Absent, Cell, Column, Names, columns_of
from emulator.runtime.glances import Glance
from protos.mib import BY_ENTRY, ENTRY_ARCS, AccessRole
from protos.pdu import Arcs, ErrorStatus, Missing, Verb

Bind = Cell | Absent
Look = Callable[[str], "Glance | None"]
"""Returns what a context shows; None if it is out.  Raises `TimeoutError`."""
_FRESH_S = 0.1
_WALK_S = 60.0
_MOST_WALKS = 256
_MOST_NAMES = 500
_OCTETS_BESIDE = 128  # of a scoped PDU: engine-id, context, the numbers of a PDU, tags and lengths


@dataclass(frozen=True)
class Request:
    """A request to a context; `most_octets` is what the answer may take."""

    user: str
    role: AccessRole
    context: str
    verb: Verb
    names: tuple[Arcs, ...]
    non_repeaters: int = 0
    max_repetitions: int = 0
    most_octets: int = 1_400


@dataclass(frozen=True)
class Response:
    """What a request is answered: variables as octets; `error_index` is that of a name, from 1."""

    binds: Sequence[bytes]
    error_status: ErrorStatus = ErrorStatus.NO_ERROR
    error_index: int = 0


class _View:
    """All that a role may see of a context after one window, in the order of names."""

    def __init__(self, columns: list[Column]) -> None:
        self._columns = columns
        self._ends = list(accumulate(len(column.names) for column in columns))
        self.names = list(chain.from_iterable(column.names for column in columns))

    @cached_property
    def octets(self) -> list[bytes]:
        """All instances as variables with their values."""
        return list(chain.from_iterable(column.octets() for column in self._columns))

    def get(self, name: Arcs) -> Bind:
        """Return an instance, or what is said instead."""
        at = bisect_left(self.names, name)
        if at < len(self.names) and self.names[at] == name:
            return self._at(at)
        is_column = name[:ENTRY_ARCS] in BY_ENTRY
        return Absent(name, Missing.NO_SUCH_INSTANCE if is_column else Missing.NO_SUCH_OBJECT)

    def next(self, name: Arcs) -> Bind:
        """Return the first instance after a name."""
        at = bisect_right(self.names, name)
        return self._at(at) if at < len(self.names) else Absent(name, Missing.END_OF_MIB_VIEW)

    def _at(self, at: int) -> Cell:
        number = bisect_right(self._ends, at)
        column = self._columns[number]
        return column.cell(at - self._ends[number] + len(column.names))


@dataclass
class _Snapshot:
    """A context after one window, as each role may see it."""

    context: str
    glance: Glance
    about: About
    taken_s: float
    names: Names
    views: dict[AccessRole, _View] = field(default_factory=dict)

    def seen_by(self, role: AccessRole) -> _View:
        if role not in self.views:
            columns = columns_of(self.context, self.glance, role, self.about, self.names)
            self.views[role] = _View(columns)
        return self.views[role]


class Answers:
    """See the module.  `contexts` are all there are; `about` returns what the engine says of itself."""

    def __init__(
        self,
        look: Look,
        contexts: frozenset[str],
        about: Callable[[], About],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look, self._about, self._now_s = look, about, now_s
        self.contexts = contexts
        self._names = Names()
        self._latest: dict[str, _Snapshot] = {}
        self._walks: OrderedDict[tuple[str, str, Arcs], _Snapshot] = OrderedDict()
        self.refused: Counter[str] = Counter()

    def answer(self, request: Request) -> Response | None:
        """Return the answer; None: there is none, as if nobody were there."""
        if len(request.names) > _MOST_NAMES:
            return Response((), ErrorStatus.TOO_BIG)
        snapshot = self._snapshot(request)
        if snapshot is None:
            self.refused["out"] += 1
            return None
        view = snapshot.seen_by(request.role)
        if request.verb is Verb.GET:
            return Response([view.get(name).octets() for name in request.names])
        if request.verb is Verb.GET_NEXT:
            binds = [view.next(name) for name in request.names]
            self._remember(request, snapshot, [bind.name for bind in binds])
            return Response([bind.octets() for bind in binds])
        octets, last = _bulk(view, request)
        self._remember(request, snapshot, last)
        return Response(octets)

    def _snapshot(self, request: Request) -> _Snapshot | None:
        """Return the window in which a walk goes on, or the latest."""
        now_s = self._now_s()
        repeated = request.names[request.non_repeaters :] or request.names
        if request.verb is not Verb.GET and repeated:
            walk = self._walks.get((request.user, request.context, repeated[0]))
            if walk is not None and now_s - walk.taken_s < _WALK_S:
                return walk
        latest = self._latest.get(request.context)
        if latest is not None and now_s - latest.taken_s < _FRESH_S:
            return latest
        try:
            glance = self._look(request.context)
        except TimeoutError:
            return latest
        if glance is None:
            return None
        made = _Snapshot(request.context, glance, self._about(), now_s, self._names)
        self._latest[request.context] = made
        return made

    def _remember(self, request: Request, snapshot: _Snapshot, told: Iterable[Arcs]) -> None:
        """Note the names after which a walk will go on."""
        for name in told:
            key = (request.user, request.context, name)
            self._walks[key] = snapshot
            self._walks.move_to_end(key)
        while len(self._walks) > _MOST_WALKS:
            self._walks.popitem(last=False)


def _bulk(view: _View, request: Request) -> tuple[list[bytes], list[Arcs]]:
    """RFC 3416, section 4.2.3; return the answer, and the names of its last repetition."""
    found = [view.next(name).octets() for name in request.names[: request.non_repeaters]]
    asked = request.names[request.non_repeaters :]
    starts = [bisect_right(view.names, name) for name in asked]
    size = len(view.names)
    most = min(request.max_repetitions, (_MOST_NAMES - len(found)) // max(1, len(asked)))
    most = min(
        most, size - min(starts, default=size) + 1
    )  # at the end, that it is one is told once
    columns = []
    for name, start in zip(asked, starts, strict=True):
        end = Absent(view.names[-1] if start < size else name, Missing.END_OF_MIB_VIEW).octets()
        shown = view.octets[start : start + most]
        columns.append(shown + [end] * (most - len(shown)))
    room = request.most_octets - _OCTETS_BESIDE - sum(map(len, found))
    sizes = map(sum, zip(*(map(len, column) for column in columns), strict=True))
    most = min(most, max(1, bisect_right(list(accumulate(sizes)), room)))
    found += chain.from_iterable(zip(*(column[:most] for column in columns), strict=True))
    ends = [
        view.names[min(start + most, size) - 1] if start < size else name
        for name, start in zip(asked, starts, strict=True)
    ]
    return found, ends if most > 0 else []
