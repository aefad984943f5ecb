"""Accounts of a run made fact by fact, as plainly as they can be: what accounts by columns are held to.

It reads journals with SQL of its own, and shares no code with `emulator.results`.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from controllers.key_store import key_name
from protos.syntax import MediumCode

COLUMNS = ("made", "delivered", "relayed", "expired", "destroyed", "stored")
BOOKED_AS = {
    "generated": 0, "created": 0, "delivered": 1, "relayed": 2, "expired": 3, "destroyed": 4, "stored": 5,
}  # fmt: skip
Row = dict[str, Any]


def facts(folder: Path, entity: str) -> Iterator[Row]:
    """Yield what an entity noted, in order."""
    for path in (folder / "journal").glob("*.sqlite"):
        with closing(sqlite3.connect(path)) as connection:
            connection.row_factory = sqlite3.Row
            query = (
                "SELECT fact.* FROM fact JOIN entities ON entity = number WHERE name = ? "
                "ORDER BY fact.rowid"
            )
            yield from map(dict, connection.execute(query, (entity,)))


def entities(folder: Path) -> list[str]:
    """Return who has a journal."""
    found = []
    for path in (folder / "journal").glob("*.sqlite"):
        with closing(sqlite3.connect(path)) as connection:
            found += [name for (name,) in connection.execute("SELECT name FROM entities")]
    return sorted(found)


def one_by_one(row: Row) -> Iterator[Row]:
    """Yield a row for each share of a link's key, or each key that was delivered; else the row."""
    shares = json.loads(row["details"]) if _is_on_link(row) else None
    names = row["key_id"].split(" ")
    if shares is not None:
        for place, request in enumerate(shares["requests"]):
            told = {
                name: shares[name][place] for name in ("filled", "distilled_bits") if name in shares
            }
            is_told = told.get("filled") is not None
            details = json.dumps(told) if is_told else ""
            yield row | {"request": request, "bits": shares["bits"][place], "details": details}
    elif row["kind"] == "delivered":
        size = len(row["fingerprint"]) // len(names)
        for place, name in enumerate(names):
            content = row["fingerprint"][size * place : size * (place + 1)]
            bits = row["bits"] // len(names)
            yield row | {"key_id": name, "fingerprint": content, "bits": bits}
    else:
        yield row


def _is_on_link(row: Row) -> bool:
    kinds = ("generated", "relayed", "expired", "stored")
    return row["medium"] == "fiber" and row["kind"] in kinds


