"""The process that a user starts and that stays: a child does the work, and all that it leaves is ended.

A run is many processes, most of them Ray's.  The supervisor outlives them: whatever is orphaned becomes
its child (PR_SET_CHILD_SUBREAPER), and when the work has ended, in whatever way, it kills what is still
there and removes the temporary folder, and those that dead runs of this user have left.  The child tells
by heartbeats that it is alive; one that falls silent for longer than its phase allows is killed, and so
is whatever of the family stays stopped, Ray's processes too.  While Ray starts here, a family that has lost
a worker which had not registered, or of which nobody is at work, waits for somebody who will not come, and
is not left to wait the first time.  A run that was
lost (killed, aborted, silent) is resumed a bounded number of times.  The first signal is passed
on, for the child to end in order; the second one ends everything at once.  If the supervisor itself is
lost, the child hears of it (PR_SET_PDEATHSIG) and ends in order.

It loads nothing but the standard library.  What the work is it does not know.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Self

from emulator.commands.family import (
    IdleWatch,
    NewbornWatch,
    VitalWatch,
    adopt_orphans,
    descendants,
    end_family,
    reap,
)
from emulator.input_checks import BadInputError
from emulator.net.heartbeat import (
    ANSWERED,
    DONE,
    FILES,
    HEARTBEAT,
    JOINING,
    LEAVING,
    LOST,
    RUNNING,
    STARTING,
    TEMPORARY,
)
from emulator.net.stopped import StoppedWatch

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SILENCE_S = {
    STARTING: 60.0,
    JOINING: 60.0,
    RUNNING: 30.0,
    LEAVING: 30.0,
    FILES: 330.0,
    ANSWERED: 30.0,
    DONE: 30.0,
}
MOST_RESUMPTIONS = 3
_PREFIX = "qsagin-"
_ALIVE = "alive"
_LONGEST_TEMPORARY = 32  # a socket's path, of which Ray makes 70, may have 107 bytes
_HERE = ("127.0.0.1", "localhost", "::1")
_LEAST_FREE_BYTES = 16 * 2**20
_PR_SET_PDEATHSIG = 1
_TURN_S = 0.05
_VITAL = ("gcs_server", "raylet")
_NEWBORN = "default_worker.py"  # a worker of Ray until it has registered
_LOOK_EVERY_S = 1.0
_IDLE_LOOKS, _IDLE_ALLOWED = 12, 3
_AS_ONE_S = 0.2
_SUPERVISED = "QSAGIN_SUPERVISED"

Resumption = Callable[[], list[str] | None]


def is_supervised() -> bool:
    """Return whether this process is the child of a supervisor."""
    return os.environ.get(_SUPERVISED) == "1"


def supervise(words: Sequence[str], resumption: Resumption = lambda: None) -> int:
    """Have a command done in a child; return its exit status, 128 and the number of a signal that ended it.

    `resumption` gives the command that continues it, or None if nothing can.
    """
    adopt_orphans()
    with _Signals() as signals, _Folder() as folder:
        has_answered = False
        for attempt in range(MOST_RESUMPTIONS + 1):
            child = _Child(words, folder, is_patient=attempt > 0, has_answered=has_answered)
            problem = child.attend(signals)
            has_answered = child.has_answered
            end_family()
            if not problem or signals.received:
                if not signals.is_impatient:
                    return child.status
                _tell("ended at once, since a signal came twice")
                return 128 + signals.received[-1]
            again = resumption() if attempt < MOST_RESUMPTIONS else None
            _tell(f"the command was lost: {problem}")
            if again is None:
                return 1
            how = (
                "resuming the run" if "--resume" in again else "nothing was done yet; starting over"
            )
            _tell(f"{how}, {attempt + 1} of {MOST_RESUMPTIONS} times at most")
            words = again
    return 1


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


class _Signals:
    """Signals as they come, while this lasts.

    What comes again at once is the same wish: `timeout` and terminals signal a process and its group.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        self._last_s = -_AS_ONE_S

    @property
    def is_impatient(self) -> bool:
        """Whether somebody has asked twice."""
        return len(self.received) > 1

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s >= _AS_ONE_S:
            self.received.append(number)
        self._last_s = now_s


class _Folder:
    """A temporary folder for the command, that nobody else can enter; it goes when this ends."""

    def __enter__(self) -> Self:
        usual = tempfile.gettempdir()
        base = usual if len(usual.encode()) <= _LONGEST_TEMPORARY else "/tmp"  # noqa: S108 - 0700 below
        _sweep(Path(base))
        if shutil.disk_usage(base).free < _LEAST_FREE_BYTES:
            raise BadInputError(f"{base}: no space for temporary files; free some, or set TMPDIR")
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        self.alive = os.open(self.path / _ALIVE, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self.alive, fcntl.LOCK_SH)
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self.alive)
        shutil.rmtree(self.path, ignore_errors=True)


