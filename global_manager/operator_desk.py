"""What operators ask of the global manager by SNMP: a plan, made again from the current state.

A Set is validated as any agent validates it, answered, and noted.  Nothing here knows how plans are made.
"""

from __future__ import annotations

from collections.abc import Callable

from global_manager.plan_in_force import PlanInForce
from protos.core import Effects, role_of
from protos.mib import PlanningRow, Row
from protos.pdu import ErrorStatus, Pdu
from protos.rows import VarBindError
from protos.settings import set_fact, settings
from protos.syntax import PlanningAction


class OperatorDesk:
    """See the module.

    `replan` makes a plan, or returns that this manager makes none.
    """

    def __init__(
        self, effects: Effects, plan: PlanInForce, replan: Callable[[float], bool]
    ) -> None:
        self._effects, self._plan, self._replan = effects, plan, replan

    def rows(self) -> dict[type[Row], tuple[Row, ...]]:
        """Return all rows that can be read, by their type."""
        counts = self._plan.plans, self._plan.failed_plans
        return {PlanningRow: (PlanningRow(1, PlanningAction.IDLE, *counts),)}

    def take(self, operator: str, pdu: Pdu, now_s: float) -> None:
        """Do a Set, answer it, and note both."""
        answer = self._answer(operator, pdu, now_s)
        self._effects.note(set_fact(operator, answer))
        self._effects.send(operator, answer)

    def _answer(self, operator: str, pdu: Pdu, now_s: float) -> Pdu:
        try:
            rows = settings(pdu.varbinds, role_of(operator), self.rows())
        except VarBindError as error:
            return pdu.response(None, error.error_status, error.error_index)
        wanted = any(
            isinstance(row, PlanningRow) and row.action == PlanningAction.REPLAN for row in rows
        )
        if wanted and not self._replan(now_s):
            return pdu.response(None, ErrorStatus.INCONSISTENT_VALUE, 1)
        return pdu.response()
