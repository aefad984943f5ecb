"""What a run came to, as its report shows it.  Nothing here draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emulator.build.assembly import Assembly
from emulator.build.setup import Setup
from emulator.results.decisions import Decision
from emulator.results.ledger import Ledger


@dataclass(frozen=True)
class Results:
    """Everything that the page shows; `expected` is what the plan in force expected to pay, by period."""

    setup: Setup
    assembly: Assembly
    summary: dict[str, Any]
    ledger: Ledger
    decisions: Sequence[Decision]
    expected: list[float]
    classes: list[dict[str, Any]]
