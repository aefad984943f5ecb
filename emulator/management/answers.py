"""Requests of operators, and what they are answered.

A walk is answered from one window: whoever asks for what follows a name that he was told goes on in the
window in which he was told it, for a while.  Everybody else sees the latest window.  An entity that is out
does not answer.  One that is busy is shown as it was last.  Nothing can be changed from here; see `sets`.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice, repeat

from emulator.management.objects import About, Cell, cells_of
from emulator.runtime.glances import Glance
from protos.mib import BY_ENTRY, ENTRY_ARCS, AccessRole
from protos.pdu import Arcs, ErrorStatus, Missing, Verb

Look = Callable[[str], "Glance | None"]
"""Returns what a context shows; None if it is out.  Raises `TimeoutError`."""
_FRESH_S = 0.1
_WALK_S = 60.0
_MOST_WALKS = 256
_MOST_NAMES = 500
_OCTETS_OF_A_BIND = 16  # beside name and value: tags, lengths, and a number


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
class Absent:
    """What is said of a name instead of a value."""

    name: Arcs
    why: Missing


Bind = Cell | Absent


@dataclass(frozen=True)
class Response:
    """What a request is answered; `error_index` is that of a name, from 1."""

    binds: tuple[Bind, ...]
    error_status: ErrorStatus = ErrorStatus.NO_ERROR
    error_index: int = 0


@dataclass
class _Snapshot:
    """A context after one window, as each role may see it."""

    context: str
    glance: Glance
    about: About
    taken_s: float
    cells: dict[AccessRole, tuple[list[Arcs], list[Cell]]] = field(default_factory=dict)

    def seen_by(self, role: AccessRole) -> tuple[list[Arcs], list[Cell]]:
        if role not in self.cells:
            cells = cells_of(self.context, self.glance, role, self.about)
            self.cells[role] = [cell.name for cell in cells], cells
        return self.cells[role]


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
        names, cells = snapshot.seen_by(request.role)
        if request.verb is Verb.GET:
            return Response(tuple(_get(names, cells, name) for name in request.names))
        if request.verb is Verb.GET_NEXT:
            binds: tuple[Bind, ...] = tuple(_next(names, cells, name) for name in request.names)
            last = binds
        else:
            binds, last = _bulk(names, cells, request)
        self._remember(request, snapshot, last)
        return Response(binds)

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
        made = _Snapshot(request.context, glance, self._about(), now_s)
        self._latest[request.context] = made
        return made

    def _remember(self, request: Request, snapshot: _Snapshot, last: tuple[Bind, ...]) -> None:
        for bind in last:
            key = (request.user, request.context, bind.name)
            self._walks[key] = snapshot
            self._walks.move_to_end(key)
        while len(self._walks) > _MOST_WALKS:
            self._walks.popitem(last=False)


def _get(names: list[Arcs], cells: list[Cell], name: Arcs) -> Bind:
    at = bisect_left(names, name)
    if at < len(names) and names[at] == name:
        return cells[at]
    is_column = name[:ENTRY_ARCS] in BY_ENTRY
    return Absent(name, Missing.NO_SUCH_INSTANCE if is_column else Missing.NO_SUCH_OBJECT)


def _next(names: list[Arcs], cells: list[Cell], name: Arcs) -> Bind:
    at = bisect_right(names, name)
    return cells[at] if at < len(names) else Absent(name, Missing.END_OF_MIB_VIEW)


def _bulk(
    names: list[Arcs], cells: list[Cell], request: Request
) -> tuple[tuple[Bind, ...], tuple[Bind, ...]]:
    """RFC 3416, section 4.2.3; return the answer, and its last repetition."""
    once = request.names[: request.non_repeaters]
    found: list[Bind] = [_next(names, cells, name) for name in once]
    room = request.most_octets - sum(map(_octets, found))
    last: tuple[Bind, ...] = ()
    for repetition in _repetitions(names, cells, request):
        room -= sum(map(_octets, repetition))
        if (room < 0 and last) or len(found) + len(repetition) > _MOST_NAMES:
            break
        found += repetition
        last = repetition
        if isinstance(last[0], Absent) and all(isinstance(bind, Absent) for bind in last):
            break
    return tuple(found), last


def _repetitions(
    names: list[Arcs], cells: list[Cell], request: Request
) -> Iterator[tuple[Bind, ...]]:
    """Yield what follows each name that is to be repeated, once more each time."""
    asked, most = request.names[request.non_repeaters :], min(request.max_repetitions, _MOST_NAMES)
    columns = []
    for name in asked:
        start = bisect_right(names, name)
        end = Absent(names[-1] if start < len(names) else name, Missing.END_OF_MIB_VIEW)
        columns.append(chain(cells[start : start + most], repeat(end)))
    return islice(zip(*columns, strict=False), most)


def _octets(bind: Bind) -> int:
    value = bind.value if isinstance(bind, Cell) else b""
    of_value = len(value) if isinstance(value, bytes) else 0
    return 2 * len(bind.name) + of_value + _OCTETS_OF_A_BIND
