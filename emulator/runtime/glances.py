"""What an entity shows of itself between two windows, and whoever in this process waits to see it.

To look changes nothing: no message is sent, nothing is noted, and no window is run for it.  An entity that
is out shows nothing.  Nothing here knows who looks, or what a row means.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from protos.core import Message, Totals
from protos.mib import Row


@dataclass(frozen=True, slots=True)
class Glance:
    """All rows of an entity by their type, and its running totals, after a window.

    `told` holds its last answers to operators, with the windows in which it gave them.
    """

    window: int
    now_s: float
    rows: Mapping[type[Row], tuple[Row, ...]]
    totals: Totals
    told: tuple[tuple[int, Message], ...] = ()


class Glances:
    """Looks that other threads have asked for; the one that steps cores calls `serve` between windows.

    `stirred` is set whenever somebody asks.
    """

    def __init__(self, look: Callable[[str], Glance | None], stirred: threading.Event) -> None:
        self._look, self._stirred = look, stirred
        self._waiting: SimpleQueue[tuple[str, Future[Glance | None]]] = SimpleQueue()

    def ask(self, entity: str, within_s: float) -> Glance | None:
        """Return what an entity shows; None if it is out.  Raises `TimeoutError`."""
        answer: Future[Glance | None] = Future()
        self._waiting.put((entity, answer))
        self._stirred.set()
        return answer.result(within_s)

    def serve(self) -> None:
        """Let everybody look who has asked."""
        while not self._waiting.empty():
            try:
                entity, answer = self._waiting.get_nowait()
            except Empty:
                return
            answer.set_result(self._look(entity))
