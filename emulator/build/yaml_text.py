r"""YAML as it is written: the core schema of YAML 1.2, and nothing that two readers may take differently.

Only `true`, `false` and `null` are no text among words; `10`, `0x1F` and `1e3` are numbers.  What another
reader takes for something else is refused, with its line and what to write: yes, no, on and off without
quotes, leading zeros, a key that is given twice, a decimal comma between braces.

However a text is made it is read in time that grows with its length: aliases are copies, and copies are
counted; nesting has a limit.  Whatever is wrong is a `YamlError`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml

from emulator.input_checks import InputFileError, read_text

MOST_BYTES = 2_000_000
MOST_DEPTH = 50
MOST_COPIES = 100_000  # values that aliases and merge keys stand for
_MOST_DIGITS = 40
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE, _FALSE = re.compile(r"true|True|TRUE"), re.compile(r"false|False|FALSE")
_WHOLE = re.compile(r"[-+]?[0-9]+")
_OCTAL, _HEXADECIMAL = re.compile(r"0o[0-7]+"), re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_NOT_A_NUMBER = re.compile(r"\.(nan|NaN|NAN)")
_UNSURE = re.compile(r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_DIGITS = re.compile(r"[0-9]+")
_TAG = "tag:yaml.org,2002:"
_KINDS: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
}


class YamlError(InputFileError):
    """A text is no YAML, or none that everybody reads alike."""


def read_yaml(path: Path) -> Any:
    """Return what a file says.  Raises `InputFileError`."""
    return parse_yaml(read_text(path, MOST_BYTES), str(path))


def parse_yaml(text: str, source: str) -> Any:
    """Return what a text says; `source` is where it comes from.  Raises `YamlError`."""
    reader = _Reader(yaml.parse(text, Loader=_PARSER))
    try:
        return reader.document()
    except _RefusedError as error:
        raise YamlError(source, reader.place(), error.args[0]) from error
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        words = " ".join(filter(None, (error.context, error.problem)))
        raise YamlError(source, "file", f"{line}is not readable YAML: {words}") from error
    except Exception as error:  # whatever a parser raises, the text is what is wrong
        words = " ".join(str(error).split())[:200]
        raise YamlError(source, "file", f"is not readable YAML: {words}") from error


def dump_yaml(value: Any) -> str:
    """Return a text that `parse_yaml` reads as this value, and so does any other reader."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False)


class _Dumper(yaml.SafeDumper):
    """Puts in quotes what is a number in YAML 1.1, 1.2 or both."""


for _kind, _pattern in (("int", _OCTAL), ("float", _FLOAT)):
    _all = re.compile(f"(?:{_pattern.pattern})$")
    _Dumper.add_implicit_resolver(f"{_TAG}{_kind}", _all, list("-+.0123456789"))


class _RefusedError(Exception):
    """Something in a text is refused: in which line, and what would be right."""


