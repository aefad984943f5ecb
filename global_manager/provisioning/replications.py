"""How far a plan made for drawn futures is from the best one for all futures: multiple replications.

The gap of a plan on its own sample says nothing of other futures.  Here other samples of the same size are
drawn, independently.  On each the plan is priced and the least cost bounded from below; their difference is
on average no less than the true gap, so the mean over samples bounds it, with Student's t for chance (Mak,
Morton and Wood 1999, Operations Research Letters 24, procedure MRP).
"""

from __future__ import annotations

from global_manager.provisioning.check import evaluate
from global_manager.provisioning.model import Plan, Problem
from global_manager.provisioning.price_decomposition import relax
from global_manager.provisioning.scenario_sampling import Moments, with_futures_drawn


def replicated_gaps(
    problem: Problem, plan: Plan, moments: Moments, replications: int, seed: int
) -> list[float]:
    """Return by how much a plan exceeds a bound on the least cost, on each sample; in monetary units.

    Samples are of the size of the problem's own; `seed` is that of the experiment.
    """
    gaps = []
    for number in range(1, replications + 1):
        sample = with_futures_drawn(problem, moments, len(problem.futures), seed + number)
        cost = evaluate(sample, plan.allocations).total
        gaps.append(cost - min(cost, relax(sample).lower_bound))
    return gaps
