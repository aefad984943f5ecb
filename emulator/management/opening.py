"""An SNMP engine beside a run, for as long as the run lasts.

Thin on imports on purpose: pysnmp, which few runs need, is loaded when an engine is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from emulator.build.snmp_users import notifying_user, users_of
from emulator.config.experiment import Experiment
from emulator.management.objects import About, entity_rows
from emulator.runtime.glances import Glance
from emulator.runtime.pacing import Progress
from protos.core import role_of

LOOK_LIMIT_S = 2.0
"""How long an entity that is busy is waited for."""


def is_installed() -> bool:
    """Return whether the extra `snmp` is there."""
    return find_spec("pysnmp") is not None


@dataclass(frozen=True)
class LiveRun:
    """How a run can be looked at: its entities, in order, what each shows, and how far it is.

    `look` returns what an entity shows within a time, or raises `TimeoutError`.
    """

    entities: tuple[str, ...]
    look: Callable[[str, float], Glance | None]
    progress: Callable[[], Progress | None]


@contextmanager
def engine_beside(
    port: int | None, experiment: Experiment, run_folder: Path, run: LiveRun
) -> Iterator[None]:
    """Serve SNMP at a port of loopback; None: do nothing.  Raises `OSError`."""
    if port is None:
        yield
        return
    from emulator.management.engine import ManagementEngine
    from emulator.management.sets import into

    roles = {entity: role_of(entity) for entity in run.entities}
    window_s, named = experiment.clock.window_s, entity_rows(roles)

    def seen(context: str) -> Glance | None:
        if context:
            return run.look(context, LOOK_LIMIT_S)
        now = run.progress()
        if now is None:
            raise TimeoutError
        return Glance(now.window, now.window * window_s, named, now.totals)

    description = f"qsagin {version('qsagin')}, {experiment.name}"
    users, submit = users_of(experiment), into(run_folder)
    about = About(description, epoch=experiment.epoch)
    engine = ManagementEngine(users, seen, frozenset(roles), about, submit)
    engine.start(port)
    try:
        yield
    finally:
        engine.stop()


@contextmanager
def notifier_beside(
    target: tuple[str, int] | None, experiment: Experiment, run_folder: Path
) -> Iterator[None]:
    """Send the notifications of agents to a host and port, until all are taken; None: do nothing."""
    if target is None:
        yield
        return
    from emulator.management.notifier import Notifier, Target

    to = Target(*target, notifying_user(experiment, target[0]))
    notifier = Notifier(run_folder, to, experiment.epoch, experiment.clock.window_s)
    notifier.start()
    try:
        yield
    finally:
        notifier.stop()