class _Reader:
    """Makes values of the events of a parser."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._made = 0
        self._copied = 0
        self._anchored: dict[str, tuple[Any, int]] = {}
        self._way: list[str] = []  # the fields that lead to what is being read

    def place(self) -> str:
        """Return the field that was read last."""
        return ".".join(self._way)[:200] or "file"

    def document(self) -> Any:
        """Return the value of the only document; None if there is none."""
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        value = self._value(next(self._events), 0)
        next(self._events)
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise _refused(event, "a second document begins; keep one per file")
        return value

    def _value(self, event: yaml.Event, depth: int) -> Any:
        if depth > MOST_DEPTH:
            raise _refused(event, f"is nested more than {MOST_DEPTH} deep; write it flat")
        if isinstance(event, yaml.AliasEvent):
            return self._copy(event)
        before, self._made = self._made, self._made + 1
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            _only_tag(event, "seq")
            value = list(self._items(depth))
        else:
            _only_tag(event, "map")
            value = self._mapping(event, depth)
        anchor: str | None = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchored[anchor] = value, self._made - before
        return value

    def _items(self, depth: int) -> Iterator[Any]:
        for index, event in enumerate(self._until(yaml.SequenceEndEvent)):
            self._way.append(str(index))
            yield self._value(event, depth + 1)
            self._way.pop()

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        while not isinstance(event := next(self._events), end):
            yield event

    def _copy(self, event: yaml.AliasEvent) -> Any:
        anchor = event.anchor
        if anchor not in self._anchored:
            raise _refused(event, f"*{anchor} stands for nothing that has been written before")
        value, size = self._anchored[anchor]
        self._count_copies(event, size)
        return copy.deepcopy(value)

    def _count_copies(self, event: yaml.Event, size: int) -> None:
        self._made += size
        self._copied += size
        if self._copied > MOST_COPIES:
            problem = f"aliases stand for more than {MOST_COPIES:,} values; write fewer"
            raise _refused(event, problem)

    def _mapping(self, start: yaml.Event, depth: int) -> dict[Any, Any]:
        own: dict[Any, Any] = {}
        merged: list[tuple[yaml.Event, Any]] = []
        last: Any = None
        for event in self._until(yaml.MappingEndEvent):
            key = self._value(event, depth + 1)
            inner = next(self._events)
            _check_comma(start, event, inner, last)
            if not isinstance(key, Hashable):
                raise _refused(event, "a key must be one word, not a list or a mapping")
            self._way.append(_short(key))
            if key in own:
                raise _refused(event, "is given twice; keep one of them")
            last = self._value(inner, depth + 1)
            self._way.pop()
            if _is_merge(event):
                merged.append((event, last))
            else:
                own[key] = last
        if len(merged) > 1:
            raise _refused(merged[1][0], "<< is given twice; merge a list of mappings")
        inherited = self._inherited(*merged[0]) if merged else {}
        return {**inherited, **own}

    def _inherited(self, event: yaml.Event, value: Any) -> dict[Any, Any]:
        """Return the fields that a merge key stands for; of several mappings the first one counts."""
        parts = value if isinstance(value, list) else [value]
        found: dict[Any, Any] = {}
        for part in reversed(parts):
            if not isinstance(part, dict):
                raise _refused(event, "<< merges a mapping, or a list of mappings")
            self._count_copies(event, len(part))
            found |= part
        return found


def _scalar(event: yaml.ScalarEvent) -> Any:
    """Return the value of a plain word or of text in quotes."""
    text, tag = event.value, event.tag
    if tag is None:
        return text if event.style else _plain(event, text)
    if tag in ("!", f"{_TAG}str"):
        return text
    kinds = _KINDS.get(tag.removeprefix(_TAG))
    if kinds is None:
        raise _refused(event, f"tag {_short(tag)} is not known here; leave it out")
    value = _plain(event, text)
    if type(value) not in kinds:
        raise _refused(event, f"{_short(text)} is no {tag.removeprefix(_TAG)}, as its tag says")
    return float(value) if kinds[0] is float else value


def _plain(event: yaml.ScalarEvent, text: str) -> Any:
    """Return what a plain word says by the core schema, unless others may read something else."""
    if _UNSURE.fullmatch(text):
        meant = "true" if text.lower() in ("yes", "on") else "false"
        problem = (
            f"{text} may be text or {meant}; put {text} in quotes, or write {meant} or a number"
        )
        raise _refused(event, problem)
    if _LEADING_ZERO.fullmatch(text):
        right = text.replace("+", "").replace("-", "").lstrip("0") or "0"
        problem = (
            f"{_short(text)} may be octal; write {_short(right)}, or put it in quotes if it is text"
        )
        raise _refused(event, problem)
    for pattern, value in ((_NULL, None), (_TRUE, True), (_FALSE, False)):
        if pattern.fullmatch(text):
            return value
    return _number(event, text)


def _number(event: yaml.ScalarEvent, text: str) -> Any:
    for pattern, base in ((_WHOLE, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
        if pattern.fullmatch(text):
            if len(text) > _MOST_DIGITS:
                problem = (
                    f"{_short(text)} has {len(text):,} digits; at most {_MOST_DIGITS} are read"
                )
                raise _refused(event, problem)
            return int(text, base)
    if _FLOAT.fullmatch(text):
        return float(text)
    if infinite := _INFINITE.fullmatch(text):
        return float(f"{infinite[1]}inf")
    return float("nan") if _NOT_A_NUMBER.fullmatch(text) else text


def _check_comma(start: yaml.Event, key: yaml.Event, value: yaml.Event, before: Any) -> None:
    """Refuse `{length: 80,5}`, which reads as a length of 80 and a field of the name 5."""
    is_number = isinstance(before, int | float) and not isinstance(before, bool)
    if not (getattr(start, "flow_style", False) and is_number):
        return
    if not (isinstance(key, yaml.ScalarEvent) and isinstance(value, yaml.ScalarEvent)):
        return
    if not key.style and not value.style and not value.value and _DIGITS.fullmatch(key.value):
        right = f"{before:g}.{key.value}"[:_MOST_DIGITS]
        problem = f"a comma ends a value; write {right} with a decimal point"
        raise _refused(key, problem)


def _is_merge(event: yaml.Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and event.value == "<<" and not event.style


def _only_tag(event: yaml.Event, kind: str) -> None:
    tag: str | None = getattr(event, "tag", None)
    if tag not in (None, "!", f"{_TAG}{kind}"):
        raise _refused(event, f"tag {_short(tag)} is not known here; leave it out")


def _refused(event: yaml.Event, problem: str) -> _RefusedError:
    mark = event.start_mark
    return _RefusedError(f"line {mark.line + 1}: {problem}" if mark else problem)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
