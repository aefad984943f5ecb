"""A plan as a JSON document, the same for `qsagin plan` and for a run's plan.json."""

from __future__ import annotations

import json
from typing import Any

from global_manager.provisioning.model import Plan


def fields(plan: Plan) -> dict[str, Any]:
    """Return the plan's fields under their public names."""
    return {
        "policy": plan.policy.value,
        "termination": plan.termination.value,
        "objective": plan.objective,
        "lower_bound": plan.lower_bound,
        "gap": plan.gap,
        "first_stage_cost": plan.first_stage_cost,
        "expected_recourse_cost": plan.expected_recourse_cost,
        "expected_shortfall_units": plan.expected_shortfall_units,
        "unplaced_units": sum(item.units - len(item.wavelengths) for item in plan.allocations),
        "displaced_units": plan.displaced_units,
        "reserved_units": sum(item.units for item in plan.allocations),
        "allocations": [
            {
                "request": item.request,
                "source": item.source,
                "target": item.target,
                "path": list(item.path),
                "wavelengths": list(item.wavelengths),
                "units": item.units,
            }
            for item in plan.allocations
        ],
    }


def document(plan: Plan) -> str:
    """Return the plan as JSON text; equal plans give equal text."""
    return json.dumps(fields(plan), sort_keys=True)
