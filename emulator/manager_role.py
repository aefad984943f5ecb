"""The global manager's role; apart from the others because it loads the solvers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from emulator.config import Experiment
from emulator.plans import document
from global_manager.demand import mean_units, poisson_scenarios
from global_manager.futures import with_demand_redrawn
from global_manager.manager import Fibers, GlobalManager, ManagerConfig
from global_manager.provisioning import replan, solve
from global_manager.provisioning.model import Plan, Policy, Problem, Scenario
from protos.core import GLOBAL_MANAGER, Core

_BISECTIONS = 60


@dataclass(frozen=True)
class StandardPlanner:
    """Plans by the optimizer; stops by gap and never by wall time."""

    policy: Policy
    gap: float
    seed: int
    rounding: str
    scenarios: int

    def solve(self, problem: Problem) -> Plan:
        """Return a plan by the policy."""
        return solve(problem, self.policy, gap=self.gap, seed=self.seed, rounding=self.rounding)

    def replan(
        self, problem: Problem, previous: Plan, down: Fibers, movable: frozenset[str]
    ) -> Plan:
        """Return a plan that keeps what may stay."""
        return replan(problem, previous, down, movable=movable, gap=self.gap)

    def expect(self, problem: Problem, mean_units: float) -> Problem:
        """Return the problem with Poisson scenarios of this mean, truncated as those before."""
        scenarios = poisson_of_mean(mean_units, self.scenarios)
        return with_demand_redrawn(replace(problem, scenarios=scenarios), self.seed)

    def describe(self, plan: Plan) -> str:
        """Return the plan as JSON."""
        return document(plan)


@dataclass(frozen=True)
class ManagerRole:
    """The global manager and how it is to plan."""

    config: ManagerConfig
    planner: StandardPlanner
    entity: str = GLOBAL_MANAGER

    def build(self) -> Core:
        """Return the core."""
        return GlobalManager(self.config, self.planner)


def planner_of(experiment: Experiment) -> StandardPlanner:
    """Return the planner that an experiment asks for."""
    options, scenarios = experiment.plan, experiment.demand.scenarios
    rounding = options.expected_value_rounding
    return StandardPlanner(options.policy, options.gap, experiment.seed, rounding, scenarios)


def poisson_of_mean(mean: float, scenarios: int) -> tuple[Scenario, ...]:
    """Return truncated Poisson scenarios whose mean is `mean` units, as near as they can have it.

    Truncation at `scenarios - 1` units lowers the mean; bisection over the parameter makes up for it.
    """
    low, high = 1e-9, 10.0 * scenarios
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _mean(middle, scenarios) < mean else (low, middle)
    return poisson_scenarios(high, scenarios)


def _mean(parameter: float, scenarios: int) -> float:
    return mean_units(poisson_scenarios(parameter, scenarios))
