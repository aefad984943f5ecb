"""The processes below this one: which there are, which of them the others cannot do without, and their end.

Whatever is orphaned below this process becomes its child, once it has asked for that.  It loads nothing but
the standard library.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from emulator.net.stopped import status_of

_PR_SET_CHILD_SUBREAPER = 36
_LAST_S = 5.0
_TURN_S = 0.05
_AT_WORK = ("R", "D")
_STATE, _INODE, _LISTENS = 3, 9, "0A"  # columns of /proc/net/tcp


def adopt_orphans() -> None:
    """Become the parent of whatever is orphaned below this process, for as long as it lives."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap(but: int) -> None:
    """Take note of orphans that have ended; one child is waited for elsewhere."""
    for pid in _children(os.getpid()):
        if pid != but:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def end_family() -> None:
    """Kill all that is left, and what it leaves in its turn."""
    ends_s = time.monotonic() + _LAST_S
    while (left := list(_children(os.getpid()))) and time.monotonic() < ends_s:
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(_TURN_S)


class VitalWatch:
    """Notices that a process without which the others cannot go on was there, and is gone.

    Some who depend on it would wait for it in native code, deaf to everything, for a minute and more.  One
    that has been told to end may stay for good; it is gone once it takes no connections any more.
    """

    def __init__(self, *names: str) -> None:
        self._names, self._there, self._missed = frozenset(names), set[str](), set[str]()
        self._listened: set[int] = set()
        self._counts_dead = True

    def look(self, pids: Iterable[int]) -> str:
        """Return who was gone at this look and the one before, or nothing.

        Two looks, since who is about to end them all says so first, and is heard of between two looks.
        One that was never seen alive, but lies there dead, has been there too.
        """
        seen = [(pid, status_of(pid)) for pid in pids]
        vital = [(pid, status) for pid, status in seen if status.get("Name") in self._names]
        now = {status["Name"] for pid, status in vital if _is_alive(status) and self._serves(pid)}
        gone = self._missed - now
        if self._counts_dead:
            self._there |= {status["Name"] for _, status in vital}
        self._there |= now
        self._missed = self._there - now
        return ", ".join(sorted(gone))

    def forget(self) -> None:
        """Expect nobody, until seen again alive."""
        self._there.clear()
        self._missed.clear()
        self._counts_dead = False

    def _serves(self, pid: int) -> bool:
        """Return whether a process takes connections, or has never been seen to."""
        if _is_listening(pid):
            self._listened.add(pid)
            return True
        return pid not in self._listened


class NewbornWatch:
    """Notices that a process has died that went by the name of those who are only starting.

    Whoever waits for it to come forward is not told of its death.
    """

    def __init__(self, name: str) -> None:
        self._name, self._newborn = name.encode(), set[int]()

    def look(self, pids: Iterable[int]) -> bool:
        """Return whether one that was starting at the look before is gone."""
        alive = {pid for pid in pids if _is_alive(status_of(pid))}
        gone = self._newborn - alive
        self._newborn = {pid for pid in alive if self._has_name(pid)}
        return bool(gone)

    def forget(self) -> None:
        """Expect nobody."""
        self._newborn.clear()

    def _has_name(self, pid: int) -> bool:
        """Return whether a word of the command line ends so; others have it within their options."""
        return any(word.endswith(self._name) for word in _words_of(pid))


class IdleWatch:
    """Notices that nobody has been at work for a while, as when all wait for one who will not come.

    Each look tells whether anybody runs, wants to run or waits for a disk, so that a busy machine is not
    taken for an idle family; daemons, which wake up now and then, are allowed some of the looks.
    """

    def __init__(self, looks: int, allowed: int) -> None:
        self._allowed, self._seen = allowed, deque[bool](maxlen=looks)

    def look(self, pids: Iterable[int]) -> bool:
        """Return whether nobody was at work at this look and all before it, but for those allowed."""
        self._seen.append(any(map(_is_at_work, pids)))
        return len(self._seen) == self._seen.maxlen and sum(self._seen) <= self._allowed

    def forget(self) -> None:
        """Begin again."""
        self._seen.clear()


def descendants(pid: int) -> Iterator[int]:
    """Yield all processes below one, parents before children."""
    for child in _children(pid):
        yield child
        yield from descendants(child)


def _children(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                yield from map(int, (task / "children").read_text(encoding="ascii").split())


def _words_of(pid: int) -> list[bytes]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return []


def _is_at_work(pid: int) -> bool:
    """Return whether any thread of a process runs, could run, or waits for a disk."""
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                state = (task / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
                if state in _AT_WORK:
                    return True
    return False


def _is_listening(pid: int) -> bool:
    """Return whether a process has a TCP socket that takes connections."""
    sockets, listening = set[str](), set[str]()
    with suppress(OSError):
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                sockets.add(str(handle.readlink()))
        for family in ("tcp", "tcp6"):
            table = Path(f"/proc/{pid}/net/{family}").read_text(encoding="ascii")
            rows = (line.split() for line in table.splitlines()[1:])
            listening |= {f"socket:[{row[_INODE]}]" for row in rows if row[_STATE] == _LISTENS}
    return not sockets.isdisjoint(listening)


def _is_alive(status: dict[str, str]) -> bool:
    """Return whether a process runs; one that is dead stays until somebody notices that."""
    return not status.get("State", "Z").startswith("Z")
