"""Which notifications are possible, and from whom the manager takes them."""

from __future__ import annotations

from global_manager.orders import CONTROLLER_OF
from global_manager.provisioning.model import Problem
from protos.core import FIBER_CONTROLLER, key_manager_of, role_of
from protos.mib import AccessRole, AgentRow, FiberStateRow, ReservationRow, Row, ShortageRow


def may_say(source: str, row: Row, problem: Problem, periods: int) -> bool:
    """Return whether a notification is possible, and comes from an agent that it concerns."""
    match row:
        case ShortageRow():
            known = 0 <= row.request < len(problem.requests)
            return (
                known
                and source == key_manager_of(problem.requests[row.request].source)
                and row.units > 0
                and 0 <= row.period < periods
            )
        case ReservationRow() | FiberStateRow():
            return source == FIBER_CONTROLLER
        case AgentRow():
            return role_of(source) in (AccessRole.CONTROLLER, AccessRole.NODE)
        case _:
            return source in CONTROLLER_OF.values()