class Books:
    """All accounts of a run."""

    def __init__(self, folder: Path) -> None:
        self.links: dict[Any, dict[str, list[int]]] = defaultdict(dict)
        self.ends: dict[Any, dict[str, list[int]]] = defaultdict(dict)
        self.deliveries: dict[str, dict[str, list[bytes]]] = defaultdict(lambda: defaultdict(list))
        self.delivered_bits: Counter[Any] = Counter()
        self.sites: dict[Any, str] = {}
        self.unknown_keys = self.void_deliveries = self.early_bits = self.differing_bits = 0
        for entity in entities(folder):
            if entity.startswith("kme-"):
                self._read(entity.removeprefix("kme-"), facts(folder, entity))

    def _read(self, node: str, noted: Iterator[Row]) -> None:
        made: dict[str, Any] = {}
        valid: Counter[Any] = Counter()
        distilled: dict[Any, int] = {}
        for row in noted:
            column = BOOKED_AS.get(row["kind"])
            if column is None or row["medium"] == "management":
                continue
            each = list(one_by_one(row))
            if _is_on_link(row):
                self.differing_bits += abs(row["bits"] - sum(item["bits"] for item in each))
            elif row["kind"] == "delivered":
                self.unknown_keys += abs(row["units"] - len(each))
            for item in each:
                if _is_on_link(row):
                    self._read_link(node, item, column, distilled)
                else:
                    self._read_key(node, item, column, made, valid)

    def _read_link(self, node: str, row: Row, column: int, distilled: dict[Any, int]) -> None:
        link = tuple(sorted((node, row["peer"].removeprefix("kme-"))))
        side = "a" if node == link[0] else "b"
        sides = self.links[row["request"], row["serial"], link]
        sides.setdefault(side, [0] * len(COLUMNS))[column] += row["bits"]
        store, said = (row["request"], row["peer"]), '"filled"' in row["details"]
        if column == 0 and (said or store in distilled):
            found = json.loads(row["details"]) if said else {}
            left = distilled.get(store, 0) - row["bits"]
            left += found["distilled_bits"] if found.get("filled", 0.0) >= 1 - 1e-6 else 0
            self.early_bits += max(0, -left)
            distilled[store] = max(0, left)

    def _read_key(
        self, node: str, row: Row, column: int, made: dict[str, Any], valid: Counter[Any]
    ) -> None:
        pool = "end-to-end" if row["medium"] in ("fiber", "end-to-end") else row["medium"]
        request, serial, end = row["request"], row["serial"], row["end"]
        account = self.ends[pool, request].setdefault(end, [0] * len(COLUMNS))
        account[column] += row["bits"]
        block = (request, pool, serial)
        if column == 0:
            medium = MediumCode.FIBER if pool == "end-to-end" else MediumCode[pool.upper()]
            for index in range(row["units"]):
                made[key_name(request, medium, serial, index)] = (block, index)
            valid[block] += row["units"]
        elif column in (3, 4):
            valid[block] -= row["units"]
        elif column == 1:
            self.deliveries[row["key_id"]][end].append(row["fingerprint"])
            if row["key_id"] not in made:
                self.unknown_keys += 1
                return
            of_block, index = made[row["key_id"]]
            self.void_deliveries += index >= valid[of_block]
            if pool == "end-to-end":
                self.delivered_bits[request, of_block[2], end] += row["bits"]
                self.sites[request, end] = node

    def fields(self) -> dict[str, Any]:
        """Return what the audit says of keys, but for management keys and key tables."""
        nothing = [0] * len(COLUMNS)
        totals, unaccounted = [0] * len(COLUMNS), self.differing_bits
        alone = []
        for account in self.ends.values():
            unaccounted += sum(abs(2 * bits[0] - sum(bits)) for bits in account.values())
            totals = [a + b for a, b in zip(totals, account.get("source", nothing), strict=True)]
        for (request, serial, _), sides in self.links.items():
            unaccounted += sum(abs(2 * bits[0] - sum(bits)) for bits in sides.values())
            most = max(sides.values(), key=lambda bits: (bits[0], bits[2], bits[3]))
            totals = [a + b for a, b in zip(totals, most, strict=True)]
            differing = abs(sides.get("a", nothing)[0] - sides.get("b", nothing)[0])
            alone += [((request, serial), differing, most[3])] if differing else []
        half = sum(bits for epoch, bits, gone in alone if bits <= gone or self._is_carried(epoch))
        return {
            "duplicate_deliveries": sum(
                len(tags) - 1 for ends in self.deliveries.values() for tags in ends.values()
            ),
            "mismatched_keys": sum(
                set(ends.get("source", [])) != set(ends.get("target", []))
                for ends in self.deliveries.values()
            ),
            "unknown_keys": self.unknown_keys,
            "void_deliveries": self.void_deliveries,
            "unaccounted_bits": unaccounted + sum(bits for _, bits, _ in alone) - half,
            "half_made_bits": half,
            "early_bits": self.early_bits,
            "totals": {"generated_bits": totals[0]}
            | {f"{name}_bits": totals[n] for n, name in enumerate(COLUMNS) if n},
        }

    def _is_carried(self, epoch: tuple[int, int]) -> bool:
        delivered = max(self.delivered_bits[*epoch, end] for end in ("source", "target"))
        wide = [
            set(link)
            for (request, serial, link), sides in self.links.items()
            if (request, serial) == epoch
            and len(sides) == 2
            and min(bits[2] for bits in sides.values()) >= delivered
        ]
        reached = {self.sites.get((epoch[0], "source"))}
        for _ in wide:
            reached.update(*(link for link in wide if link & reached))
        return not delivered or self.sites.get((epoch[0], "target")) in reached


def used(folder: Path) -> dict[tuple[int, int], Row]:
    """Return units by what became of them, and windows, by request and period, as sources noted them."""
    cells: dict[tuple[int, int], Row] = {}
    kinds = {"demanded": "demanded", "short": "late", "lapsed": "lapsed", "delivered": ""}
    for entity in entities(folder):
        for row in facts(folder, entity) if entity.startswith("kme-") else ():
            kind, cell = row["kind"], (row["request"], row["period"])
            if row["end"] == "target" or kind not in kinds:
                continue
            found = cells.setdefault(
                cell, {"units": Counter(), "began": 0, "ended": 0, "came": Counter()}
            )
            found["units"][kinds[kind] or row["medium"]] += row["units"]
            if kind == "demanded":
                found["began"] = max(found["began"], row["window"])
            if kind == "delivered":
                found["came"][row["window"], row["medium"]] += row["units"]
            if kind != "short":
                found["ended"] = max(found["ended"], row["window"])
    return cells
