"""What SAEs send is taken as ETSI GS QKD 014 says, or refused with the field's name."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emulator.access import messages
from emulator.access.messages import (
    MOST_ADDITIONAL,
    MOST_KEYS,
    KeyRequest,
    RefusedError,
    Sizes,
    container,
    key_ids_of_body,
    key_ids_of_query,
    key_request_of_body,
    key_request_of_query,
)
from protos.access import (
    AnswersSent,
    AnswersUnsure,
    Call,
    GetKey,
    GetKeyWithIds,
    NamedKey,
    read_back,
    written,
)

SIZES = Sizes.of(256, 16)
KEY_ID = str(uuid4())
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
names = st.lists(texts, max_size=3).map(tuple)
numbers = st.lists(st.integers(1, 2**40), max_size=3).map(tuple)
calls = st.one_of(
    st.builds(GetKey, texts, names, st.integers(1, 128), st.integers(64, 4096)),
    st.builds(GetKeyWithIds, texts, texts, names),
    st.builds(AnswersSent, numbers),
    st.builds(AnswersUnsure, numbers),
)


def _body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def test_nothing_asks_for_one_key_of_the_default_size() -> None:
    for body in (b"", b"{}", b"  \n"):
        assert key_request_of_body(body, SIZES) == KeyRequest(1, 256, ())
    assert key_request_of_query([], SIZES) == KeyRequest(1, 256, ())


def test_all_that_the_standard_has_is_taken() -> None:
    asked = _body(
        number=3,
        size=1024,
        additional_slave_SAE_IDs=["b", "c"],
        extension_mandatory=[],
        extension_optional=[{"abc_route": "direct"}],
    )
    assert key_request_of_body(asked, SIZES) == KeyRequest(3, 1024, ("b", "c"))
    assert key_request_of_query([("number", "3"), ("size", "64")], SIZES) == KeyRequest(3, 64)
    assert key_ids_of_query([("key_ID", KEY_ID)]) == (KEY_ID,)
    held = {"key_IDs": [{"key_ID": KEY_ID.upper(), "key_ID_extension": {}}]}
    assert key_ids_of_body(json.dumps(held).encode()) == (KEY_ID,)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 257}, "size shall be a multiple of 8"),
        ({"size": 0}, "size must be from 64"),
        ({"size": 4104}, "size must be from 64 to 4096 bits"),
        ({"size": -256}, "size must be from 0"),
        ({"size": "256"}, "size must be a whole number"),
        ({"size": 256.0}, "size must be a whole number"),
        ({"size": True}, "size must be a whole number"),
        ({"size": None}, "size must be a whole number"),
        ({"number": 0}, "number must be from 1"),
        ({"number": MOST_KEYS + 1}, "number must be from 1"),
        ({"number": [1]}, "number must be a whole number"),
        ({"nmber": 2}, "nmber is unknown"),
        ({"additional_slave_SAE_IDs": "b"}, "additional_slave_SAE_IDs must be an array"),
        ({"additional_slave_SAE_IDs": [1]}, "additional_slave_SAE_IDs must be an array"),
        ({"additional_slave_SAE_IDs": ["b", "b"]}, "additional_slave_SAE_IDs must be at most"),
        (
            {"additional_slave_SAE_IDs": [str(n) for n in range(MOST_ADDITIONAL + 1)]},
            "additional_slave_SAE_IDs must be at most",
        ),
        ({"extension_mandatory": {}}, "extension_mandatory must be an array"),
        ({"extension_mandatory": [{}]}, "extension_mandatory must be an array"),
        ({"extension_optional": [{"a": 1, "b": 2}]}, "extension_optional must be an array"),
    ],
)
def test_what_is_wrong_is_refused_by_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RefusedError) as refused:
        key_request_of_body(_body(**fields), SIZES)
    assert refused.value.status == 400
    assert refused.value.message.startswith(message)
    assert refused.value.fields()["message"] == refused.value.message


def test_mandatory_extensions_are_refused_each_by_its_name() -> None:
    with pytest.raises(RefusedError) as refused:
        key_request_of_body(_body(extension_mandatory=[{"abc_x": 1}, {"abc_y": 2}]), SIZES)
    assert refused.value.fields() == {
        "message": "not all extension_mandatory parameters are supported",
        "details": [
            {"extension_mandatory_unsupported": "abc_x is not supported"},
            {"extension_mandatory_unsupported": "abc_y is not supported"},
        ],
    }


@pytest.mark.parametrize(
    "body",
    [b"[]", b"1", b"{", b"\xff", b'{"number": NaN}', b'{"size": 64, "size": 128}', b"[" * 9_999],
)
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    for read in (lambda text: key_request_of_body(text, SIZES), key_ids_of_body):
        with pytest.raises(RefusedError, match="JSON object in UTF-8"):
            read(body)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"key_IDs": []},
        {"key_IDs": [KEY_ID]},  # strings, as some servers take them
        {"key_IDs": [{"key_ID": "1"}]},
        {"key_IDs": [{"key_ID": KEY_ID.replace("-", "")}]},
        {"key_IDs": [{"key_ID": KEY_ID, "size": 1}]},
        {"key_IDs": [{"key_ID": KEY_ID}, {"key_ID": KEY_ID}]},
        {"key_IDs": [{"key_ID": str(uuid4())} for _ in range(MOST_KEYS + 1)]},
        {"key_IDs": [{"key_ID": KEY_ID}], "more": 1},
    ],
)
def test_names_of_keys_are_objects_with_a_uuid(asked: dict[str, Any]) -> None:
    with pytest.raises(RefusedError) as refused:
        key_ids_of_body(json.dumps(asked).encode())
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "query",
    [
        [("number", "-1")],
        [("number", "1e2")],
        [("number", "")],
        [("number", "1"), ("number", "1")],
        [("additional_slave_SAE_IDs", "b")],
    ],
)
def test_a_get_takes_number_and_size_only(query: list[tuple[str, str]]) -> None:
    with pytest.raises(RefusedError) as refused:
        key_request_of_query(query, SIZES)
    assert refused.value.status == 400


@pytest.mark.parametrize("query", [[], [("key_ID", "x")], [("key_ID", KEY_ID), ("key_ID", KEY_ID)]])
def test_a_get_of_a_key_names_exactly_one(query: list[tuple[str, str]]) -> None:
    with pytest.raises(RefusedError):
        key_ids_of_query(query)


@given(st.binary(max_size=200))
def test_whatever_is_sent_is_taken_or_refused(body: bytes) -> None:
    for read in (lambda text: key_request_of_body(text, SIZES), key_ids_of_body):
        with contextlib.suppress(RefusedError):  # and nothing else
            read(body)


def test_keys_are_written_in_base64_of_their_bytes_and_never_shown() -> None:
    key = NamedKey(KEY_ID, bytes(range(32)))
    found = container([key])
    assert found == {
        "keys": [{"key_ID": KEY_ID, "key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}]
    }
    assert "x00" not in repr(key)


@given(calls)
def test_calls_are_read_as_they_were_written(call: Call) -> None:
    text = written(call)
    assert "\n" not in text
    assert read_back(text) == call


@pytest.mark.parametrize("text", ["[]", "{}", '{"method":"get-key"}', '{"method":"x"}', "nonsense"])
def test_what_is_no_call_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"call|Expecting"):
        read_back(text)


def test_the_published_description_has_the_limits_of_the_server() -> None:
    described = yaml.safe_load((Path(messages.__file__).parent / "openapi.yaml").read_text())
    schemas, paths = described["components"]["schemas"], described["paths"]
    assert set(schemas["KeyRequest"]["properties"]) == set(messages._GET_KEY)
    assert schemas["KeyRequest"]["properties"]["number"]["maximum"] == MOST_KEYS
    assert schemas["KeyIDs"]["properties"]["key_IDs"]["maxItems"] == MOST_KEYS
    others = schemas["KeyRequest"]["properties"]["additional_slave_SAE_IDs"]
    assert others["maxItems"] == MOST_ADDITIONAL
    assert {path.rpartition("/")[2]: sorted(verbs) for path, verbs in paths.items()} == {
        "status": ["get"],
        "enc_keys": ["get", "post"],
        "dec_keys": ["get", "post"],
    }
