"""YAML is read by the core schema of 1.2, or refused; in time that grows with its length."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emulator.build.yaml_text import MOST_DEPTH, YamlError, dump_yaml, parse_yaml

SAID: dict[str, Any] = {
    "": None,
    "a: ~": {"a": None},
    "a: true\nb: False\nc: 'yes'": {"a": True, "b": False, "c": "yes"},
    "[10, -3, +4, 0, 0x1F, 0o17]": [10, -3, 4, 0, 31, 15],
    "[1e3, .5, 1., 00.5, -2.5E-1]": [1000.0, 0.5, 1.0, 0.5, -0.25],
    "[1_000, 12:30, 2026-01-01, 0b1, y, n, =]": [
        "1_000", "12:30", "2026-01-01", "0b1", "y", "n", "=",
    ],
    "'010': \"NO\"": {"010": "NO"},
    "[! 5, !!str 5, !!int 5, !!float 5, !!null '', !!bool true]": ["5", "5", 5, 5.0, None, True],
    "a: &x {b: 1}\nc: *x": {"a": {"b": 1}, "c": {"b": 1}},
    "a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}": {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}},
    "a: {<<: [{b: 1}, {b: 2, c: 2}]}": {"a": {"b": 1, "c": 2}},
    "\ufeffa: 1": {"a": 1},
    '{"a": [1, 2.5, null, true, "x"]}': {"a": [1, 2.5, None, True, "x"]},
    "{a: 1, b: }": {"a": 1, "b": None},
}  # fmt: skip

REFUSED = {
    "a: 1\nb: 2\na: 3": "a: line 3: is given twice",
    "a: {b: 1, b: 1}": "a.b: line 1: is given twice",
    "{1: a, 1.0: b}": "is given twice",
    "a: yes": "a: line 1: yes may be text or true",
    "a:\n- On": "a.0: line 2: On may be text or true",
    "off: 1": "file: line 1: off may be text or false",
    "a: 010": "write 10, or put it in quotes",
    "a: -007": "write 7",
    "a: 00": "write 0",
    "{a: 80,5}": "write 80.5 with a decimal point",
    "a: " + "9" * 5_000: "has 5,000 digits",
    "a: !!int abc": "abc is no int, as its tag says",
    "a: !!python/object/apply:os.system [x]": "is not known here; leave it out",
    "a: !!set {x}": "is not known here",
    "? [a]\n: 1": "a key must be one word",
    "a: *b": "*b stands for nothing",
    "a: &x [*x]": "*x stands for nothing",
    "{<<: 3}": "<< merges a mapping",
    "a: &x {b: 1}\nc:\n  <<: *x\n  <<: *x": "<< is given twice",
    "a: 1\n---\nb: 1": "line 2: a second document begins",
    "a: '": "is not readable YAML",
    "a: \0": "is not readable YAML",
    "a: [": "is not readable YAML",
    "\tb: 1": "is not readable YAML",
}


@pytest.mark.parametrize("text", SAID)
def test_a_text_says_what_the_core_schema_says(text: str) -> None:
    found = parse_yaml(text, "x.yaml")
    assert found == SAID[text]
    assert repr(found) == repr(SAID[text])  # 1 is not true, nor 1.0


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:40])
def test_what_others_may_read_differently_is_refused_with_line_and_remedy(text: str) -> None:
    with pytest.raises(YamlError) as caught:
        parse_yaml(text, "x.yaml")
    assert REFUSED[text] in str(caught.value)
    assert "\n" not in str(caught.value)


def bomb(line: str) -> str:
    """Return a short text whose every line is nine times the one before."""
    lines = (
        line.format(n=n, nine=", ".join([f"*a{n - 1}"] * 9), before=n - 1) for n in range(1, 12)
    )
    return "a0: &a0 {x: 1}\n" + "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        bomb("a{n}: &a{n} [{nine}]"),
        bomb("a{n}: &a{n} {{<<: [{nine}], k{n}: [{nine}]}}"),
        bomb("a{n}: &a{n} {{k: *a{before}, <<: [{nine}]}}"),
        "[" * 800 + "]" * 800,
        "[" * 1_000_000,
        "{a: " * 1_000_000,
        "- " * 500_000,
        "a: &x [" + "1," * 50_000 + "]\nb: [*x, *x, *x, *x, *x]",
    ],
    ids=lambda text: text[-20:],
)
def test_no_short_text_takes_long(text: str) -> None:
    begun_s = time.monotonic()
    with pytest.raises(YamlError):
        parse_yaml(text, "x.yaml")
    assert time.monotonic() - begun_s < 5


def test_as_deep_as_is_allowed_is_read() -> None:
    assert parse_yaml("[" * MOST_DEPTH + "]" * MOST_DEPTH, "x.yaml")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False)
    | st.text() | st.from_regex(r"[-+]?[0-9._ox]{1,6}([eE][-+]?[0-9]{1,2})?", fullmatch=True)
    | st.sampled_from(["yes", "NO", "010", "1e3", "0o7", "<<", "=", "~", "null", "12:30", "#1"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(value=VALUES)
def test_what_is_written_is_read_again_here_and_by_other_readers(value: Any) -> None:
    text = dump_yaml(value)
    assert repr(parse_yaml(text, "x.yaml")) == repr(value)
    assert yaml.safe_load(text) == value


@given(text=st.text(alphabet="ab01 :,-[]{}&*!<'\"\n\t#|>?%@`~.\x00\x1b\u2028é", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(YamlError):
        parse_yaml(text, "x.yaml")
