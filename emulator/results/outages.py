"""Outages of tunnels as they were measured from outside, beside those that the emulation says.

Whoever measures a tunnel writes each outage as a line of `observed.jsonl` in the run folder: `tunnel`,
`master` and `slave` (SAEs), `from_s` and `until_s` (emulated seconds).  The emulation says that a pair of
SAEs is without key from the window in which its master was refused keys to that in which its slave took its
copy of a later one, or to the end of the run.  Nothing here knows what a tunnel does without a key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from emulator.input_checks import BadInputError
from emulator.results import journal_queries
from emulator.results.journal_queries import SaeFact
from emulator.store import journals
from protos.core import KEY_MANAGER_PREFIX
from protos.facts import FactKind, Holder, KeyCall

OBSERVED = "observed.jsonl"
_Pair = tuple[str, str]


class ObservedError(BadInputError):
    """A line of the file of observed outages is not one; names line, field and remedy."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)  # pickle rebuilds from these
        self.where, self.problem = where, problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


class Span(NamedTuple):
    """A time, in emulated seconds."""

    from_s: float
    until_s: float

    @property
    def length_s(self) -> float:
        """How long it is."""
        return self.until_s - self.from_s


@dataclass(frozen=True)
class ObservedOutage:
    """An outage as it was measured."""

    tunnel: str
    master: str
    slave: str
    from_s: float
    until_s: float


def observed(folder: Path) -> list[ObservedOutage]:
    """Return what was measured from outside, in order.  Raises `ObservedError`."""
    path = folder / OBSERVED
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_outage(line, f"{path}: line {number}") for number, line in enumerate(lines, 1)]


def compared(folder: Path, window_s: float, ends_s: float) -> list[dict[str, Any]]:
    """Return each observed outage with the one of the emulation that it overlaps most, if there is any.

    `ends_s` is when the run ended.  A window belongs to the outage in which it was refused.
    """
    seen = observed(folder)
    emulated = without_key(folder, window_s, ends_s) if seen else {}
    found = []
    for item in seen:
        span = Span(item.from_s, item.until_s)
        pair = emulated.get((item.master, item.slave), [])
        same = max(pair, key=lambda other: _overlap_s(span, other), default=None)
        if same is not None and _overlap_s(span, same) <= 0:
            same = None
        found.append(
            asdict(item)
            | {
                "observed_s": span.length_s,
                "emulated_from_s": same.from_s if same else None,
                "emulated_until_s": same.until_s if same else None,
                "emulated_s": same.length_s if same else None,
            }
        )
    return found


def without_key(folder: Path, window_s: float, ends_s: float) -> dict[_Pair, list[Span]]:
    """Return by master and slave when there was no key, as the journals say."""
    facts = [
        list(journal_queries.sae_facts(folder, entity))
        for entity in journals.entities(folder)
        if entity.startswith(KEY_MANAGER_PREFIX)
    ]
    copies = dict(copy for here in facts for copy in _copies(here))
    found: dict[_Pair, list[Span]] = {}
    for calls in (list(_calls(here)) for here in facts):
        for pair in sorted({(call.master, slave) for call in calls for slave in call.slaves}):
            found[pair] = list(_spans(_history(pair, calls, copies), window_s, ends_s))
    return found


@dataclass
class _Call:
    """A call for keys, and the names of those that it was given."""

    window: int
    master: str
    slaves: tuple[str, ...]
    keys: list[str]


def _calls(facts: Iterable[SaeFact]) -> Iterator[_Call]:
    """Yield the calls at a key manager: each is followed by its keys."""
    call: _Call | None = None
    for fact in facts:
        if isinstance(fact.details, KeyCall):
            if call is not None:
                yield call
            call = _Call(fact.window, fact.details.master, fact.details.slaves, [])
        elif call is not None and fact.end != "target":
            call.keys.append(fact.key_id)
    if call is not None:
        yield call


def _copies(facts: Iterable[SaeFact]) -> Iterator[tuple[tuple[str, str], int]]:
    """Yield who took a copy of which key, and in which window."""
    for fact in facts:
        if (
            fact.kind is FactKind.GIVEN
            and fact.end == "target"
            and isinstance(fact.details, Holder)
        ):
            yield (fact.key_id, fact.details.sae), fact.window


def _history(
    pair: _Pair, calls: Iterable[_Call], copies: Mapping[tuple[str, str], int]
) -> Iterator[tuple[int, bool]]:
    """Yield the windows of refused calls (false), and of the first copies of others (true)."""
    master, slave = pair
    for call in calls:
        if call.master != master or slave not in call.slaves:
            continue
        taken = [copies[name, slave] for name in call.keys if (name, slave) in copies]
        if taken or not call.keys:
            yield (min(taken), True) if taken else (call.window, False)


def _spans(history: Iterable[tuple[int, bool]], window_s: float, ends_s: float) -> Iterator[Span]:
    """Yield the times from the first window without key to the next with some."""
    refused_s = None
    for window, is_there in history:
        if not is_there and refused_s is None:
            refused_s = window * window_s
        elif is_there and refused_s is not None:
            yield Span(refused_s, window * window_s)
            refused_s = None
    if refused_s is not None:
        yield Span(refused_s, ends_s)


def _overlap_s(one: Span, other: Span) -> float:
    return min(one.until_s, other.until_s) - max(one.from_s, other.from_s)


def _outage(line: str, where: str) -> ObservedOutage:
    try:
        fields = json.loads(line)
        tunnel, master, slave = (str(fields[name]) for name in ("tunnel", "master", "slave"))
        from_s, until_s = float(fields["from_s"]), float(fields["until_s"])
    except KeyError as error:
        raise ObservedError(where, f"has no field {error.args[0]}; add it") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise ObservedError(where, f"is no outage, {error}; mend or remove it") from error
    if not (isfinite(from_s) and isfinite(until_s) and from_s <= until_s):
        raise ObservedError(where, f"until_s must not be before from_s, {from_s:g}; mend it")
    return ObservedOutage(tunnel, master, slave, from_s, until_s)
