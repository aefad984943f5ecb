"""What SAEs send and get in the interface of ETSI GS QKD 014 V1.1.1, as values and as JSON.

Whatever is not as the standard says is refused, with the field's name; sizes are in bits.  A number is no
text and no truth value.  Unknown fields are refused too, or a misspelt one would be passed over in silence.
Extensions: mandatory ones are refused by name, since there are none; optional ones are passed over.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from protos.access import NamedKey

MOST_KEYS = 128
"""In one call."""
MOST_ADDITIONAL = 16
"""SAEs beside the slave in the path."""
_LEAST_BITS = 64
_DIGITS = re.compile(r"[0-9]{1,9}")
_GET_KEY = (
    "number",
    "size",
    "additional_slave_SAE_IDs",
    "extension_mandatory",
    "extension_optional",
)


class RefusedError(Exception):
    """A call that is refused or cannot be served: status, message and details of the answer."""

    def __init__(self, status: int, message: str, *details: Mapping[str, str]) -> None:
        super().__init__(status, message, *details)
        self.status, self.message, self.details = status, message, details

    def fields(self) -> dict[str, Any]:
        """Return the `Error` of the standard."""
        return {"message": self.message} | ({"details": list(self.details)} if self.details else {})


@dataclass(frozen=True)
class Sizes:
    """The sizes of keys in bits: by default, and the least and the most."""

    default: int
    least: int
    most: int

    @classmethod
    def of(cls, unit_bits: int, most_units: int) -> Sizes:
        """Return the sizes of keys that are made of whole units, of which the end is left out."""
        return cls(unit_bits, min(_LEAST_BITS, unit_bits), unit_bits * most_units)


@dataclass(frozen=True)
class KeyRequest:
    """How many keys are wanted, of which size, and for whom beside the SAE in the path."""

    number: int = 1
    size: int = 0
    additional: tuple[str, ...] = ()


def key_request_of_query(query: Sequence[tuple[str, str]], sizes: Sizes) -> KeyRequest:
    """Return what the query of a GET asks.  Raises `RefusedError`."""
    found = _once(query, ("number", "size"))
    for name, value in found.items():
        if not _DIGITS.fullmatch(value):
            raise _wrong(name, "must be a whole number in digits")
    return _key_request({name: int(value) for name, value in found.items()}, sizes)


def key_request_of_body(body: bytes, sizes: Sizes) -> KeyRequest:
    """Return what the body of a POST asks; no body is an empty one.  Raises `RefusedError`."""
    return _key_request(_object(body, _GET_KEY), sizes)


def key_ids_of_query(query: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return the name that the query of a GET asks for.  Raises `RefusedError`."""
    found = _once(query, ("key_ID",))
    if "key_ID" not in found:
        raise _wrong("key_ID", "is needed")
    return (_uuid(found["key_ID"]),)


def key_ids_of_body(body: bytes) -> tuple[str, ...]:
    """Return the names that the body of a POST asks for.  Raises `RefusedError`."""
    asked = _object(body, ("key_IDs", "key_IDs_extension")).get("key_IDs")
    if not isinstance(asked, list) or not 1 <= len(asked) <= MOST_KEYS:
        raise _wrong("key_IDs", f"must be an array of 1 to {MOST_KEYS} objects with a key_ID")
    names = []
    for item in asked:
        if not isinstance(item, dict) or not item.keys() <= {"key_ID", "key_ID_extension"}:
            raise _wrong("key_IDs", "must hold objects with a key_ID")
        names.append(_uuid(item.get("key_ID")))
    if len(set(names)) < len(names):
        raise _wrong("key_IDs", "must name each key once")
    return tuple(names)


def container(keys: Sequence[NamedKey]) -> dict[str, Any]:
    """Return the `Key container` of the standard."""
    return {
        "keys": [{"key_ID": key.id, "key": base64.b64encode(key.material).decode()} for key in keys]
    }


def _key_request(fields: Mapping[str, Any], sizes: Sizes) -> KeyRequest:
    number = _number(fields, "number", 1, 1, MOST_KEYS)
    size = _number(fields, "size", sizes.default)
    if size % 8:
        raise RefusedError(400, "size shall be a multiple of 8", {"size": str(size)})
    if not sizes.least <= size <= sizes.most:
        raise _wrong("size", f"must be from {sizes.least} to {sizes.most} bits, not {size}")
    mandatory = _extensions(fields, "extension_mandatory")
    _extensions(fields, "extension_optional")
    if mandatory:
        raise RefusedError(
            400,
            "not all extension_mandatory parameters are supported",
            *(
                {"extension_mandatory_unsupported": f"{name} is not supported"}
                for name in mandatory
            ),
        )
    return KeyRequest(number, size, _additional(fields))


def _additional(fields: Mapping[str, Any]) -> tuple[str, ...]:
    name = "additional_slave_SAE_IDs"
    found = fields.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise _wrong(name, "must be an array of SAE IDs")
    if len(found) > MOST_ADDITIONAL or len(set(found)) < len(found):
        raise _wrong(name, f"must be at most {MOST_ADDITIONAL} different SAE IDs")
    return tuple(found)


def _extensions(fields: Mapping[str, Any], name: str) -> list[str]:
    """Return the names of extensions, each of which is an object with one pair."""
    found = fields.get(name, [])
    if not isinstance(found, list) or not all(isinstance(i, dict) and len(i) == 1 for i in found):
        raise _wrong(name, "must be an array of objects with one pair each")
    return [next(iter(item)) for item in found]


def _number(
    fields: Mapping[str, Any], name: str, default: int, least: int = 0, most: int = 10**9
) -> int:
    value = fields.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(name, "must be a whole number")
    if not least <= value <= most:
        raise _wrong(name, f"must be from {least} to {most}, not {value}")
    return value


def _once(query: Sequence[tuple[str, str]], known: Sequence[str]) -> dict[str, str]:
    for name, _ in query:
        if name not in known:
            raise _wrong(name, f"is not for GET, which takes {' and '.join(known)}; use POST")
    if len(dict(query)) < len(query):
        raise _wrong(query[-1][0], "is given twice")
    return dict(query)


def _object(body: bytes, known: Sequence[str]) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        found = json.loads(
            body.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_distinct
        )
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "the body must be a JSON object in UTF-8") from error
    if not isinstance(found, dict):
        raise RefusedError(400, "the body must be a JSON object in UTF-8")
    for name in found.keys() - set(known):
        raise _wrong(name[:100], f"is unknown; known are {', '.join(known)}")
    return found


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _uuid(value: Any) -> str:
    try:
        found = UUID(value)
    except (ValueError, TypeError, AttributeError):
        raise _wrong("key_ID", "must be a UUID") from None
    if str(found) != str(value).lower():
        raise _wrong("key_ID", "must be a UUID with hyphens")
    return str(found)


def _wrong(name: str, right: str) -> RefusedError:
    return RefusedError(400, f"{name} {right}", {name: right})
