"""Unit tests start no Ray and wait for nothing; commands are called in this process."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import pytest

from emulator import cli


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make sleeping an error."""

    def refuse(_seconds: float) -> None:
        raise AssertionError("a unit test sleeps")

    monkeypatch.setattr(time, "sleep", refuse)


@pytest.fixture
def qsagin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Call the command line in this process; return status, stdout, stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["qsagin", *words])
        monkeypatch.setenv("QSAGIN_SUPERVISED", "1")  # else `run` would be done by another process
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return call
