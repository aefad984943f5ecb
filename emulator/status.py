"""What can be said of a run by looking at its folder, while it goes on or afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from emulator import journal
from protos.core import GLOBAL_MANAGER, KEY_MANAGER_PREFIX, FactKind


def status_of(folder: Path) -> dict[str, Any]:
    """Return how far the run has come.  Raises `JournalError` if the folder holds no run."""
    entities = journal.entities(folder)
    managers = [entity for entity in entities if entity.startswith(KEY_MANAGER_PREFIX)]
    summary = folder / "summary.json"
    ended = summary.exists()
    return {
        "ok": True,
        "ended": ended,
        "complete": json.loads(summary.read_text(encoding="utf-8"))["complete"] if ended else False,
        "entities": len(entities),
        "key_managers": len(managers),
        "window": max(_number(folder, entity, "max(window)", "1") for entity in entities),
        "periods_begun": _number(folder, GLOBAL_MANAGER, "count(*)", _kind(FactKind.PERIOD)),
        "late_units": sum(
            _number(folder, e, "sum(units)", _kind(FactKind.SHORT)) for e in managers
        ),
        "recourse_cost": _number(
            folder, GLOBAL_MANAGER, "sum(cost)", _kind(FactKind.BOUGHT, FactKind.FAILED)
        ),
    }


def _kind(*kinds: FactKind) -> str:
    names = ", ".join(f"'{kind}'" for kind in kinds)
    return f"kind IN ({names})"


def _number(folder: Path, entity: str, what: str, where: str) -> int:
    query = f"SELECT coalesce({what}, 0) FROM fact WHERE {where}"  # noqa: S608
    return int(str(next(iter(journal.rows(folder, entity, query)))[0]))
