"""Signals to any process of a run at any moment: it ends, leaves nothing, and comes to the same end.

`python benchmarks/strikes.py [STRIKES [SEED]]` runs `tiny` once for each strike.  At a random moment, while
the run starts, works or ends, a process is drawn, first by its kind (the command, its child, each of Ray's,
each of the actors'), and gets a signal.  Half of the runs have a parent that adopts orphans, as IDEs,
containers and user managers do.

What must hold each time: all of the run's processes have ended within a minute, of which its own pace takes
up to nine seconds, its temporary folders too, at the latest when the run is resumed; nobody has printed a
traceback; and the run's digest, resumed if it was lost, is that of an undisturbed run, unless resuming it
was refused in a line.  A stopped command is left out: that is how terminals suspend one.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from bars import Row, at_most, none, tell, words

_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, signal.SIGINT, signal.SIGHUP)
_PR_SET_CHILD_SUBREAPER = 36
_COMMAND, _CHILD = "command", "child"
_LIMIT_S, _WANTED_S = 180.0, 60.0
_LOOK_EVERY_S = 0.25
_TRACEBACK = "Traceback"


class Family:
    """All processes that a command has started, also those that have left it since."""

    def __init__(self, root: psutil.Popen) -> None:
        self._root, self._seen = root, dict[int, psutil.Process]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def alive(self) -> list[psutil.Process]:
        """Return those that are still there."""
        return [item for item in list(self._seen.values()) if _is_alive(item)]

    def by_kind(self) -> dict[str, list[psutil.Process]]:
        """Return those that are there by their kind."""
        kinds: dict[str, list[psutil.Process]] = {}
        there_are = [self._root] if self._root.poll() is None else []
        for item in [*there_are, *self.alive()]:
            with suppress(psutil.Error):
                kinds.setdefault(_kind(item, self._root.pid), []).append(item)
        return kinds

    def close(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_EVERY_S):
            known = {self._root.pid} | {item.pid for item in self.alive()}
            for item in psutil.process_iter(["ppid"]):  # parents are older, and come first
                if item.info["ppid"] in known:
                    known.add(item.pid)
                    self._seen[item.pid] = item


@dataclass
class Strike:
    """One run that is struck once, and what became of it."""

    chance: random.Random
    folder: Path
    latest_s: float
    said: str = ""
    is_made: bool = False
    ended_s: float = 0.0
    faults: list[str] = field(default_factory=list)

    def go(self, digest: str) -> None:
        """Run, strike, wait, and resume what was lost."""
        _adopt_orphans(self.chance.random() < 0.5)
        temporary = self.folder / "t"
        temporary.mkdir()
        hosts, pace = self.chance.choice("12"), self.chance.choice(["30", "60"])
        out, err = self._struck("run", "tiny", "--hosts", hosts, "--pace", pace, "--out", self._run)
        if _TRACEBACK in err:
            self.faults.append("traceback of a run")
        if not self._summary.get("complete"):
            out = self._resumed()
        self._judge(out, digest)
        if left := list(temporary.iterdir()):
            self.faults.append(f"left {', '.join(item.name for item in left)}")

    def _judge(self, out: str, digest: str) -> None:
        """Hold what was answered, and what the folder says, against an undisturbed run."""
        try:
            summaries = [self._summary, json.loads(out)] if out else [self._summary]
        except ValueError:
            self.faults.append("more or less than one answer")
            return
        is_other = any(item.get("digest") != digest for item in summaries)
        if self._summary.get("complete") and is_other:
            self.faults.append("other digest")

    @property
    def _run(self) -> str:
        return str(self.folder / "run")

    def _struck(self, *command: str) -> tuple[str, str]:
        with self._started(*command) as run:
            family = Family(run)
            time.sleep(self.chance.uniform(0, self.latest_s))
            began_s = time.monotonic()
            self._strike(family)
            out, err = self._end(run, family, began_s)
            family.close()
        self.said += f", exit {run.returncode}"
        return out, err

    def _started(self, *words: str) -> psutil.Popen:
        environment = os.environ | {"TMPDIR": str(self.folder / "t")}
        return psutil.Popen(
            [sys.executable, "-m", "emulator", *words, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )

    def _strike(self, family: Family) -> None:
        kinds = family.by_kind()
        if not kinds:
            self.said = "none, it had ended"
            return
        kind = self.chance.choice(sorted(kinds))
        process = self.chance.choice(kinds[kind])
        there_are = [item for item in _SIGNALS if kind != _COMMAND or item != signal.SIGSTOP]
        number = self.chance.choice(there_are)
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
            self.is_made = True
        self.said = f"{number.name} to {kind}"

    def _end(self, run: psutil.Popen, family: Family, began_s: float) -> tuple[str, str]:
        """Wait for the end of all of them; what is too late is a fault, and killed."""
        try:
            out, err = run.communicate(timeout=_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.faults.append("hung")
            run.kill()
            out, err = "", ""
        while (left := family.alive()) and time.monotonic() - began_s < _LIMIT_S:
            time.sleep(_LOOK_EVERY_S)
        if left:
            self.faults.append(f"left {len(left)} processes")
        for item in left:
            with suppress(psutil.Error):
                item.kill()
        self.ended_s = time.monotonic() - began_s
        return out, err

    @property
    def _summary(self) -> dict[str, Any]:
        """What the run's folder says; nothing if it says nothing."""
        with suppress(OSError, ValueError):
            summary: dict[str, Any] = json.loads(Path(self._run, "summary.json").read_text())
            return summary
        return {}

    def _resumed(self) -> str:
        """Return the summary of the resumed run; nothing if there is none, or it was refused."""
        with self._started("run", "--resume", self._run) as again:
            try:
                out, err = again.communicate(timeout=_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.faults.append("hung when it was resumed")
                again.kill()
                return ""
        if again.returncode == 0:
            self.said += ", resumed"
            return str(out)
        lines = err.strip().splitlines() or [""]
        self.said += f", not resumed ({lines[-1]})"
        if again.returncode != 2 or _TRACEBACK in err:
            self.faults.append(f"exit {again.returncode} of a resumed run: {lines[-1]}")
        return ""


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _kind(process: psutil.Process, root: int) -> str:
    if process.pid == root:
        return _COMMAND
    if "emulator" in (command := process.cmdline()):
        return _CHILD
    name = process.name()
    if name.startswith("ray::"):
        return name
    scripts = [
        Path(word).name for word in command if word.endswith((".py", "gcs_server", "raylet"))
    ]
    return scripts[0] if scripts else name


def _adopt_orphans(wish: bool) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(wish), 0, 0, 0)


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _quiet() -> tuple[str, float]:
    """Return the digest of an undisturbed run, and how long it takes."""
    with tempfile.TemporaryDirectory() as folder:
        began_s = time.monotonic()
        command = [sys.executable, "-m", "emulator", "run", "tiny", "--hosts", "1", "--pace", "30"]
        done = subprocess.run(
            [*command, "--json", "--out", f"{folder}/run"], capture_output=True, check=True
        )
        return str(json.loads(done.stdout)["digest"]), time.monotonic() - began_s


def rows(strikes: str = "200", seed: str = "1") -> Iterator[Row]:
    """Strike, and tell."""
    digest, lasts_s = _quiet()
    faults: Counter[str] = Counter()
    slowest_s, late = 0.0, 0
    chance, made = random.Random(seed), 0
    while made < int(strikes):
        with tempfile.TemporaryDirectory(prefix="s", ignore_cleanup_errors=True) as folder:
            strike = Strike(chance, Path(folder), lasts_s)
            strike.go(digest)
        _reap()
        made += strike.is_made
        faults.update(strike.faults)
        slowest_s, late = max(slowest_s, strike.ended_s), late + (strike.ended_s > _WANTED_S)
        told = f"{made}: {strike.said}: {strike.ended_s:.0f}s, load {os.getloadavg()[0]:.0f}"
        print(told, *strike.faults, sep="; ", file=sys.stderr, flush=True)
    of = f"{strikes} strikes, seed {seed}"
    yield none("faults after strikes on any process", faults.total(), "", f"{of} {dict(faults)}")
    yield at_most("end after a strike, slowest", slowest_s, "s", _WANTED_S, f"{of}, {late} later")


if __name__ == "__main__":
    tell(rows(*words()))
