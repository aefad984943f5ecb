"""Plans of larger networks: gap, and processor time, also of what comes before a run of them.

germany50 has one lightpath a hop as the paper's network has; both directions share a fiber, or not.
The drawn networks (`networks.py`) have five requests a node.  Time is the processor's, of this process.
With words, only what they name: germany50, usnet, drawn.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TypeVar

from bars import Row, at_most, tell, words
from networks import write_experiment
from provisioning import USNET, network, poisson

from emulator.build.loading import read
from emulator.build.problem import problem_of
from emulator.config import topology
from global_manager.provisioning import Problem, solve
from global_manager.provisioning.stochastic_plan import SolveProgress, Watch, optimize

_Result = TypeVar("_Result")
_DRAWN = ((1000, 5000), (3000, 15_000))
_FEW = 200  # wavelengths; capacity binds


def rows() -> Iterator[Row]:
    """Measure everything that is asked for."""
    for name, work in (("germany50", _germany50), ("usnet", _usnet), ("drawn", _drawn)):
        if not words() or name in words():
            yield from work()


def _germany50() -> Iterator[Row]:
    found = topology.load("germany50", 80.0)
    index = {node.name: str(i) for i, node in enumerate(found.nodes)}
    links = [(index[link.a], index[link.b]) for link in found.links]
    for wavelengths, directed in product((8, 20), (False, True)):
        problem = network(links, 200, poisson(10 / 3, 10), wavelengths)
        kind = "per direction" if directed else "shared"
        name = f"germany50, {wavelengths} wavelengths {kind}"
        yield from _planned(name, replace(problem, directed_capacity=directed), 0.005, 15.0)


def _usnet() -> Iterator[Row]:
    yield from _planned("w20", network(USNET, 200, poisson(10 / 3, 10), 20), 0.002, 10.0)
    many = network(USNET, 1000, poisson(10 / 3, 100), 20)
    yield from _planned("w20, 1000 x 100", many, 0.003, 20.0)


def _drawn() -> Iterator[Row]:
    for nodes, requests in _DRAWN:
        with tempfile.TemporaryDirectory() as place:
            path = write_experiment(Path(place) / "drawn", nodes, requests, periods=60)
            took_s, setup = _timed(partial(read, str(path)))
            yield Row(f"reading {nodes} nodes, {requests} requests", took_s, "s of CPU")
            took_s, problem = _timed(partial(problem_of, setup))
            yield Row(f"problem of {nodes} nodes, {requests} requests", took_s, "s of CPU")
        yield _drawn_plan(f"plan of {nodes} nodes, {requests} requests", problem)
        if nodes == _DRAWN[0][0]:
            fibers = tuple(replace(fiber, wavelengths=_FEW) for fiber in problem.fibers)
            name = f"plan of {nodes} nodes, {requests} requests, {_FEW} wavelengths"
            yield _drawn_plan(name, replace(problem, fibers=fibers))


def _drawn_plan(name: str, problem: Problem) -> Row:
    took_s, plan = _timed(partial(solve, problem))
    return Row(name, took_s, "s of CPU", note=f"gap {plan.gap:.3%}")


def _planned(name: str, problem: Problem, gap: float, limit_s: float) -> Iterator[Row]:
    began_s = time.process_time()
    seen: dict[str, float] = {}

    def hear(news: SolveProgress) -> None:
        seen.setdefault(news.stage, time.process_time() - began_s)
        if news.stage == "columns":
            seen["relaxed"] = time.process_time() - began_s

    watch = Watch(hear, lambda _plan: None)  # as with a time limit: a first plan is placed at once
    took_s, plan = _timed(partial(optimize, problem, watch=watch))
    yield at_most(f"plan {name}", took_s, "s of CPU", limit_s)
    first = seen["wavelengths"] / seen["relaxed"]
    note = f"relaxed after {seen['relaxed']:.2f} s"
    yield at_most(f"plan {name}, first one placed", first, "times the relaxation", 3.0, note)
    yield at_most(f"plan {name}, gap", plan.gap, "", gap)


def _timed(work: Callable[[], _Result]) -> tuple[float, _Result]:
    began_s = time.process_time()
    result = work()
    return time.process_time() - began_s, result


if __name__ == "__main__":
    tell(rows())
