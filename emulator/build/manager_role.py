"""The global manager's role, and with it the roles of all actors of a run.

Apart from the other roles, which hosts load, because this one loads the solvers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from emulator.build.assembly import Assembly
from emulator.build.plan_report import document
from emulator.build.roles import FiberRole, KeyManagerRole, Role, SatelliteRole, UavRole
from emulator.config.demand import Demand
from emulator.config.experiment import Experiment
from emulator.world.world import World
from global_manager.forecasting import Forecast
from global_manager.forecasting.foresight import Foresight
from global_manager.manager import GlobalManager, ManagerConfig
from global_manager.planner import Fibers
from global_manager.provisioning import Rearrangement, Watch, replan, solve
from global_manager.provisioning.check import evaluate
from global_manager.provisioning.demand import mean_units
from global_manager.provisioning.hourly import Hours, plan_by_hours
from global_manager.provisioning.model import OwnPolicy, Plan, Policy, Problem, Scenario
from global_manager.provisioning.own_plan import Past, Settings, own_replan
from global_manager.provisioning.own_policy import Heard
from global_manager.provisioning.policies import plan_by
from global_manager.provisioning.recourse import expected_unit_cost
from global_manager.provisioning.replanning import without_fibers
from global_manager.provisioning.scenario_reduction import wasserstein_units
from global_manager.provisioning.scenario_sampling import with_demand_redrawn
from global_manager.provisioning.shared_recourse import has_pools
from protos.core import GLOBAL_MANAGER, Core

_BISECTIONS = 60


@dataclass(frozen=True)
class StandardPlanner:
    """Plans by the optimizer; stops by gap and never by wall time."""

    policy: Policy | OwnPolicy
    gap: float
    seed: int
    rounding: str
    demand: Demand
    rearrangement: Rearrangement
    foresight: Foresight | None = None

    def solve(self, problem: Problem) -> Plan:
        """Return a plan by the policy."""
        return solve(problem, self.policy, gap=self.gap, seed=self.seed, rounding=self.rounding)

    def solve_hours(self, hours: Hours) -> tuple[Plan, ...]:
        """Return a plan for each hour."""
        return plan_by_hours(hours, self.solve, self.gap).plans

    def reserve_nothing(self, problem: Problem) -> Plan:
        """Return the plan that needs no optimizer."""
        return plan_by(problem, Policy.NONE, Settings(), Watch())

    def replan(
        self,
        problem: Problem,
        previous: Plan,
        down: Fibers,
        movable: frozenset[str],
        *,
        heard: tuple[Heard, ...] = (),
    ) -> Plan:
        """Return a plan that keeps what may stay, or nearly all of it; a policy of one's own decides."""
        if isinstance(self.policy, OwnPolicy):
            settings = Settings(self.gap, self.seed, self.rounding)
            past = Past(lost_fibers=down, heard=heard)
            return own_replan(problem, self.policy, settings, previous, past)
        return replan(
            problem,
            previous,
            down,
            movable=movable,
            gap=self.gap,
            rearrangement=self.rearrangement,
        )

    def expect(self, problem: Problem, mean_units: float) -> Problem:
        """Return the problem with scenarios of this mean: the same law, cut off and reduced as before."""
        scenarios = self.demand.kept(scenarios_of_mean(self.demand, mean_units))
        return with_demand_redrawn(replace(problem, scenarios=scenarios), self.seed)

    def revise(
        self, problem: Problem, previous: Plan, forecast: Forecast, down: Fibers
    ) -> tuple[Problem, Plan] | None:
        """Return the problem under a forecast, and a plan for it if that saves enough; None if it does not.

        Expected recourse changes by at most the Wasserstein distance of the scenarios times the price of a
        unit, for the plan in force as for the best one; where even that is too little nothing is solved.
        """
        if self.foresight is None:
            return None
        scenarios = self.foresight.scenarios_of(forecast)
        wanted = with_demand_redrawn(replace(problem, scenarios=scenarios), self.seed)
        in_force = evaluate(without_fibers(wanted, down), previous.allocations).objective
        least = self.foresight.least_saving * in_force
        dearest = sum(expected_unit_cost(item.on_demand) for item in problem.requests)
        was_good_by = max(0.0, previous.objective - previous.lower_bound)
        moved = wasserstein_units(problem.scenarios, scenarios) * dearest
        if not has_pools(problem) and 2 * moved + was_good_by <= least:
            return None
        everybody = frozenset(item.id for item in problem.requests)
        plan = self.replan(wanted, previous, down, everybody)
        return (wanted, plan) if in_force - plan.objective > least else None

    def describe(self, plan: Plan) -> str:
        """Return the plan as JSON."""
        return document(plan)


