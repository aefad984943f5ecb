"""Cores that learn of an event while they sleep are as if they had known it from the start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from emulator.build.assembly import assemble
from emulator.build.manager_role import actors_of
from emulator.build.roles import FiberRole
from emulator.build.setup import Setup
from emulator.runtime.role_cores import RoleCores
from emulator.world.events import PowerCut
from protos.core import EntityOrder, Step


def fiber_cores(tiny: Setup, *events: PowerCut) -> RoleCores:
    """Return the fiber controller alone, in a world that knows these events."""
    assembly = assemble(tiny)
    roles = actors_of(tiny.experiment, assembly).everybody
    (role,) = (role for role in roles if isinstance(role, FiberRole))
    for event in events:
        role = replace(role, world=role.world.with_event(event))
    return RoleCores((role,), 1.0, EntityOrder(assembly.problem.nodes))


def stepped(cores: RoleCores, last_window: int) -> list[tuple[int, Step]]:
    """Run until a window as the clock does, whenever the cores are due; return what they did."""
    done = []
    while (window := cores.wake_window) is not None and window <= last_window:
        (step,) = cores.step(window).values()
        if step.outbox or step.facts:
            done.append((window, replace(step, wake_s=None)))
    return done


@pytest.mark.parametrize("told_in", [37, 40, 142, 149])
def test_an_event_told_while_all_sleep_changes_nothing_before_it(tiny: Setup, told_in: int) -> None:
    cut = PowerCut("C", 150.0, 180.0)
    knew, learns = fiber_cores(tiny, cut), fiber_cores(tiny)
    assert stepped(knew, told_in) == stepped(learns, told_in)
    assert learns.wake_window is None  # as far as it knows, nothing changes any more

    learns.learn(cut, last_window=told_in)

    assert learns.wake_window == told_in + 1
    seen = stepped(learns, 400)
    assert seen == stepped(knew, 400)
    assert min(window for window, _ in seen) >= 150
