"""The problem as whoever knows all demand beforehand would state it: every period is a scenario.

Only the sky stays uncertain, as the problem has it.  A plan for this problem reserves once, for all
periods, what would have been best on average, up to its gap; it does not know about the start of a run, key
that is left over, or faults, so it is a floor of plans and no proven bound of what a run may cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from global_manager.provisioning.model import Future, Problem, Request, Scenario
from global_manager.provisioning.shared_recourse import has_pools
from global_manager.provisioning.stores import Store, seen_through


def with_known_demand(
    problem: Problem, units: Sequence[Sequence[int]], stores: Sequence[Store] = ()
) -> Problem:
    """Return the problem with the demand of every period, in the order of its requests; none is empty.

    `stores` are those of the requests; without, they keep what a period brings.
    """
    own = stores or [Store()] * len(problem.requests)
    requests = through_stores([replace(r, ball=None) for r in problem.requests], units, own)
    known = replace(
        problem,
        requests=requests,
        scenarios=_law([one for period in units for one in period]),
        joint=(),
        futures=(),
        risk=None,
    )
    return replace(known, futures=_futures(problem, units)) if has_pools(problem) else known


def through_stores(
    requests: Sequence[Request], units: Sequence[Sequence[int]], stores: Sequence[Store]
) -> tuple[Request, ...]:
    """Return requests as a plan sees them whose units are known, by period."""
    return tuple(
        replace(request, scenarios=_law(column))
        if store.is_plain
        else seen_through(request, [(Scenario(one, 1.0),) for one in column], store)
        for request, column, store in zip(requests, zip(*units, strict=True), stores, strict=True)
    )


def _law(units: Sequence[int]) -> tuple[Scenario, ...]:
    counts = Counter(units)
    return tuple(Scenario(value, counts[value] / len(units)) for value in sorted(counts))


def _futures(problem: Problem, units: Sequence[Sequence[int]]) -> tuple[Future, ...]:
    """Return each period under each sky; where skies were drawn, under as many as there are for it."""
    skies = _skies(problem)
    if problem.futures:
        each = max(1, len(skies) // len(units))
        chosen = [
            [skies[(period * each + number) % len(skies)] for number in range(each)]
            for period in range(len(units))
        ]
    else:
        chosen = [skies] * len(units)
    return tuple(
        Future(chance / sum(weight for weight, _ in under) / len(units), tuple(period), usable)
        for period, under in zip(units, chosen, strict=True)
        for chance, usable in under
    )


def _skies(problem: Problem) -> list[tuple[float, tuple[bool, ...]]]:
    """Return whom satellites can serve, with the chance of it."""
    if problem.futures:
        return [(future.probability, future.usable) for future in problem.futures]
    chances = [request.on_demand.satellite_probability for request in problem.requests]
    common = next((chance for chance in chances if 0 < chance < 1), None)
    if common is None:
        return [(1.0, tuple(chance == 1 for chance in chances))]
    clear, covered = (
        tuple(chance > 0 for chance in chances),
        tuple(chance == 1 for chance in chances),
    )
    return [(common, clear), (1 - common, covered)]
