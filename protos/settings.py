"""Single columns that an operator may set in rows that exist, all of a Set or none.

A Set is validated before anything is done (RFC 3416, section 4.2.5), by whoever takes it from outside
and again by the agent.  Nothing here knows what a value does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from protos.facts import Fact, FactKind, Setting
from protos.mib import BY_ENTRY, BY_ROW, ENTRY_ARCS, AccessRole, Row, Table
from protos.pdu import Arcs, ErrorStatus, Pdu, VarBind
from protos.rows import VarBindError, check_value, instance


class _Column(NamedTuple):
    table: Table
    field: str
    instance: Arcs


def is_setting(name: Arcs) -> bool:
    """Return whether a name is of a table whose columns can be set one by one."""
    table = BY_ENTRY.get(name[:ENTRY_ARCS])
    return table is not None and bool(table.settable)


def settings(
    varbinds: Sequence[VarBind], role: AccessRole, rows: Mapping[type[Row], Iterable[Row]]
) -> list[Row]:
    """Return the rows that a Set changes, as it would leave them, in order of first mention.

    `rows` are those there are.  Raises `VarBindError` if one of the variables cannot be set so.
    """
    known = {
        (BY_ROW[kind].entry, instance(row)): row for kind, found in rows.items() for row in found
    }
    changed: dict[tuple[Arcs, Arcs], Row] = {}
    seen: set[Arcs] = set()
    for position, bind in enumerate(varbinds, 1):
        column = _column(bind, role, position)
        status = check_value(column.table, column.field, bind.value)
        if status is not ErrorStatus.NO_ERROR:
            raise VarBindError(status, position)
        key = (column.table.entry, column.instance)
        row = changed.get(key, known.get(key))
        if row is None:
            raise VarBindError(ErrorStatus.NO_CREATION, position)
        if bind.name in seen:
            raise VarBindError(ErrorStatus.INCONSISTENT_NAME, position)
        seen.add(bind.name)
        changed[key] = replace(row, **{column.field: bind.value})  # type: ignore[arg-type]
    return list(changed.values())


def set_fact(operator: str, answer: Pdu) -> Fact:
    """Return, for the journal of an agent, what an operator has set there, or why not."""
    names = tuple(spelt(bind.name) for bind in answer.varbinds)
    values = tuple(bind.value if isinstance(bind.value, int) else 0 for bind in answer.varbinds)
    is_refused = answer.error_status is not ErrorStatus.NO_ERROR
    said = Setting(names, values, answer.error_status.name if is_refused else "")
    return Fact(FactKind.SET, peer=operator, details=said)


def spelt(name: Arcs) -> str:
    """Return the name of a column's instance in words, as in `qsFiberAdminStatus.3`.

    A name of no column is written in numbers.
    """
    table = BY_ENTRY.get(name[:ENTRY_ARCS])
    if table is not None:
        for field, column in table.columns.items():
            if name[ENTRY_ARCS : ENTRY_ARCS + 1] == (column,):
                index = name[ENTRY_ARCS + 1 :]
                return ".".join([table.column_name(field), *map(str, index)])
    return ".".join(map(str, name))


def named(text: str) -> Arcs:
    """Return the name of an instance that was written in words.  Raises `ValueError`."""
    word, *index = text.split(".")
    for table in BY_ROW.values():
        for field, column in table.columns.items():
            if table.column_name(field) == word and len(index) == len(table.index):
                return (*table.entry, column, *map(int, index))
    raise ValueError(f"must be a column of QSAGIN-MIB and its index, not {text}")


def _column(bind: VarBind, role: AccessRole, position: int) -> _Column:
    """Return which column a variable is of, if this role may set it.  Raises `VarBindError`."""
    name = bind.name
    table = BY_ENTRY.get(name[:ENTRY_ARCS])
    if role is not AccessRole.MANAGER:
        raise VarBindError(ErrorStatus.NO_ACCESS, position)
    if table is None:
        raise VarBindError(ErrorStatus.NOT_WRITABLE, position)
    if not table.settable:
        status = ErrorStatus.NO_ACCESS if table.writable_by else ErrorStatus.NOT_WRITABLE
        raise VarBindError(status, position)
    field = next((f for f, at in table.columns.items() if name[ENTRY_ARCS:][:1] == (at,)), "")
    if field not in table.settable:
        raise VarBindError(ErrorStatus.NOT_WRITABLE, position)
    return _Column(table, field, name[ENTRY_ARCS + 1 :])
