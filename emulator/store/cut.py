"""The last window that all actors of a run have in common, although some may have lost what came after.

Each journal is a file of its own, and a power loss may put one back while others keep what followed.  An
actor lacks nothing before the first window, after its last, in which it was due: because it wanted to run,
because somebody had written to it in the window before, or because it was to hear of something then.
Before the earliest such window of all, nobody lacks anything.  Since replay is deterministic, a run that is
cut there and resumed is the run that was lost.  Nothing here knows files.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """How far one actor has come: its last window (-1: none), and when it wants to run next."""

    entities: frozenset[str]
    last: int = -1
    wake: int | None = 0


def last_common_window(
    actors: Sequence[Standing],
    first_written: Mapping[str, int],
    told: Iterable[int] = (),
) -> int:
    """Return the last window up to which nobody lacks anything; -1 if somebody lacks the first.

    `first_written` says by entity in which window from its actor's last on it was first written to, `told`
    in which windows everybody was to hear of something.
    """
    told = sorted(told)
    common = max((actor.last for actor in actors), default=-1)
    for actor in actors:
        due = [first_written[name] + 1 for name in actor.entities if name in first_written]
        due += [] if actor.wake is None else [actor.wake]
        due += told[bisect_left(told, actor.last + 1) :][:1]
        common = min([common, *(window - 1 for window in due)])
    return common
