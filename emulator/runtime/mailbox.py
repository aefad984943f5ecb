"""The messages for one core: each is read once, in an order that does not depend on the transport.

A repeat of a message that was read in the last `_REMEMBERED_WINDOWS` windows is dropped.
"""

from __future__ import annotations

from collections import defaultdict, deque

from protos.core import EntityOrder, Message

_REMEMBERED_WINDOWS = 64
_Place = tuple[str, int]


class Mailbox:
    """Messages by the window in which they are to be read."""

    def __init__(self, order: EntityOrder) -> None:
        self._order = order
        self._waiting: dict[int, dict[_Place, Message]] = defaultdict(dict)
        self._read: set[_Place] = set()
        self._recent: deque[tuple[int, list[_Place]]] = deque()

    def put(self, window: int, message: Message) -> bool:
        """Keep a message until `window`; return whether it is new."""
        place = (message.source, message.sequence)
        is_new = place not in self._waiting[window] and place not in self._read
        self._waiting[window][place] = message
        return is_new

    @property
    def next_window(self) -> int | None:
        """The first window in which there is something to read."""
        return min(self._waiting, default=None)

    def read(self, window: int) -> list[Message]:
        """Return what is to be read in a window, without repeats: by source, then sequence."""
        arrived = self._waiting.pop(window, {})
        new = (place for place in arrived if place not in self._read)
        places = sorted(new, key=lambda place: (self._order.key(place[0]), place[1]))
        self._remember(window, places)
        return [arrived[place] for place in places]

    def _remember(self, window: int, places: list[_Place]) -> None:
        self._read.update(places)
        self._recent.append((window, places))
        while self._recent[0][0] <= window - _REMEMBERED_WINDOWS:
            self._read.difference_update(self._recent.popleft()[1])
