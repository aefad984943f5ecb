"""What applications outside the network (SAEs, ETSI GS QKD 014) ask of a key manager, and what it answers.

A call is an input of the key manager at the node of the SAE: it has a number there and belongs to a window,
and whoever is given the same calls in the same windows answers the same.  As text, calls are kept in
journals and files; there is no key in them.  Keys are in answers only, and never in a `repr`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class GetKey:
    """An SAE wants `keys` keys of `key_bits` each, which it will share with all `slaves`."""

    master: str
    slaves: tuple[str, ...]
    keys: int
    key_bits: int


@dataclass(frozen=True, slots=True)
class GetKeyWithIds:
    """An SAE wants its copies of keys that `master` has got, by their names."""

    slave: str
    master: str
    key_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnswersSent:
    """The answers to these calls have left; what they gave is gone."""

    calls: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AnswersUnsure:
    """Nobody knows whether the answers to these calls have left; to none: to all that are not known to."""

    calls: tuple[int, ...] = ()


Call = GetKey | GetKeyWithIds | AnswersSent | AnswersUnsure


@dataclass(frozen=True, slots=True)
class Asked:
    """A call with its number at this key manager, and the time of its window."""

    number: int
    at_s: float
    call: Call


class Outcome(StrEnum):
    """How a call ended."""

    GIVEN = "given"
    SHORT = "short"  # not enough key now; the next call may get it
    UNKNOWN_KEY = "unknown-key"
    NOT_NAMED = "not-named"  # the caller was not named when a key was asked for
    NO_REQUEST = "no-request"  # nothing is provisioned between these nodes
    AWAY = "away"  # the key manager does nothing now


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A key with its name, a UUID."""

    id: str
    material: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of the call with this number."""

    number: int
    outcome: Outcome
    keys: tuple[NamedKey, ...] = ()


_KINDS: dict[str, type[Any]] = {
    "get-key": GetKey,
    "get-key-with-ids": GetKeyWithIds,
    "answers-sent": AnswersSent,
    "answers-unsure": AnswersUnsure,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def written(call: Call) -> str:
    """Return a call as one line of JSON."""
    found = {"method": _NAMES[type(call)]} | asdict(call)
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False)


def read_back(text: str) -> Call:
    """Return the call that `written` wrote.  Raises `ValueError` for anything else."""
    found = json.loads(text)
    if not isinstance(found, dict) or found.get("method") not in _KINDS:
        raise ValueError("is no call of an SAE")
    kind = _KINDS[found.pop("method")]
    if found.keys() != {item.name for item in fields(kind)}:
        raise ValueError(f"a call {_NAMES[kind]} has other fields than {', '.join(found)}")
    values = {
        name: tuple(value) if isinstance(value, list) else value for name, value in found.items()
    }
    call: Call = kind(**values)
    return call