def _sweep(base: Path) -> None:
    """Remove what runs of this user that are dead have left; the lock of a live one is held."""
    for path in base.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if path.is_symlink() or path.stat().st_uid != os.getuid():
                continue
            with (path / _ALIVE).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)


@dataclass
class _Child:
    """The process that does the work; one that is started again may wait, as for a slow name server.

    What one before it has answered is not printed again.
    """

    words: Sequence[str]
    folder: _Folder
    is_patient: bool = False
    has_answered: bool = False
    status: int = 0
    _phase: bytes = STARTING
    _heard_s: float = field(default_factory=time.monotonic)
    _stopped: StoppedWatch = field(default_factory=StoppedWatch)
    _vital: VitalWatch = field(default_factory=lambda: VitalWatch(*_VITAL))
    _idle: IdleWatch = field(default_factory=lambda: IdleWatch(_IDLE_LOOKS, _IDLE_ALLOWED))
    _newborn: NewbornWatch = field(default_factory=lambda: NewbornWatch(_NEWBORN))
    _looked_s: float = 0.0
    _passed_on: int = 0

    def attend(self, signals: _Signals) -> str:
        """Wait for its end; return what went wrong if it was lost, or nothing."""
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        passed = (theirs, self.folder.alive)
        own = {_SUPERVISED: "1", HEARTBEAT: str(theirs), TEMPORARY: str(self.folder.path)}
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", "emulator", *self.words],
            env=_environment() | own,
            stdout=subprocess.DEVNULL if self.has_answered else None,
            pass_fds=passed,
            start_new_session=True,
            preexec_fn=_begin,  # noqa: PLW1509 - there are no threads here
        )
        os.close(theirs)
        try:
            while process.poll() is None:
                self._listen(ours)
                self._pass_on(process, signals)
                if problem := self._problem():
                    process.kill()
                    process.wait()
                    return problem
                reap(process.pid)
                time.sleep(_TURN_S)
            self._listen(ours)
        finally:
            os.close(ours)
        self.status = process.returncode
        if self.status == LOST:
            return "its processes are gone"
        if self.status >= 0:
            return "" if self._phase == DONE else "it has ended without a word"
        name = signal.Signals(-self.status).name
        self.status = 128 - self.status
        return f"ended by {name}"

    def _pass_on(self, process: subprocess.Popen[bytes], signals: _Signals) -> None:
        if signals.is_impatient:
            process.kill()
        elif self._passed_on < len(signals.received):
            process.send_signal(signals.received[0])
            self._passed_on = len(signals.received)

    def _problem(self) -> str:
        """Return why the work is lost though its process is there, or nothing."""
        now_s = time.monotonic()
        if (silent_s := now_s - self._heard_s) > SILENCE_S[self._phase]:
            return f"nothing was heard of it for {silent_s:.0f} s"
        if now_s - self._looked_s < _LOOK_EVERY_S:
            return ""
        self._looked_s = now_s
        family = list(descendants(os.getpid()))
        self._stopped.look(family)
        if self._phase == LEAVING:
            self._vital.forget()
            return ""
        if gone := self._vital.look(family):
            return f"{gone} of Ray is gone"
        return self._missed(family)

    def _missed(self, family: Sequence[int]) -> str:
        """Return why nobody who is waited for while Ray starts here will come, or nothing."""
        if self._phase != STARTING or self.is_patient:
            self._idle.forget()
            self._newborn.forget()
            return ""
        if self._newborn.look(family):
            return "a worker of Ray has died before it registered"
        return "nobody was at work while it started" if self._idle.look(family) else ""

    def _listen(self, pipe: int) -> None:
        with suppress(BlockingIOError):
            beats = os.read(pipe, 4096)
            if LEAVING in beats:
                self._vital.forget()
            self.has_answered |= ANSWERED in beats
            if beats:
                self._idle.forget()
                self._phase, self._heard_s = beats[-1:], time.monotonic()


def _environment() -> dict[str, str]:
    """Return our environment without what keeps Ray from starting, and with no proxy on the way to here."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONOPTIMIZE"}
    for name in ("no_proxy", "NO_PROXY"):
        kept[name] = ",".join(filter(None, (kept.get(name), *_HERE)))
    return kept


def _begin() -> None:
    """End with the parent; hold signals back until the program is there, which says what they do."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
