"""A hundred years of emulated time: what is shown by SNMP finds room in its types."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime

import pytest

from emulator.management.objects import About, Names, Type, columns_of
from emulator.runtime.glances import Glance
from protos.core import Totals
from protos.mib import BY_ROW, TABLES, AccessRole, SummaryRow
from protos.pdu import ErrorStatus
from protos.rows import check_value, time_ticks
from protos.syntax import RowStatus, Syntax, TruthValue

CENTURY_S = 100 * 365.25 * 86_400
UNITS_PER_S = 1_000_000  # of all applications together: more than any network here is asked for
BITS_PER_S = 10**9
LEAST_PERIOD_S = 1.0


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_number_of_a_century_fits_its_column(table) -> None:  # type: ignore[no-untyped-def]
    """Each column is given the most that a century can bring: times, sums, what is numbered on and on."""
    most = {
        Syntax.MILLISECONDS: round(CENTURY_S * 1_000),
        Syntax.COUNTER64: round(CENTURY_S * UNITS_PER_S),
        Syntax.GAUGE64: round(CENTURY_S * BITS_PER_S),
        Syntax.UNSIGNED32: round(CENTURY_S / LEAST_PERIOD_S),
    }
    for name, syntax in table.syntax.items():
        if syntax in most:
            assert check_value(table, name, most[syntax]) is ErrorStatus.NO_ERROR, name


def test_what_an_entity_shows_after_a_century_is_as_the_module_says() -> None:
    totals = Totals(*[round(CENTURY_S * UNITS_PER_S)] * 3, cost=10**18)
    glance = Glance(round(CENTURY_S), CENTURY_S, {}, totals)
    about = About("x", epoch=datetime(2030, 1, 1, tzinfo=UTC))
    columns = columns_of("x", glance, AccessRole.OBSERVER, about, Names())
    cells = {column.names[0]: column.cell(0) for column in columns}
    summary = BY_ROW[SummaryRow]
    shown = {field: cells[*summary.entry, number, 1] for field, number in summary.columns.items()}
    assert shown["window"].type is Type.COUNTER64
    assert shown["demanded_units"].value == totals.demanded_units > 2**50
    assert shown["cost"].value == 10**18
    assert bytes(shown["date"].value)[:4] == bytes.fromhex("08520102")  # type: ignore[arg-type]
    assert 0 <= time_ticks(CENTURY_S) < 2**32


def test_states_are_enumerations_and_truth_values() -> None:
    kinds = {
        (table.name, field.name): table.enumerations.get(field.name)
        for table in TABLES
        for field in fields(table.row)
    }
    assert kinds["qsDelivery", "is_source"] is TruthValue
    assert kinds["qsReservation", "row_status"] is RowStatus
    for (_, name), kind in kinds.items():
        assert (kind is not None) or name not in {"oper_status", "cause", "status", "action"}
