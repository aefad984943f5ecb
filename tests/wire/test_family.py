"""Processes that stay stopped, or that others cannot do without, are taken for lost; slow ones are not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import until

from emulator.commands.family import IdleWatch, NewbornWatch, VitalWatch, descendants
from emulator.net.stopped import StoppedWatch, state_of

BUSY = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
SLEEPER = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]


@contextmanager
def _sleeper(words: Sequence[str] = SLEEPER) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    until(lambda: state_of(pid) == "T")


def test_who_stays_stopped_is_killed_and_others_are_left_alone() -> None:
    watch = StoppedWatch(limit_s=0.2)
    with _sleeper() as stopped, _sleeper() as running:
        _stop(stopped.pid)
        pids = [stopped.pid, running.pid, 2**22 - 1]
        assert watch.look(pids) == []
        time.sleep(0.3)
        assert watch.look(pids) == [stopped.pid]
        assert stopped.wait() == -signal.SIGKILL
        assert running.poll() is None


def test_who_is_let_go_on_between_two_looks_is_slow_and_not_lost() -> None:
    watch = StoppedWatch(limit_s=0.2)
    with _sleeper() as process:
        for _ in range(5):
            _stop(process.pid)
            assert watch.look([process.pid]) == []
            os.kill(process.pid, signal.SIGCONT)
            until(lambda: state_of(process.pid) != "T")
            time.sleep(0.1)
        assert process.poll() is None


def test_a_stop_is_counted_from_when_it_was_first_seen() -> None:
    watch = StoppedWatch(limit_s=30.0)
    with _sleeper() as process:
        _stop(process.pid)
        assert [watch.look([process.pid]) for _ in range(3)] == [[], [], []]


def test_all_below_a_process_are_found() -> None:
    words = f"{sys.executable} -c 'import time; print(flush=True); time.sleep(600)' & wait"
    with subprocess.Popen(["bash", "-c", words], stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        found = list(descendants(os.getpid()))
        below = list(descendants(shell.pid))
        for pid in (*below, shell.pid):
            os.kill(pid, signal.SIGKILL)
    assert len(below) == 1
    assert {shell.pid, *below} <= set(found)


def _named(name: str, folder: Path) -> subprocess.Popen[bytes]:
    path = folder / name
    path.symlink_to("/bin/sleep")
    return subprocess.Popen([path, "600"])


def test_who_is_vital_is_missed_once_seen_and_gone_at_two_looks(tmp_path: Path) -> None:
    watch = VitalWatch("heart")
    assert [watch.look([]) for _ in range(3)] == ["", "", ""]
    with _named("heart", tmp_path) as heart, _named("hand", tmp_path) as hand:
        pids = [heart.pid, hand.pid]
        until(lambda: _names(pids) == {"heart", "hand"})
        assert watch.look(pids) == ""
        for process in (hand, heart):
            process.kill()
            process.wait()
    assert [watch.look(pids), watch.look(pids)] == ["", "heart"]


def test_who_is_vital_is_missed_though_only_seen_dead(tmp_path: Path) -> None:
    watch = VitalWatch("heart")
    with _named("heart", tmp_path) as heart:
        until(lambda: _names([heart.pid]) == {"heart"})
        heart.kill()
        os.waitid(os.P_PID, heart.pid, os.WEXITED | os.WNOWAIT)
        assert [watch.look([heart.pid]), watch.look([heart.pid])] == ["", "heart"]
        watch.forget()
        assert [watch.look([heart.pid]) for _ in range(3)] == ["", "", ""]


_DEAF = """
import socket, sys, time
from pathlib import Path
Path("/proc/self/comm").write_text("heart")
server = socket.create_server(("127.0.0.1", 0))
print(flush=True)
sys.stdin.readline()
server.close()
print(flush=True)
time.sleep(600)
"""


def test_who_is_vital_is_missed_once_it_takes_no_connections_any_more() -> None:
    watch = VitalWatch("heart")
    words = [sys.executable, "-c", _DEAF]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as heart:
        assert heart.stdin is not None
        assert heart.stdout is not None
        heart.stdout.readline()
        assert [watch.look([heart.pid]) for _ in range(3)] == ["", "", ""]
        heart.stdin.write(b"\n")
        heart.stdin.flush()
        heart.stdout.readline()
        assert [watch.look([heart.pid]), watch.look([heart.pid])] == ["", "heart"]
        heart.kill()


def test_nobody_is_missed_who_has_said_to_end(tmp_path: Path) -> None:
    watch = VitalWatch("heart")
    with _named("heart", tmp_path) as heart:
        until(lambda: _names([heart.pid]) == {"heart"})
        assert watch.look([heart.pid]) == ""
        heart.kill()
    assert watch.look([heart.pid]) == ""
    watch.forget()
    assert [watch.look([heart.pid]) for _ in range(3)] == ["", "", ""]


def test_who_dies_before_it_has_another_name_is_missed() -> None:
    watch = NewbornWatch("newborn.py")
    with _sleeper([*SLEEPER, "newborn.py"]) as newborn, _sleeper() as grown:
        pids = [newborn.pid, grown.pid]
        assert [watch.look(pids) for _ in range(2)] == [False, False]
        grown.kill()
        grown.wait()
        assert not watch.look(pids)
        newborn.kill()
        os.waitid(os.P_PID, newborn.pid, os.WEXITED | os.WNOWAIT)
        assert [watch.look(pids), watch.look(pids)] == [True, False]


def test_a_family_is_idle_once_nobody_was_at_work_at_many_looks() -> None:
    watch = IdleWatch(looks=4, allowed=1)
    with _sleeper() as sleeper, _sleeper(BUSY) as busy:
        assert [watch.look([sleeper.pid, busy.pid]) for _ in range(6)] == [False] * 6
        assert [watch.look([sleeper.pid]) for _ in range(4)] == [False, False, True, True]
        watch.forget()
        assert [watch.look([sleeper.pid]) for _ in range(4)] == [False, False, False, True]


def _names(pids: list[int]) -> set[str]:
    return {Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids}


_TOLD = ">&$QSAGIN_HEARTBEAT"
_SERVER = "$QSAGIN_TEMPORARY/gcs_server"
_VITAL = f"ln -s /bin/sleep {_SERVER}; printf r {_TOLD}; {_SERVER} 60 & disown; sleep 3"
_JOINING = f"printf j {_TOLD}; sleep 14; printf d {_TOLD}"
_WAIT = f"sleep 4; printf d {_TOLD}"


@pytest.mark.parametrize(
    ("script", "status", "told"),
    [
        ("exit 1", 1, "it has ended without a word"),
        ("exit 0", 1, "it has ended without a word"),
        ("kill -KILL $$", 1, "ended by SIGKILL"),
        ("printf s >&$QSAGIN_HEARTBEAT; exit 3", 1, "it has ended without a word"),
        ("printf d >&$QSAGIN_HEARTBEAT; exit 3", 3, ""),
        ("printf d >&$QSAGIN_HEARTBEAT; exit 0", 0, ""),
        ("printf d >&$QSAGIN_HEARTBEAT; exit 75", 1, "its processes are gone"),
        (f"{_VITAL}; kill -KILL $!; {_WAIT}; sleep 9", 1, "gcs_server of Ray is gone"),
        (f"printf s {_TOLD}; sleep 60", 1, "nobody was at work while it started"),
        (_JOINING, 0, ""),
        (f"{_VITAL}; printf l {_TOLD}; kill -KILL $!; printf f {_TOLD}; {_WAIT}", 0, ""),
    ],
)
def test_work_that_ends_without_saying_so_is_lost(
    tmp_path: Path, script: str, status: int, told: str
) -> None:
    ended = _supervised(tmp_path, script, "sys.exit(supervise(['run']))")
    assert ended.returncode == status
    assert ended.stderr == (f"the command was lost: {told}\n" if told else "")


def test_work_that_is_started_again_may_wait(tmp_path: Path) -> None:
    """A start in which nobody is at work may only be slow, as with a name server that does not answer."""
    hasty = "supervisor._IDLE_LOOKS, supervisor._IDLE_ALLOWED = 3, 0\n"
    begins = "sys.exit(supervise(['run'], lambda: ['run']))"
    ended = _supervised(tmp_path, f"printf s {_TOLD}; sleep 6; printf d {_TOLD}", hasty + begins)
    assert ended.returncode == 0
    assert ended.stderr.splitlines() == [
        "the command was lost: nobody was at work while it started",
        "nothing was done yet; starting over, 1 of 3 times at most",
    ]


def _supervised(folder: Path, script: str, begins: str) -> subprocess.CompletedProcess[str]:
    program = folder / "work"
    program.write_text(f"#!/bin/bash\n{script}\n")
    program.chmod(0o700)
    words = (
        f"import sys; sys.executable = {str(program)!r}\n"
        "from emulator.commands import supervisor\n"
        "from emulator.commands.supervisor import supervise\n"
    )
    return subprocess.run(
        [sys.executable, "-c", words + begins], capture_output=True, text=True, check=False
    )
