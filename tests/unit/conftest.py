"""Unit tests start no Ray and wait for nothing."""

from __future__ import annotations

import time

import pytest


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make sleeping an error."""

    def refuse(_seconds: float) -> None:
        raise AssertionError("a unit test sleeps")

    monkeypatch.setattr(time, "sleep", refuse)
