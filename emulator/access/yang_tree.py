"""Which nodes the data of ETSI GS QKD 015 has, and how a part is chosen (RFC 8040, 3.5.3 and 4.8).

A part is named by a path, and reduced by the query parameters `content`, `depth` and `fields`.  Leaves
whose condition in the model no document can meet are given only if the path or `fields` names them.
Nothing here knows HTTP, or what a value means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emulator.access.sdn_node import MODULE
from emulator.input_checks import one_line

_CONTENTS = ("all", "config", "nonconfig")
_MOST_DEPTH = 65_535


class NoSuchNodeError(Exception):
    """A path leads nowhere: the model has no such node, or the document no such entry."""


class WrongParameterError(Exception):
    """A query parameter is not as it must be; the text says how."""


@dataclass(frozen=True)
class Branch:
    """A node of the model: its children, the key of its entries if it is a list, and what it holds.

    A state node is no configuration; a conditional one depends on a condition that cannot be met.
    """

    children: Mapping[str, Branch] = field(default_factory=dict)
    key: str = ""
    is_state: bool = False
    is_conditional: bool = False


_LEAF, _STATE = Branch(), Branch(is_state=True)
_CONDITIONAL = Branch(is_conditional=True)


def _leaves(*names: str) -> dict[str, Branch]:
    return dict.fromkeys(names, _LEAF)


def _states(*names: str) -> dict[str, Branch]:
    return dict.fromkeys(names, _STATE)


_STATISTICS = Branch(
    _states("end_time", "start_time", "consumed_bits"), key="end_time", is_state=True
)
_APPLICATION = Branch(
    {
        **_leaves("app_id", "app_type", "server_app_id", "client_app_id", "app_priority"),
        **_leaves("expiration_time", "backing_qkdl_id", "local_qkdn_id", "remote_qkdn_id"),
        **_states("app_status", "creation_time"),
        "app_statistics": Branch({"statistics": _STATISTICS}),
        "app_qos": Branch(
            _leaves(
                "max_bandwidth",
                "min_bandwidth",
                "jitter",
                "ttl",
                "clients_shared_path_enable",
                "clients_shared_keys_required",
            )
        ),
    },
    key="app_id",
)
_INTERFACE = Branch(
    {
        **_leaves("qkdi_id", "qkdi_model", "qkdi_type"),
        **_states("qkdi_status"),
        "qkdi_att_point": Branch(_leaves("device", "port")),
        "qkdi_capabilities": Branch(_leaves("role_support", "wavelength_range", "max_absorption")),
    },
    key="qkdi_id",
)
_PERFORMANCE = Branch(
    _states("perf_type", "value"), key="perf_type", is_state=True, is_conditional=True
)
_LINK = Branch(
    {
        **_leaves("qkdl_id", "qkdl_status", "qkdl_enable", "qkdl_type", "qkdl_applications"),
        "qkdl_local": Branch(_leaves("qkdn_id", "qkdi_id")),
        "qkdl_remote": Branch(_leaves("qkdn_id", "qkdi_id")),
        **dict.fromkeys(("virt_prev_hop", "virt_next_hop", "virt_bandwidth"), _CONDITIONAL),
        **dict.fromkeys(("phys_channel_att", "phys_wavelength", "phys_qkd_role"), _CONDITIONAL),
        "qkdl_performance": Branch(
            {**_states("expected_consumption", "skr", "eskr"), "phys_perf": _PERFORMANCE}
        ),
    },
    key="qkdl_id",
)
NODE = Branch(
    {
        **_leaves("qkdn_id", "qkdn_version", "qkdn_location_id"),
        **_states("qkdn_status"),
        "qkdn_capabilities": Branch(
            _leaves("link_stats_support", "application_stats_support", "key_relay_mode_enable")
        ),
        "qkd_applications": Branch({"qkd_app": _APPLICATION}),
        "qkd_interfaces": Branch({"qkd_interface": _INTERFACE}),
        "qkd_links": Branch({"qkd_link": _LINK}),
    }
)


@dataclass(frozen=True)
class Tree:
    """A document's module, the name of its root, and its model."""

    module: str
    root: str
    branch: Branch

    @property
    def name(self) -> str:
        """The name of the root as JSON has it."""
        return f"{self.module}:{self.root}"


QKD_NODE = Tree(MODULE, "qkd_node", NODE)
RESTCONF_STATE = Tree(
    "ietf-restconf-monitoring",
    "restconf-state",
    Branch(
        {
            "capabilities": Branch(_states("capability")),
            "streams": Branch(
                {
                    "stream": Branch(
                        {
                            **_states("name", "description", "replay-support"),
                            "access": Branch(
                                _states("encoding", "location"), key="encoding", is_state=True
                            ),
                        },
                        key="name",
                        is_state=True,
                    )
                }
            ),
        }
    ),
)
YANG_LIBRARY = Tree(
    "ietf-yang-library",
    "yang-library",
    Branch(
        {
            "module-set": Branch(
                {
                    **_states("name"),
                    "module": Branch(
                        _states("name", "revision", "namespace"), key="name", is_state=True
                    ),
                    "import-only-module": Branch(
                        _states("name", "revision", "namespace"), key="name", is_state=True
                    ),
                },
                key="name",
                is_state=True,
            ),
            "schema": Branch(_states("name", "module-set"), key="name", is_state=True),
            "datastore": Branch(_states("name", "schema"), key="name", is_state=True),
            **_states("content-id"),
        }
    ),
)

Fields = dict[str, "Fields"]


