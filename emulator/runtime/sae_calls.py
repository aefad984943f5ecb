"""Calls of SAEs that wait for the next window of a host, and the answers to calls of its last windows.

A call gets its number when it comes, and its window when that is run; what is committed with the window is
what the core was told.  A key manager that is out is not called: whoever asks it is told so at once, and
nothing is noted.  Nothing here knows what a call means to a core, or how it came.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from protos.access import Answer, AnswersSent, AnswersUnsure, Asked, Call, Outcome
from protos.core import Answering, Step

CallsByEntity = Mapping[str, list[Asked]]


@dataclass(frozen=True)
class _Waiting:
    entity: str
    number: int
    call: Call


class SaeCalls:
    """See the module.  `core_of` returns a core by its entity."""

    def __init__(self, core_of: Callable[[str], object], window_s: float) -> None:
        self._core_of, self._window_s = core_of, window_s
        self._waiting: deque[_Waiting] = deque()
        self._withdrawn: set[tuple[str, int]] = set()
        self._last: dict[str, int] = {}
        self._sent: dict[str, set[int]] = defaultdict(set)
        self._unsure: dict[str, set[int]] = defaultdict(set)
        self._doubtful: set[str] = set()
        self._answers: list[tuple[str, Answer]] = []

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
        """Have a call answered in the next window; return its number.  Raises `KeyError`."""
        number = max(self._last.get(entity, 0), self.core_of(entity).last_call) + 1
        self._last[entity] = number
        self._waiting.append(_Waiting(entity, number, call))
        return number

    def withdraw(self, entity: str, number: int) -> None:
        """Forget a call if it still waits; if not, its answer does not leave."""
        if any((item.entity, item.number) == (entity, number) for item in self._waiting):
            self._withdrawn.add((entity, number))
        else:
            self._unsure[entity].add(number)

    def sent(self, entity: str, number: int) -> None:
        """Take note that the answer to a call has left."""
        self._sent[entity].add(number)

    def doubt(self, entity: str) -> None:
        """Take note that answers may have been lost with the process that was to send them."""
        self._doubtful.add(entity)

    def take(self, window: int, is_away: Callable[[str], bool]) -> CallsByEntity:
        """Return all that waits, as calls of a window; who is away answers at once."""
        found: dict[str, list[Asked]] = defaultdict(list)
        at_s = window * self._window_s
        for entity in self._noted(is_away):
            for call in self._notes(entity):
                number = max(self._last.get(entity, 0), self.core_of(entity).last_call) + 1
                self._last[entity] = number
                found[entity].append(Asked(number, at_s, call))
        while self._waiting:
            item = self._waiting.popleft()
            if (item.entity, item.number) in self._withdrawn:
                self._withdrawn.discard((item.entity, item.number))
            elif is_away(item.entity):
                self._answers.append((item.entity, Answer(item.number, Outcome.AWAY)))
            else:
                found[item.entity].append(Asked(item.number, at_s, item.call))
        for calls in found.values():
            calls.sort(key=lambda item: item.number)
        return found

    def keep(self, steps: Mapping[str, Step]) -> None:
        """Keep the answers of a window until they are fetched."""
        for entity, step in steps.items():
            self._answers += [(entity, answer) for answer in step.answers]

    def answers(self) -> list[tuple[str, Answer]]:
        """Return the answers since the last call, with who gives them."""
        found, self._answers = self._answers, []
        return found

    def _noted(self, is_away: Callable[[str], bool]) -> Iterable[str]:
        """Return whose answers there is news of; that of who is away waits."""
        known = dict.fromkeys((*self._sent, *self._unsure, *sorted(self._doubtful)))
        return [entity for entity in known if not is_away(entity)]

    def _notes(self, entity: str) -> list[Call]:
        sent, unsure = self._sent.pop(entity, ()), self._unsure.pop(entity, ())
        notes: list[Call] = [AnswersUnsure()] if entity in self._doubtful else []
        self._doubtful.discard(entity)
        notes += [AnswersSent(tuple(sorted(sent)))] if sent else []
        return notes + ([AnswersUnsure(tuple(sorted(unsure)))] if unsure else [])
