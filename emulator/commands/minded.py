"""What a plan minds beside the mean cost, as commands tell it: risk, doubtful laws, service levels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from emulator.build.setup import Setup
from emulator.commands.options import UsageError
from emulator.commands.terminal import OUT, print_table
from emulator.config.error_messages import Mistake
from global_manager.provisioning.model import Plan, Policy, Problem


def minded_fields(
    setup: Setup, problem: Problem, plan: Plan, solve: Callable[[Problem], Plan] | None
) -> dict[str, Any]:
    """Return what is told of a plan's risk and service levels.

    `solve` makes the plan without levels to compare with; None: it is not compared.
    """
    from emulator.build.futures import risk_fields
    from emulator.build.known_nearly import worst_case_fields
    from emulator.build.service import service_fields, without_levels

    fields = risk_fields(setup, problem, plan) | worst_case_fields(setup, problem, plan)
    without = None
    if solve is not None and problem.has_levels and plan.policy is Policy.STOCHASTIC:
        without = solve(without_levels(problem))
    return fields | service_fields(setup, problem, plan, without)


def without_room(setup: Setup) -> Iterator[Mistake]:
    """Yield that service levels cannot be kept, if fibers have no room for them."""
    from emulator.build.problem import problem_of
    from global_manager.provisioning.service import UnmetLevelError
    from global_manager.provisioning.service_room import require_room

    if not setup.experiment.plan.service_levels:
        return
    try:
        require_room(problem_of(setup))
    except UnmetLevelError as error:
        yield Mistake(field="plan.service_levels", message=_told(setup, error))


def require_room_for_levels(source: str, setup: Setup) -> None:
    """Refuse an experiment, read from there, whose service levels no plan keeps."""
    for mistake in without_room(setup):
        raise UsageError(source, f"{mistake.field}: {mistake.message}")


def _told(setup: Setup, error: Exception) -> str:
    levels = sorted(setup.experiment.plan.service_levels.items())
    named = ", ".join(f"{name} {level:g}" for name, level in levels)
    return f"{error}; lower the levels ({named}), or add wavelengths"


@contextmanager
def levels_told(source: str, setup: Setup) -> Iterator[None]:
    """Say in a line which service levels no plan keeps."""
    from global_manager.provisioning.service import UnmetLevelError

    try:
        yield
    except UnmetLevelError as error:
        raise UsageError(source, f"plan.service_levels: {_told(setup, error)}") from error


def show_risk(risk: dict[str, Any]) -> None:
    """Print the block `risk` of a plan."""
    if "classes" in risk:
        OUT.print()
        print_table(list(risk["classes"][0]), risk["classes"])
        return
    fresh, own = risk["out_of_sample"], "drawn" if risk["futures_drawn"] else "all there are"
    rows = [
        {"futures": f"{risk['futures']:,} ({own})", "mean": risk["mean"], "cvar": risk["cvar"]},
        {"futures": f"{fresh['futures']:,} fresh", "mean": fresh["mean"], "cvar": fresh["cvar"]},
    ]
    OUT.print()
    print_table(list(rows[0]), rows)
    OUT.print(
        f"CVaR at {risk['level']:g} is the mean cost of the dearest {1 - risk['level']:.3g} of periods. "
        f"Standard errors on fresh futures: {fresh['mean_standard_error']:,.0f} of the mean, "
        f"{fresh['standard_error']:,.0f} of CVaR.",
        soft_wrap=True,
    )


def show_service(service: dict[str, Any]) -> None:
    """Print the block `service` of a plan."""
    OUT.print()
    print_table(list(service["classes"][0]), service["classes"])
    OUT.print(
        "A level is kept by reserved units alone; reached is the lowest of any request of the class.",
        soft_wrap=True,
    )
    if "price" in service:
        OUT.print(
            f"Without levels a plan costs {service['cost_without']:,.0f}, so they cost "
            f"{service['price']:,.0f} (proven: {service['price_least']:,.0f} to "
            f"{service['price_most']:,.0f}).",
            soft_wrap=True,
        )
