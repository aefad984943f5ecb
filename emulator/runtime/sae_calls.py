"""Calls of SAEs that wait for the next window of a host, and the answers to calls of its last windows.

A call gets its number and its window when that is run; what is committed with the window is what the core
was told.  News of earlier answers come before new calls, so whoever asks again, since an answer was lost,
is answered as if it had never left.  A key manager that is out is not called: whoever asks it is told so at
once, and nothing is noted.  Nothing here knows what a call means to a core, or how it came.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from protos import access
from protos.access import Answer, AnswersSent, AnswersUnsure, Asked, Call, Outcome
from protos.core import Answering, Step

CallsByEntity = Mapping[str, list[Asked]]


@dataclass(frozen=True)
class _Waiting:
    ticket: int
    entity: str
    call: Call


@dataclass(frozen=True)
class Answered:
    """An answer, who gives it, and to which call that waited."""

    ticket: int
    entity: str
    answer: Answer


class SaeCalls:
    """See the module.  `core_of` returns a core by its entity."""

    def __init__(self, core_of: Callable[[str], object], window_s: float) -> None:
        self._core_of, self._window_s = core_of, window_s
        self._waiting: deque[_Waiting] = deque()
        self._tickets = 0
        self._withdrawn: set[int] = set()
        self._running: dict[tuple[str, int], int] = {}
        self._sent: dict[str, set[int]] = defaultdict(set)
        self._unsure: dict[str, set[int]] = defaultdict(set)
        self._doubtful: set[str] = set()
        self._answers: list[Answered] = []

    @property
    def are_waiting(self) -> bool:
        """Whether a window is wanted."""
        return bool(self._waiting or self._sent or self._unsure or self._doubtful)

    def core_of(self, entity: str) -> Answering:
        """Return a core that can be called.  Raises `KeyError` for any other."""
        core = self._core_of(entity)
        if not isinstance(core, Answering):
            raise KeyError(entity)
        return core

    def add(self, entity: str, call: Call) -> int:
        """Have a call answered in the next window; return its ticket.  Raises `KeyError`."""
        self.core_of(entity)
        self._tickets += 1
        self._waiting.append(_Waiting(self._tickets, entity, call))
        return self._tickets

    def withdraw(self, ticket: int) -> None:
        """Forget a call, if it still waits."""
        if any(item.ticket == ticket for item in self._waiting):
            self._withdrawn.add(ticket)

    def sent(self, entity: str, number: int) -> None:
        """Take note that the answer to a call has left."""
        self._sent[entity].add(number)

    def unsure(self, entity: str, number: int) -> None:
        """Take note that the answer to a call may have been lost."""
        self._unsure[entity].add(number)

    def doubt(self, entity: str) -> None:
        """Take note that answers may have been lost with the process that was to send them."""
        self._doubtful.add(entity)

    def take(self, window: int, is_away: Callable[[str], bool]) -> CallsByEntity:
        """Return all that waits, as calls of a window; who is away answers at once."""
        calls: dict[str, list[tuple[int, Call]]] = defaultdict(list)
        for entity in dict.fromkeys((*sorted(self._doubtful), *self._sent, *self._unsure)):
            if not is_away(entity):
                calls[entity] += [(0, note) for note in self._notes(entity)]
        while self._waiting:
            item = self._waiting.popleft()
            if item.ticket in self._withdrawn:
                self._withdrawn.discard(item.ticket)
            elif is_away(item.entity):
                answer = Answer(0, Outcome.AWAY)
                self._answers.append(Answered(item.ticket, item.entity, answer))
            else:
                calls[item.entity].append((item.ticket, item.call))
        return {entity: self._numbered(entity, window, made) for entity, made in calls.items()}

    def keep(self, steps: Mapping[str, Step]) -> None:
        """Keep the answers of a window until they are fetched."""
        for entity, step in steps.items():
            for answer in step.answers:
                ticket = self._running.pop((entity, answer.number), None)
                if ticket is not None:  # else somebody asked in a former run
                    self._answers.append(Answered(ticket, entity, answer))

    def answers(self) -> list[Answered]:
        """Return the answers since the last call."""
        found, self._answers = self._answers, []
        return found

    def _numbered(self, entity: str, window: int, made: list[tuple[int, Call]]) -> list[Asked]:
        last, at_s = self.core_of(entity).last_call, window * self._window_s
        for number, (ticket, _) in enumerate(made, last + 1):
            if ticket:
                self._running[entity, number] = ticket
        return [Asked(number, at_s, call) for number, (_, call) in enumerate(made, last + 1)]

    def _notes(self, entity: str) -> list[Call]:
        sent, unsure = self._sent.pop(entity, set()), self._unsure.pop(entity, set())
        notes: list[Call] = [AnswersUnsure()] if entity in self._doubtful else []
        self._doubtful.discard(entity)
        notes += [AnswersSent(tuple(sorted(sent)))] if sent else []
        return notes + ([AnswersUnsure(tuple(sorted(unsure)))] if unsure else [])


def rows_of(asked: CallsByEntity) -> list[tuple[str, int, str]]:
    """Return calls as a journal keeps them."""
    return [
        (entity, item.number, access.written(item.call))
        for entity, calls in asked.items()
        for item in calls
    ]


def calls_of(rows: Iterable[tuple[str, int, str]], at_s: float) -> dict[str, list[Asked]]:
    """Return the calls of a window that `rows_of` made."""
    found: dict[str, list[Asked]] = {}
    for entity, number, call in rows:
        found.setdefault(entity, []).append(Asked(number, at_s, access.read_back(call)))
    return found
