"""The live page in Chromium beside a run: how often it is brought up to date, and how it feels then.

`python benchmarks/page.py [SECONDS]` runs `paper` with two hosts at --pace 100, so that something happens
in nearly every tenth of a second, opens the page in a browser without a window, and types into its
filter all the while.  A key counts from when it was struck until its effect has been painted,
as Event Timing of the W3C has it; the worst of all is told.  200 ms are what web.dev calls good for an
interaction.  Needs Debian's Chromium.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bars import Row, at_most, tell, words
from playwright.sync_api import CDPSession, Page, expect, sync_playwright

_PACE = "100"
_WARM_UP_S = 5.0
_GOOD_MS = 200
_LIMIT_MS = 60_000
_TYPED = "twin"
_QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
_WATCH = """
  window.seen = { updates: 0, worst_ms: 0, keys: 0 };
  window.EventSource = class extends EventSource {
    constructor(...words) {
      super(...words);
      this.addEventListener("message", () => { window.seen.updates += 1; });
    }
  };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.interactionId) {
        window.seen.keys += 1;
        window.seen.worst_ms = Math.max(window.seen.worst_ms, entry.duration);
      }
    }
  }).observe({ type: "event", durationThreshold: 16, buffered: true });
"""


def rows(seconds: float = 20.0) -> Iterator[Row]:
    """Watch for so long."""
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "run")
        run = ("run", "paper", "--out", out, "--hosts", "2", "--pace", _PACE, "--page")
        with subprocess.Popen(
            [sys.executable, "-m", "emulator", *run],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield from _watched(_url(process), seconds)
            finally:
                process.terminate()
                process.communicate()


def _url(process: subprocess.Popen[str]) -> str:
    for line in process.stderr or []:
        if found := re.match(r"page: (\S+)", line):
            return found[1]
    sys.exit("the run has no page")


def _watched(url: str, seconds: float) -> Iterator[Row]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(_QUIET)
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.add_init_script(_WATCH)
        page.goto(url)
        expect(page.locator("#state")).to_have_text("live", timeout=_LIMIT_MS)
        _type_for(page, _WARM_UP_S)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        before = _look(page, session)
        _type_for(page, seconds)
        after = _look(page, session)
        browser.close()
    lasted_s = after["Timestamp"] - before["Timestamp"]
    updates = after["updates"] - before["updates"]
    busy = 100 * (after["TaskDuration"] - before["TaskDuration"]) / lasted_s
    note = f"{lasted_s:.0f} s"
    keys = (
        f"at {updates / lasted_s:.1f} updates a second; {after['keys']} events took 16 ms or more"
    )
    yield at_most("slowest key on the page", after["worst_ms"], "ms", _GOOD_MS, keys)
    yield Row("main thread of the page busy", busy, "%", note=note)


def _type_for(page: Page, seconds: float) -> None:
    """Filter the table by a word, key by key, and take it back, again and again."""
    page.locator("#filter").focus()
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s:
        for key in (*_TYPED, *["Backspace"] * len(_TYPED)):
            page.keyboard.press(key)
            page.wait_for_timeout(200)


def _look(page: Page, session: CDPSession) -> dict[str, Any]:
    metrics = session.send("Performance.getMetrics")["metrics"]
    seen: dict[str, Any] = page.evaluate("window.seen")
    return {item["name"]: item["value"] for item in metrics} | seen


if __name__ == "__main__":
    tell(rows(*map(float, words())))
