"""Options that several commands share, and checks made before anything is started or written."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from emulator.build import loading
from emulator.build.service import HEEDLESS
from emulator.build.setup import Setup
from emulator.commands.terminal import tell
from emulator.config.error_messages import Mistake
from emulator.config.experiment import Experiment
from emulator.config.schedule import ProcessEvent
from emulator.config.topology import BUILT_IN_NAMES
from emulator.input_checks import BadInputError
from emulator.store.files import Engine
from global_manager.provisioning.model import OwnPolicy, Policy
from global_manager.provisioning.own_policy import PolicyError, policy_named, source_of

ExperimentArgument = Annotated[
    str,
    typer.Argument(metavar="EXPERIMENT", help="A YAML file, or the name of a built-in experiment."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
ShowProgress = Annotated[
    bool | None,
    typer.Option(
        "--progress/--no-progress",
        help="Show cost, bound and gap on stderr; default: only on a terminal.",
    ),
]
Attached = Annotated[
    bool, typer.Option("--attached", hidden=True, help="End when standard input is closed.")
]
Share = Annotated[
    bool, typer.Option("--share", help="Let other users of this machine read the results.")
]
PolicyOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"{', '.join(Policy)}, or your own as module:Class; replaces the experiment's.",
    ),
]

PoliciesOption = Annotated[
    list[str] | None,
    typer.Option("--policy", metavar="NAME", help="Built-in, or module:Class; repeatable."),
]


class UsageError(BadInputError):
    """The command line asks for something impossible."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where, self.problem = where, problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


def read(source: str, seed: int | None, policy: str | None, gap: float | None) -> Setup:
    """Read an experiment and apply the options of the command line to it."""
    setup = loading.read(source, seed)
    changes: dict[str, Any] = {}
    if policy is not None:
        changes["policy"] = policy_of(policy)
    if gap is not None:
        if not 0 < gap < 1:
            raise UsageError("--gap", f"must be between 0 and 1, not {gap:g}")
        changes["gap"] = gap
    if not changes:
        return setup
    options = setup.experiment.plan.model_copy(update=changes)
    if options.service_levels and options.policy in HEEDLESS:
        right = f"{options.policy} keeps no service levels; leave out plan.service_levels"
        raise UsageError("--policy", right)
    return setup.with_experiment(setup.experiment.model_copy(update={"plan": options}))


def policy_of(text: str) -> Policy | OwnPolicy:
    """Return the policy of a name.  One's own must be there: nothing is begun without it."""
    if text in set(Policy):
        return Policy(text)
    try:
        name = policy_named(text)
    except ValueError as error:
        raise UsageError("--policy", str(error)) from error
    with own_policies_named():
        source_of(name)
    return name


def require_policy(experiment: Experiment) -> None:
    """Refuse an experiment whose own policy cannot be loaded."""
    for mistake in mistakes_of_policy(experiment):
        raise UsageError(mistake.field, mistake.message)


def mistakes_of_policy(experiment: Experiment) -> Iterator[Mistake]:
    """Yield what keeps the own policy of an experiment from being loaded."""
    if isinstance(experiment.plan.policy, OwnPolicy):
        try:
            source_of(experiment.plan.policy)
        except PolicyError as error:
            yield Mistake(field="plan.policy", message=str(error))


@contextmanager
def own_policies_named() -> Iterator[None]:
    """Turn what a policy of the user's does wrong into one line."""
    try:
        yield
    except PolicyError as error:
        raise UsageError("--policy", str(error)) from error


def tell_reading(source: str | None, setup: Setup) -> None:
    """Tell what was read of a network file, unless it is built in, or that of a run (None)."""
    name = setup.experiment.network.topology
    if source and name not in BUILT_IN_NAMES and source not in loading.built_in_names():
        tell(f"{source}: {name}: {setup.topology.reading}")


def keep_private(*, share: bool) -> None:
    """Make new files of this process and its children readable by their owner only, or by everybody."""
    os.umask(0o022 if share else 0o077)


def require_empty(out: Path) -> None:
    """Refuse a folder that is not empty, cannot be made, or cannot be written to."""
    try:
        is_taken = out.exists() and (not out.is_dir() or any(out.iterdir()))
    except OSError as error:
        raise UsageError("--out", f"{out}: {error.strerror}; name another folder") from error
    if is_taken:
        raise UsageError("--out", f"{out} exists and is not empty; name a new folder")
    require_writable(out)


def require_writable(out: Path) -> None:
    """Refuse a folder that cannot be made or written to."""
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not existing.is_dir():
        raise UsageError("--out", f"{existing} is a file; name a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError("--out", f"{existing} cannot be written to; name another folder")


def require_address(address: str | None) -> None:
    """Refuse the address of a Ray cluster at which nothing answers."""
    if address is None:
        return
    from emulator.launch import check_address
    from emulator.runtime.cluster import LaunchError

    try:
        check_address(address)
    except LaunchError as error:
        raise UsageError("--address", str(error)) from error


def require_no_process_faults(source: str, experiment: Experiment, engine: Engine) -> None:
    """Refuse faults of processes where there is but one."""
    if engine is Engine.IN_PROCESS:
        for number, fault in enumerate(experiment.faults):
            if isinstance(fault, ProcessEvent):
                where = (
                    f"{source}: faults.{number} strikes a process, and an in-process run has none"
                )
                raise UsageError("--engine", f"{where}; leave it out, or say --engine processes")


def require_free_port(port: int, option: str, *, datagrams: bool = False) -> None:
    """Refuse a port that is in use, by connections or by datagrams."""
    kind = socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM
    try:
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0 if datagrams else 1)
            probe.bind(("127.0.0.1", port))
            if not datagrams:
                probe.listen()
    except OSError as error:
        raise UsageError(
            option, f"port {port} cannot be used ({error.strerror}); name another"
        ) from error
