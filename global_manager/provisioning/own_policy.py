"""A policy that a user brings: what it may decide, what it may know, and how it is held to the rules.

A policy is a class, named `module:Class` or by an entry point of the group `qsagin.policies`.  It has one
decision in the first stage, `reserve`, and one in the second, `recourse`; either may be left out.  An
instance is made for every decision, so nothing survives from one to the next but what the view tells, and
a restarted manager decides as the one before.  Views are frozen.

A decision may take a number of instructions of its own package, not a time (see `work_budget`), so that the
outcome does not depend on the machine.  What other packages and the functions of a view do costs nothing; a
call into them that never returns is not noticed.  A policy is code that runs with the rights of its user:
it is not confined.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, entry_points, packages_distributions, version
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from global_manager.provisioning.model import (
    Allocation,
    Medium,
    OwnPolicy,
    Policy,
    Pools,
    Problem,
    Request,
)
from global_manager.provisioning.work_budget import BudgetError, counted

GROUP = "qsagin.policies"
_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class PolicyError(Exception):
    """A policy cannot be loaded, raised, used up its budget, or broke a constraint."""

    def __init__(self, policy: str, reason: str) -> None:
        super().__init__(policy, reason)
        self.policy, self.reason = policy, reason

    def __str__(self) -> str:
        return f"policy {self.policy}: {self.reason}"


@dataclass(frozen=True)
class Heard:
    """A shortage of an earlier or the current period: units that a request (its id) lacked."""

    period: int
    request: str
    units: int


@dataclass(frozen=True)
class ReserveView:
    """What is known before demand is: the problem, and how the experiment wants plans to be made.

    `problem` has fibers (those that work), requests, prices, scenarios of demand, and, where pools are
    shared, futures of demand and sky.  `previous` is what is reserved now; None before the first plan.
    Whoever plans again also knows which fibers are down, and the latest shortages.
    `optimize` solves a two-stage program, of this problem or another on the same network, and costs
    no instructions, but may be called 100 times.
    """

    problem: Problem
    gap: float
    seed: int
    rounding: str
    previous: tuple[Allocation, ...] | None
    lost_fibers: frozenset[tuple[str, str]]
    heard: tuple[Heard, ...]
    optimize: Callable[[Problem], tuple[Allocation, ...]]


@dataclass(frozen=True)
class OpenShortage:
    """Units that a request lacks in the current period, and the media that may still be asked."""

    request: Request
    units: int
    media: tuple[Medium, ...]


@dataclass(frozen=True)
class Order:
    """Units of key to be ordered for a request (its id) from a medium."""

    request: str
    medium: Medium
    units: int


@dataclass(frozen=True)
class RecourseView:
    """What is known in a window with shortages.

    `left` is what the shared pools still have in this period; a limit that is None does not exist.
    `cheapest` is what would be ordered without the policy.  `problem` has prices, and what is expected of
    demand and sky; `reserved` is what the plan in force reserves.  Controllers of `silent` media have owed
    an answer for long.
    """

    now_s: float
    period: int
    shortages: tuple[OpenShortage, ...]
    left: Pools
    cheapest: tuple[Order, ...]
    problem: Problem
    reserved: tuple[Allocation, ...]
    silent: tuple[Medium, ...]
    heard: tuple[Heard, ...]


class ProvisioningPolicy(Protocol):
    """Two decisions, each with a default; a policy may inherit them, or leave them out."""

    def reserve(self, view: ReserveView) -> Sequence[Allocation] | None:
        """Return what to reserve; None: keep what is reserved.  Default: the stochastic program's plan."""
        return view.optimize(view.problem) if view.previous is None else None

    def recourse(self, view: RecourseView) -> Sequence[Order]:
        """Return what to order in this window; what is not ordered is asked about again."""
        return view.cheapest


@dataclass(frozen=True)
class Source:
    """Where a policy comes from: its module, the version of its package if it has one, its digest."""

    module: str
    version: str
    sha256: str


def policy_named(text: str) -> OwnPolicy:
    """Return the name of a policy of one's own.  Raises ValueError if it cannot be one."""
    if _NAME.fullmatch(text) or text in _installed():
        return OwnPolicy(text, os.getcwd())  # noqa: PTH109 - sys.path has text
    known = ", ".join([*Policy, *sorted(_installed())])
    raise ValueError(f"{text} is none of {known}; name one of your own as module:Class")