class TimedPlanner:
    """A planner that remembers how long it took, which decides nothing, and the forecast so far."""

    def __init__(self, planner: StandardPlanner) -> None:
        self._planner = planner
        self.last_solve_s = 0.0
        self._seen = 0
        self._forecast = planner.foresight.forecast if planner.foresight else None

    def solve(self, problem: Problem) -> Plan:
        """Return a plan by the policy."""
        with self._timed():
            return self._planner.solve(problem)

    def solve_hours(self, hours: Hours) -> tuple[Plan, ...]:
        """Return a plan for each hour."""
        with self._timed():
            return self._planner.solve_hours(hours)

    def reserve_nothing(self, problem: Problem) -> Plan:
        """Return the plan that needs no optimizer."""
        return self._planner.reserve_nothing(problem)

    def replan(
        self,
        problem: Problem,
        previous: Plan,
        down: Fibers,
        movable: frozenset[str],
        *,
        heard: tuple[Heard, ...] = (),
    ) -> Plan:
        """Return a plan that keeps what may stay, or nearly all of it."""
        with self._timed():
            return self._planner.replan(problem, previous, down, movable, heard=heard)

    def expect(self, problem: Problem, mean_units: float) -> Problem:
        """Return the problem with scenarios of this mean."""
        return self._planner.expect(problem, mean_units)

    def foresee(
        self, problem: Problem, previous: Plan, observed: Sequence[float], down: Fibers
    ) -> tuple[Problem, Plan] | None:
        """Return the problem as foreseen after all that was observed, and a plan if it pays."""
        foresight = self._planner.foresight
        if foresight is None or self._forecast is None:
            return None
        for units in observed[self._seen :]:
            self._forecast = foresight.after(self._forecast, units)
        self._seen = len(observed)
        with self._timed():
            return self._planner.revise(problem, previous, self._forecast, down)

    def describe(self, plan: Plan) -> str:
        """Return the plan as JSON."""
        return self._planner.describe(plan)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began_s = time.perf_counter()
        yield
        self.last_solve_s = time.perf_counter() - began_s


@dataclass(frozen=True)
class ManagerRole:
    """The global manager and how it is to plan."""

    config: ManagerConfig
    planner: StandardPlanner
    entity: str = GLOBAL_MANAGER

    def build(self) -> Core:
        """Return the core."""
        return GlobalManager(self.config, TimedPlanner(self.planner))


def planner_of(experiment: Experiment, foresight: Foresight | None = None) -> StandardPlanner:
    """Return the planner that an experiment asks for."""
    options = experiment.plan
    return StandardPlanner(
        policy=options.policy,
        gap=options.gap,
        seed=experiment.seed,
        rounding=options.expected_value_rounding,
        demand=experiment.demand,
        rearrangement=Rearrangement(options.replan_changes, options.replan_saving),
        foresight=foresight,
    )


def scenarios_of_mean(demand: Demand, mean: float) -> tuple[Scenario, ...]:
    """Return scenarios of the experiment's law whose mean is `mean` units, as near as they can have it.

    Cutting demand off lowers the mean; bisection over the law's own mean makes up for it.
    """

    def law(parameter: float) -> tuple[Scenario, ...]:
        return demand.distribution.scenarios_of_mean(parameter, demand.scenarios)

    low, high = 1e-9, 10.0 * demand.scenarios
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_units(law(middle)) < mean else (low, middle)
    return law(high)


@dataclass(frozen=True)
class Actors:
    """The roles of the manager, the controllers and the key managers, and the world without sky and air."""

    ground: World
    leads: tuple[Role, ...]
    key_managers: tuple[Role, ...]

    @property
    def everybody(self) -> tuple[Role, ...]:
        """All roles."""
        return self.leads + self.key_managers


def actors_of(experiment: Experiment, assembly: Assembly) -> Actors:
    """Return all roles; those that sky and air do not concern get a world that loads no weather."""
    ground = replace(assembly.world, sky=None, uav_links=None)
    air = replace(assembly.world, sky=None)
    return Actors(
        ground=ground,
        leads=(
            ManagerRole(assembly.manager, planner_of(experiment, assembly.foresight)),
            FiberRole(assembly.fiber, ground),
            SatelliteRole(assembly.satellite, assembly.world, assembly.satellite_links),
            UavRole(assembly.uav, air, assembly.fleet, assembly.flights),
        ),
        key_managers=tuple(
            KeyManagerRole(item, ground, assembly.accesses[item.node])
            for item in assembly.key_managers
        ),
    )
