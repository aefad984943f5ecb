"""What a run came to for every tenant, and who pays for it.

Cash, what was paid for reservations, their changes and orders, is shared by weights in whole monetary
units; the price of lost key, which nobody is paid, stays with the tenant that lost it.  So costs of
tenants add up to the cost of the run, exactly.  `own_cash` is what the ledger books for a tenant's own
requests, for comparison: the network decides whose requests are served from fiber and whose from orbit, so
that is luck as much as use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from emulator.results.decisions import Decision
from emulator.results.ledger import LedgerRow
from global_manager.provisioning.cost_sharing import apportioned
from protos.facts import FactKind

_SUMS = (
    "demanded_units",
    "fiber_units",
    "satellite_units",
    "uav_units",
    "late_units",
    "failed_units",
    "shortfall_units",
    "shortfall_s",
    "down_s",
    "shortfall_cost",
)


def by_tenant(
    rows: Iterable[LedgerRow],
    tenant_of: Mapping[str, str],
    decisions: Iterable[Decision] = (),
    weights: Sequence[float] | None = None,
) -> list[dict[str, Any]]:
    """Return one line per tenant; `tenant_of` has the tenant of every request by its id.

    Without `weights`, one per tenant in the order of `tenant_of`, cash is shared by demanded units, and
    equally if nothing was demanded.  `blocking` is the share of demanded units for which there was no
    reserved key when they were asked for; `refused_units` were ordered from a medium that refused.
    """
    names = dict.fromkeys(tenant_of.values())
    lines: dict[str, dict[str, Any]] = {
        name: {
            "tenant": name,
            "requests": 0,
            **dict.fromkeys((*_SUMS, "refused_units", "own_cash"), 0),
        }
        for name in names
    }
    for tenant in tenant_of.values():
        lines[tenant]["requests"] += 1
    for row in rows:
        line = lines[tenant_of[row.request]]
        line["own_cash"] += row.cash
        for field in _SUMS:
            line[field] += getattr(row, field)
    for item in decisions:
        if item.decision is FactKind.REFUSED and item.request:
            lines[tenant_of[item.request]]["refused_units"] += item.units
    return _priced(list(lines.values()), weights)


def _priced(lines: list[dict[str, Any]], weights: Sequence[float] | None) -> list[dict[str, Any]]:
    """Add what each tenant pays, and its blocking."""
    if weights is None:
        weights = [line["demanded_units"] for line in lines]
    cash = apportioned(sum(line["own_cash"] for line in lines), weights)
    for line, paid in zip(lines, cash, strict=True):
        demanded = line["demanded_units"]
        line["blocking"] = line["late_units"] / demanded if demanded else 0.0
        line["cash"] = paid
        line["cost"] = paid + line["shortfall_cost"]
    return lines
