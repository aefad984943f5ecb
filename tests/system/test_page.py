"""The live page in a real browser, beside a real run."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from monitoring import tool
from playwright.sync_api import Page, expect, sync_playwright

pytestmark = [pytest.mark.cluster, pytest.mark.system]
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
LIMIT_MS = 60_000


@pytest.fixture
def browser_page() -> Iterator[Page]:
    """A page of Chromium in which every error of a script fails the test."""
    errors: list[str] = []
    with sync_playwright() as playwright:
        options = {"executable_path": tool("chromium"), "args": list(QUIET)}
        browser = playwright.chromium.launch(**options)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        browser.close()
    assert errors == []


@contextmanager
def _running(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command of qsagin that has said where its page is."""
    command = [sys.executable, "-m", "emulator", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        url = next(line for line in process.stderr or [] if line.startswith("page: ")).split()[1]
        yield process, url


def _number(page: Page, words: str) -> int:
    cell = page.locator("#totals div").filter(has_text=re.compile(f"^{words}"))
    return int(cell.locator("dd").inner_text().replace(",", ""))


def test_a_live_run_is_seen_while_it_goes_on_and_to_its_end(
    browser_page: Page, tmp_path: Path
) -> None:
    page, folder = browser_page, str(tmp_path / "run")
    with _running(
        "run", "tiny", "--out", folder, "--hosts", "1", "--pace", "20", "--page", "--json"
    ) as (
        run,
        url,
    ):
        page.goto(url)
        expect(page.locator("#network g")).to_have_count(3)
        expect(page.locator("#state")).to_have_text("live", timeout=LIMIT_MS)
        expect(page.locator("#requests tbody tr")).to_have_count(3, timeout=LIMIT_MS)
        expect(page.locator("#progress-words")).to_contain_text("period 2 of 12", timeout=LIMIT_MS)
        early = _number(page, "cost")
        expect(page.locator("#progress-words")).to_contain_text("period 5 of 12", timeout=LIMIT_MS)
        assert 0 < early < _number(page, "cost")
        _filter_by_keyboard(page)
        _look_around_by_keyboard(page)
        expect(page.locator("#state")).to_have_text("the run has ended", timeout=LIMIT_MS)
        summary: dict[str, Any] = json.loads(run.communicate(timeout=60)[0])
    assert run.returncode == 0
    assert _number(page, "cost") == summary["cost"]["total"]
    assert _number(page, "units asked for") == summary["demanded_units"]
    assert _number(page, "late") == summary["late_units"]
    assert _number(page, "never came") == summary["shortfall_units"]


def _filter_by_keyboard(page: Page) -> None:
    """Filter and sort the table with keys alone."""
    rows = page.locator("#requests tbody tr")
    page.locator("#filter").focus()
    page.keyboard.type("twin")
    expect(rows).to_have_count(1)
    expect(rows.locator("th")).to_have_text("r2")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.press("Delete")
    expect(rows).to_have_count(3)
    first = page.locator("#requests thead th").first
    expect(first).to_have_attribute("aria-sort", "ascending")
    for _ in range(3):  # the choice, the table, its first heading
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(first).to_have_attribute("aria-sort", "descending")
    expect(rows.first.locator("th")).to_have_text("r3")


def _look_around_by_keyboard(page: Page) -> None:
    page.locator("#network").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#detail")).to_contain_text("Node A")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#detail")).to_contain_text(re.compile(r"Links to .*bit/s"))


def test_a_fault_from_the_page_strikes_the_live_run(browser_page: Page, tmp_path: Path) -> None:
    page, folder = browser_page, str(tmp_path / "run")
    words = ("run", "tiny", "--out", folder, "--hosts", "1", "--pace", "10", "--page", "--json")
    with _running(*words) as (run, url):
        page.goto(url)
        expect(page.locator("#progress-words")).to_contain_text("period 1 of 12", timeout=LIMIT_MS)
        form = page.locator("#fault form")
        form.get_by_label("fault", exact=True).select_option("fiber-cut")
        form.get_by_label("link", exact=True).select_option("B-C")
        form.get_by_label("for s", exact=True).fill("60")
        form.get_by_role("button", name="Inject").click()
        expect(form.locator("output")).to_contain_text("in force from window", timeout=LIMIT_MS)
        events = page.locator("#events")
        expect(events).to_contain_text("fiber-cut B-C begins", timeout=LIMIT_MS)
        expect(events).to_contain_text("fiber B-C is down", timeout=LIMIT_MS)
        expect(page.locator("#network line.down")).to_have_count(1)
        run.send_signal(signal.SIGINT)
        summary = json.loads(run.communicate(timeout=60)[0])
    assert [fault["kind"] for fault in summary["faults"]] == ["fiber-cut"]


def test_the_page_changes_nothing_of_a_run(browser_page: Page, tmp_path: Path) -> None:
    digests = []
    for name in ("alone", "watched"):
        watched = ["--page"] if name == "watched" else []
        words = ["run", "tiny", "--out", str(tmp_path / name), "--hosts", "1", "--json", *watched]
        command = [sys.executable, "-m", "emulator", *words]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as run:
            lines = iter(run.stderr or [])
            if watched:
                browser_page.goto(
                    next(line for line in lines if line.startswith("page: ")).split()[1]
                )
            digests.append(json.loads(run.communicate(timeout=120)[0])["digest"])
    assert digests[0] == digests[1]
