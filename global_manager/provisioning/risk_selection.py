"""Whole numbers for a problem with a risk: the program whose tail is cut until it is no cheaper than it is.

Under the weights of the best bound many requests are indifferent between one unit more and one less; only
the tail says how many of them should have it.  So the program with all tails that the relaxation met
(`tail_choice`) is searched, its answer's own tail joined to it, and so on; every answer is judged by its
exact cost.
"""

from __future__ import annotations

from global_manager.provisioning.model import Risk
from global_manager.provisioning.priced_recourse import Relaxation
from global_manager.provisioning.recourse import Floats
from global_manager.provisioning.risk import JointStage, tail_weights
from global_manager.provisioning.selection import (
    Selection,
    choose,
    is_feasible,
    round_and_fill,
    selected,
)
from global_manager.provisioning.shared_selection import promising_columns
from global_manager.provisioning.solver import SearchLimits, run
from global_manager.provisioning.tail_choice import TailChoice

_START_SHARE = 10  # of the nodes; more hardly improves a start
_LEAST_SEARCHES, _MOST_SEARCHES = 4, 50
_SEARCHED_GROUPS = 400  # in all searches: fewer in larger problems, where each takes seconds


def choose_with_risk(relaxation: Relaxation, gap: float, nodes: int) -> Selection:
    """Return the best whole selection found, judged by its exact cost.

    It is searched until half the relative `gap` to the bound over all paths, or for `nodes`
    branch-and-bound nodes at a time (0: not at all).
    """
    search = _Search(relaxation)
    instance, pool = relaxation.instance, relaxation.pool
    starts = round_and_fill(instance, pool), choose(instance, pool, gap, nodes // _START_SHARE)
    best = min(starts, key=search.cost)
    good_enough = relaxation.lower_bound * (1 + gap / 2)
    columns = promising_columns(relaxation, best)
    tails = [*relaxation.tails, *map(search.tail, starts)]
    program = TailChoice(instance, search.stage, search.risk, columns, tails)
    target = good_enough - program.constant
    limits = SearchLimits(gap=gap * relaxation.lower_bound / 4, target=target, nodes=nodes)
    searches = _SEARCHED_GROUPS // max(1, len(instance.groups))
    for _ in range(min(_MOST_SEARCHES, max(_LEAST_SEARCHES, searches))):
        if nodes == 0 or search.cost(best) <= good_enough:
            break
        known = {x.name: float(best[c]) for x, c in zip(program.take, columns, strict=True)}
        known["tail"] = search.tail_cost(best)
        values = run(program.model, limits, known)
        found = selected(columns, program.take, values) if values is not None else best
        if found == best or not is_feasible(instance, found):
            break
        program.cut(search.tail(found))
        best = min(found, best, key=search.cost)
    return best


class _Search:
    """What selections cost, future by future."""

    def __init__(self, relaxation: Relaxation) -> None:
        problem = relaxation.instance.problem
        if problem.risk is None:
            raise ValueError("the problem has no risk")
        self.risk: Risk = problem.risk
        self.stage = JointStage(problem)
        self._order = [group.members[0] for group in relaxation.instance.groups]

    def cost(self, selection: Selection) -> float:
        """Return mean and CVaR of the cost, weighed."""
        first = sum(n * c.path_cost * c.wavelengths for c, n in selection.items())
        costs = self._costs(selection)
        mean = float(self.stage.probability @ costs)
        return first + self.risk.weighed(mean, self.tail_cost(selection))

    def tail(self, selection: Selection) -> Floats:
        """Return the weights of the dearest futures."""
        return tail_weights(self._costs(selection), self.stage.probability, self.risk.level)

    def tail_cost(self, selection: Selection) -> float:
        """Return the CVaR of the recourse."""
        return float(self.tail(selection) @ self._costs(selection))

    def _costs(self, selection: Selection) -> Floats:
        reserved = [0] * len(self._order)
        for column, n in selection.items():
            if n:
                reserved[self._order[column.group]] = column.units
        return self.stage.costs(reserved)
