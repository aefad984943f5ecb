"""What scraping costs a run: two runs, each scraped in turns, the one when the other is left alone.

`python benchmarks/scraping.py [PAIRS]` runs `paper`, long enough for so many pairs of turns of 25 periods,
with two hosts at --pace max, twice.  One is scraped every second in even turns, the other in odd ones.
Of two turns in a row, the four times that they took say what scraping adds: how much there is to do in
a turn is the same in both runs, and how fast a run goes on the whole is the same in both turns, so that
neither counts.  When periods begin is seen in the journal of the global manager, which is read 200
times a second whether anybody scrapes or not.
"""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path

import yaml
from bars import Row, interval, surely_at_most, tell, words

from emulator.build.environment import timeline_of
from emulator.build.loading import fields_of, read
from emulator.store.journal import FOLDER
from emulator.store.reading import connect_to_read
from emulator.store.registry import FILE, Registry
from emulator.telemetry.exporter import METRICS
from protos.core import GLOBAL_MANAGER, Timeline

_TURN_PERIODS = 25
_PAIRS = 18
_SCRAPE_EVERY_S = 1.0
_LOOK_EVERY_S = 0.005
_MOST_LOST = 2.0  # per cent


def rows(pairs: int = _PAIRS) -> Iterator[Row]:
    """Measure so many pairs of turns."""
    with tempfile.TemporaryDirectory() as place:
        experiment = _long(Path(place), 2 * pairs)
        even, odd = (turns_s(experiment, Path(place, f"run-{first}"), first) for first in (0, 1))
    added = [
        100 * (math.exp(half / 2) - 1)
        for half in map(_log_of_scraped_over_alone, _in_pairs(even), _in_pairs(odd))
    ]
    lost = [100 * share / (100 + share) for share in added]
    note = f"{len(lost)} pairs of turns of {_TURN_PERIODS} periods, {sum(even + odd):.0f} s"
    yield surely_at_most("window rate lost to scraping", interval(lost), "%", _MOST_LOST, note)


def _in_pairs(turns_s: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip(turns_s[::2], turns_s[1::2], strict=True))


def _log_of_scraped_over_alone(even: tuple[float, float], odd: tuple[float, float]) -> float:
    """Return twice what scraping adds to the logarithm of the time a turn takes."""
    return math.log(even[0] / odd[0]) + math.log(odd[1] / even[1])


def _long(folder: Path, turns: int) -> Path:
    """Write `paper` with as many periods as these turns have, and one to see the last turn end."""
    _, fields = fields_of("paper")
    fields["demand"]["periods"] = _TURN_PERIODS * turns + 1
    path = folder / "long.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return path


def turns_s(experiment: Path, out: Path, first: int) -> list[float]:
    """Run, scrape in every other turn from the first on, and return how long each turn took."""
    timeline = timeline_of(read(str(experiment)))
    command = [sys.executable, "-m", "emulator", "run", str(experiment), "--out", str(out)]
    scraping, ended = threading.Event(), threading.Event()
    scraper = threading.Thread(target=_scrape, args=(out, scraping, ended))
    with subprocess.Popen(
        [*command, "--hosts", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as run:
        scraper.start()
        began_s = []
        for turn, at_s in _turns(run, out, timeline):
            began_s.append(at_s)
            (scraping.set if turn % 2 == first else scraping.clear)()
        ended.set()
        scraper.join()
    if run.returncode:
        sys.exit(f"the run ended with exit status {run.returncode}")
    return [end - begin for begin, end in pairwise(began_s)]


def _turns(
    run: subprocess.Popen[bytes], out: Path, timeline: Timeline
) -> Iterator[tuple[int, float]]:
    """Yield each turn as it begins, with the time, and the end of the last one."""
    journal = out / FOLDER / f"{GLOBAL_MANAGER}.sqlite"
    turn, turns = 0, timeline.periods // _TURN_PERIODS
    while not journal.exists() and run.poll() is None:
        time.sleep(_LOOK_EVERY_S)
    with closing(connect_to_read(journal)) as connection:
        while turn <= turns and run.poll() is None:
            begins_s = timeline.begins_s(turn * _TURN_PERIODS)
            with suppress(sqlite3.OperationalError):  # not written yet
                (last,) = connection.execute("SELECT max(window) FROM mail").fetchone()
                if last is not None and last >= begins_s:  # windows are of 1 s
                    yield turn, time.monotonic()
                    turn += 1
            time.sleep(_LOOK_EVERY_S)


def _scrape(out: Path, scraping: threading.Event, ended: threading.Event) -> None:
    while not ended.wait(_SCRAPE_EVERY_S):
        if scraping.is_set() and (out / FILE).exists() and (found := Registry(out).find(METRICS)):
            with suppress(OSError), urllib.request.urlopen(found.address) as answer:  # noqa: S310
                answer.read()


if __name__ == "__main__":
    tell(rows(*map(int, words())))
