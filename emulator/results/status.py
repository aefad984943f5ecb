"""The state of a run, as its folder shows it during the run or afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emulator.results import journal_queries
from emulator.store import journals
from emulator.store.files import is_live, read_summary
from protos.core import KEY_MANAGER_PREFIX, key_manager_of

_KEY_COUNTS = ("stored_key_count", "max_key_count", "unconfirmed_key_count")


def status_of(folder: Path) -> dict[str, Any]:
    """Return the progress of the run.

    Raises `JournalError` if the folder holds no run, `FormatError` if its summary is damaged.
    """
    entities = journals.entities(folder)
    managers = [entity for entity in entities if entity.startswith(KEY_MANAGER_PREFIX)]
    summary, stores = read_summary(folder), stores_of(folder)
    return {
        "ok": True,
        "ended": summary is not None,
        "complete": summary is not None and summary["complete"],
        "live": is_live(folder),
        "entities": len(entities),
        "key_managers": len(managers),
        "window": max(journal_queries.last_window(folder, entity) for entity in entities),
        "periods_begun": journal_queries.periods_begun(folder),
        "late_units": sum(journal_queries.late_units(folder, entity) for entity in managers),
        "expired_units": sum(journal_queries.expired_units(folder, name) for name in managers),
        "recourse_cost": journal_queries.recourse_cost(folder),
        **{name: sum(store[name] for store in stores) for name in _KEY_COUNTS},
    }


def stores_of(folder: Path) -> list[dict[str, Any]]:
    """Return every key store, in the terms of ETSI GS QKD 014: key counts, and `key_size` in bits.

    A target has no key for its application before the source names it: its keys are all unconfirmed.
    """
    return [
        {
            "source_KME_ID": entity,
            "target_KME_ID": key_manager_of(peer),
            "request": request,
            "medium": medium,
            "end": end,
            "key_size": key_bits,
            "stored_key_count": available,
            "max_key_count": capacity,
            "unconfirmed_key_count": held - available,
        }
        for entity, request, medium, peer, end, key_bits, capacity, available, held, _ in (
            journals.key_stores(folder)
        )
    ]