@dataclass(frozen=True)
class Choice:
    """What is wanted of a part: state or configuration, how deep, and which nodes (None: all)."""

    content: str = "all"
    depth: int = _MOST_DEPTH
    fields: Fields | None = None

    @classmethod
    def of(cls, query: Sequence[tuple[str, str]]) -> Choice:
        """Return what a query asks for.  Raises `WrongParameterError`."""
        found = dict(query)
        for name in found.keys() - {"content", "depth", "fields"}:
            raise WrongParameterError(f"{one_line(name, 60)} is no parameter of this resource")
        if len(found) < len(query):
            raise WrongParameterError("a parameter is given twice")
        content = found.get("content", "all")
        if content not in _CONTENTS:
            raise WrongParameterError(f"content must be one of {', '.join(_CONTENTS)}")
        fields = _fields(found["fields"]) if "fields" in found else None
        return cls(content, _depth(found.get("depth", "unbounded")), fields)


@dataclass(frozen=True)
class Part:
    """A part of a document: its name, what the model says of it, and its value.

    `is_entry` says that the value is one entry of a list.
    """

    module: str
    name: str
    branch: Branch
    value: Any
    is_entry: bool = False

    def chosen(self, choice: Choice) -> dict[str, Any]:
        """Return what is wanted of it, as the answer to a GET.  Raises `WrongParameterError`."""
        _check(self.branch, choice.fields)
        found = _reduced(self.value, self.branch, choice, choice.fields, choice.depth)
        return {f"{self.module}:{self.name}": [found] if self.is_entry else found}


def part_of(tree: Tree, document: Mapping[str, Any], steps: Sequence[str]) -> Part:
    """Return what a path below the root names, such as `qkd_links`, `qkd_link=UUID`.

    Values of keys are decoded already.  Raises `NoSuchNodeError`.
    """
    part = Part(tree.module, tree.root, tree.branch, document)
    for step in steps:
        part = _below(part, step)
    return part


def _below(part: Part, step: str) -> Part:
    name, equals, key = step.removeprefix(f"{part.module}:").partition("=")
    branch = part.branch.children.get(name)
    is_open_list = bool(part.branch.key) and not part.is_entry
    if branch is None or is_open_list or name not in part.value or bool(equals) > bool(branch.key):
        raise NoSuchNodeError
    value = part.value[name]
    if not equals:
        return Part(part.module, name, branch, value)
    entries = [item for item in value if str(item[branch.key]) == key]
    if not entries:
        raise NoSuchNodeError
    return Part(part.module, name, branch, entries[0], is_entry=True)


def _reduced(value: Any, branch: Branch, choice: Choice, fields: Fields | None, depth: int) -> Any:
    if isinstance(value, list) and branch.key:
        return [_reduced(item, branch, choice, fields, depth) for item in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for name, item in value.items():
        child = branch.children[name]
        if not _is_wanted(name, child, branch, choice.content, fields):
            continue
        if name != branch.key and depth <= 1:
            continue
        below = (fields or {}).get(name) or None
        kept = _reduced(item, child, choice, below, depth - 1)
        if kept not in ({}, []) or item in ({}, []) or depth <= 2:
            found[name] = kept
    return found


def _is_wanted(
    name: str, child: Branch, parent: Branch, content: str, fields: Fields | None
) -> bool:
    if name == parent.key:
        return True
    if fields is not None and fields and name not in fields:
        return False
    if child.is_conditional and not (fields and name in fields):
        return False
    if content == "config":
        return not child.is_state
    return content == "all" or child.is_state or bool(child.children)


def _check(branch: Branch, fields: Fields | None) -> None:
    """Raise if fields name what the model does not have."""
    for name, below in (fields or {}).items():
        if name not in branch.children:
            raise WrongParameterError(f"fields names {one_line(name, 60)}, which is not there")
        _check(branch.children[name], below)


def _depth(text: str) -> int:
    if text == "unbounded":
        return _MOST_DEPTH
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= _MOST_DEPTH):
        raise WrongParameterError(f"depth must be from 1 to {_MOST_DEPTH}, or unbounded")
    return int(text)


def _fields(text: str) -> Fields:
    """Return the tree that an expression like `a/b(c;d);e` names (RFC 8040, 4.8.3)."""
    reader = _FieldsReader(text)
    found = reader.alternatives(0)
    if reader.rest:
        raise _wrong_fields()
    return found


_MOST_NESTED = 16


def _wrong_fields() -> WrongParameterError:
    return WrongParameterError("fields must be like a;b/c(d;e)")


class _FieldsReader:
    """Reads an expression from the left."""

    def __init__(self, text: str) -> None:
        self.rest = text

    def alternatives(self, nested: int) -> Fields:
        """Return what paths with semicolons between them name."""
        found: Fields = {}
        while True:
            _merge(found, self._path(nested))
            if not self._take(";"):
                return found

    def _path(self, nested: int) -> Fields:
        if nested > _MOST_NESTED:
            raise _wrong_fields()
        length = next((i for i, c in enumerate(self.rest) if c in ";/()"), len(self.rest))
        name, self.rest = self.rest[:length].removeprefix(f"{MODULE}:"), self.rest[length:]
        if not name:
            raise _wrong_fields()
        if self._take("/"):
            return {name: self._path(nested + 1)}
        if not self._take("("):
            return {name: {}}
        below = self.alternatives(nested + 1)
        if not self._take(")"):
            raise _wrong_fields()
        return {name: below}

    def _take(self, letter: str) -> bool:
        is_there = self.rest.startswith(letter)
        self.rest = self.rest[is_there:]
        return is_there


def _merge(into: Fields, more: Fields) -> None:
    """Add names; who names a node as a whole and a part of it gets the whole."""
    for name, below in more.items():
        if name not in into:
            into[name] = below
        elif not into[name] or not below:
            into[name] = {}
        else:
            _merge(into[name], below)
