"""Reserve for the mean demand as if it were certain: the built-in policy expected-value, from outside."""

from dataclasses import replace

from global_manager.provisioning.model import Allocation, Scenario
from global_manager.provisioning.own_policy import ProvisioningPolicy, ReserveView
from global_manager.provisioning.recourse import rounded_mean


class MeanPolicy(ProvisioningPolicy):
    """Plans once, and orders what is cheapest."""

    def reserve(self, view: ReserveView) -> tuple[Allocation, ...] | None:
        """Return the best plan for a demand that is its mean in whole units."""
        if view.previous is not None:
            return None  # keep what is reserved

        def mean(scenarios: tuple[Scenario, ...]) -> tuple[Scenario, ...]:
            return (Scenario(rounded_mean(scenarios, view.rounding), 1.0),)

        problem = view.problem
        requests = tuple(
            item if item.scenarios is None else replace(item, scenarios=mean(item.scenarios))
            for item in problem.requests
        )
        certain = replace(problem, scenarios=mean(problem.scenarios), requests=requests)
        units = tuple(certain.demand_of(item)[0].units for item in requests)
        futures = tuple(replace(future, units=units) for future in certain.futures)
        return view.optimize(replace(certain, futures=futures))