def source_of(name: OwnPolicy) -> Source:
    """Return where a policy comes from.  Raises PolicyError if it cannot be loaded."""
    module = sys.modules[_load(name).__module__]
    package = module.__name__.partition(".")[0]
    digest = sha256()
    for path in _files(module):
        digest.update(path.read_bytes())
    return Source(module.__name__, _version(package), digest.hexdigest())


def decides(name: OwnPolicy, decision: str) -> bool:
    """Whether a policy takes a decision itself.  Raises PolicyError if it cannot be loaded."""
    own = getattr(_load(name), decision, None)
    return own is not None and own is not getattr(ProvisioningPolicy, decision)


def decide(name: OwnPolicy, decision: str, view: ReserveView | RecourseView) -> Any:
    """Have a new instance of a policy take a decision.  Raises PolicyError."""
    kind = _load(name)
    method = getattr(kind, decision, None) or getattr(ProvisioningPolicy, decision)
    try:
        with counted(_package_folder(sys.modules[kind.__module__])):
            return method(kind(), view)
    except BudgetError as error:
        raise PolicyError(name, f"{decision} {error}") from error
    except (Exception, SystemExit) as error:
        words = " ".join(str(error).split())
        raise PolicyError(name, f"{decision} raised {type(error).__name__}: {words}") from error


def check_orders(name: OwnPolicy, orders: object, view: RecourseView) -> tuple[Order, ...]:
    """Return orders that keep all constraints.  Raises PolicyError on the first that does not."""
    if not isinstance(orders, Sequence) or not all(isinstance(each, Order) for each in orders):
        raise PolicyError(name, "recourse must return a sequence of Order")
    open_, left = {each.request.id: each for each in view.shortages}, view.left
    missing = {key: each.units for key, each in open_.items()}
    for order in orders:
        shortage = open_.get(order.request)
        where = f"recourse for request {order.request}"
        if shortage is None:
            raise PolicyError(name, f"{where}: it has no shortage")
        if order.medium not in shortage.media:
            raise PolicyError(name, f"{where}: {order.medium} cannot be asked")
        if type(order.units) is not int or not 0 < order.units <= missing[order.request]:
            raise PolicyError(
                name, f"{where}: {order.units} units ordered, {missing[order.request]} missing"
            )
        missing[order.request] -= order.units
        left = left.less(order.medium, order.units, shortage.request.on_demand.uavs)
        if any(room is not None and room < 0 for room in vars(left).values()):
            raise PolicyError(name, f"{where}: more than the pool of {order.medium} has left")
    return tuple(orders)


def _installed() -> dict[str, str]:
    return {item.name: item.value for item in entry_points(group=GROUP)}


@cache
def _load(name: OwnPolicy) -> type:
    """Return the class; modules may be in the folder of the name."""
    target = name if ":" in name else _installed().get(name, "")
    module, _, attribute = target.partition(":")
    if not module:
        raise PolicyError(name, "is not installed here")
    if name.folder and name.folder not in sys.path:
        sys.path.append(name.folder)
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:
        words = " ".join(str(error).split())
        raise PolicyError(name, f"cannot be imported ({type(error).__name__}: {words})") from error
    if not isinstance(kind, type):
        raise PolicyError(name, "is not a class")
    if not hasattr(sys.modules[kind.__module__], "__file__"):
        raise PolicyError(name, "is in no file; put it into a module")
    return kind


def _files(module: ModuleType) -> list[Path]:
    """Return the source files of a policy: all of its package, or its one file."""
    folder = _package_folder(module)
    return [Path(folder)] if folder.endswith(".py") else sorted(Path(folder).rglob("*.py"))


def _package_folder(module: ModuleType) -> str:
    top = sys.modules[module.__name__.partition(".")[0]]
    path = Path(top.__file__ or module.__file__ or "")
    return str(path.parent) if path.name == "__init__.py" else str(path)


def _version(package: str) -> str:
    try:
        return version(packages_distributions().get(package, [package])[0])
    except PackageNotFoundError:
        return ""
