"""Other formulations of the same problem, slow and plain, to compare answers with.

None shares code with the optimizer: demand is spelled out scenario by scenario, paths are
enumerated or left to flow conservation, colours are indexed.
"""

from __future__ import annotations

import warnings
from itertools import pairwise, product

import networkx as nx
import pulp

from global_manager.provisioning import Future, Problem


def bundled_cbc():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it goes with PuLP 4
        return pulp.PULP_CBC_CMD(msg=False, threads=1, gapRel=0)


def highs():
    return pulp.HiGHS(msg=False, threads=1, gapRel=0)


def unit_cost(request):
    o = request.on_demand
    cheaper = min(o.uav_cost, o.satellite_cost)
    return o.satellite_probability * cheaper + (1 - o.satellite_probability) * o.uav_cost


def simple_paths(problem: Problem, request):
    graph = nx.Graph([(f.a, f.b) for f in problem.fibers])
    if request.source not in graph or request.target not in graph:
        return []
    return [tuple(p) for p in nx.all_simple_paths(graph, request.source, request.target)]


def brought(path, problem: Problem) -> int:
    """Units that a wavelength brings on a path: those of its weakest fiber."""
    hops = [frozenset(hop) for hop in pairwise(path)]
    return min(f.units_per_wavelength for f in problem.fibers if frozenset((f.a, f.b)) in hops)


def uses(path, fiber, problem):
    """Say on which directed or undirected resources of a fiber a path runs."""
    arcs = list(pairwise(path))
    there, back = (fiber.a, fiber.b) in arcs, (fiber.b, fiber.a) in arcs
    return (there, back) if problem.directed_capacity else (there or back,)


def shortage(model, problem, reserved):
    """Add on-demand variables scenario by scenario; return their expected cost."""
    cost = []
    for r, request in enumerate(problem.requests):
        for s, scenario in enumerate(request.scenarios or problem.scenarios):
            short = model.add_variable(f"short_{r}_{s}", 0)
            model += reserved[r] + short >= scenario.units
            cost.append(scenario.probability * unit_cost(request) * short)
    return pulp.lpSum(cost)


def listed(problem: Problem) -> list[Future]:
    """All futures: those given, or every demand under one sky for all."""
    if problem.futures:
        return list(problem.futures)
    n, clear = len(problem.requests), problem.requests[0].on_demand.satellite_probability
    return [
        Future(s.probability * chance, (s.units,) * n, (usable,) * n)
        for s, (usable, chance) in product(problem.scenarios, ((True, clear), (False, 1 - clear)))
    ]


def pooled_second_stage(model, problem: Problem, reserved):
    """Add what is bought in every future, and the pools' rows; return its cost."""
    cost = []
    for w, future in enumerate(listed(problem)):
        bought, flying = {"s": [], "u": []}, []
        for r, request in enumerate(problem.requests):
            s, u, v = (model.add_variable(f"{m}_{r}_{w}", 0) for m in "suv")
            bought["u"].append(u)
            bought["s"].append(s)
            model += reserved[r] + s + u + v >= future.units[r]
            if not future.usable[r]:
                model += s <= 0
            o = request.on_demand
            if problem.pools.uavs is not None:
                y = model.add_variable(f"y_{r}_{w}", 0, 1, pulp.LpBinary)
                model += u <= future.units[r] * y
                flying.append(o.uavs * y)
            each = o.satellite_cost * s + o.uav_cost * u + o.shortfall_cost * v
            cost.append(future.probability * each)
        room = {"s": problem.pools.satellite_units, "u": problem.pools.uav_units}
        for medium, units in room.items():
            if units is not None:
                model += pulp.lpSum(bought[medium]) <= units
        if flying:
            model += pulp.lpSum(flying) <= problem.pools.uavs
    return cost


def risky_second_stage(model, problem: Problem, reserved):
    """Add what is bought in every future, and mean and CVaR of that, weighed; return the objective."""
    risk, mean, tail = problem.risk, [], []
    threshold = model.add_variable("threshold")
    for w, future in enumerate(problem.futures):
        paid = []
        for r, request in enumerate(problem.requests):
            short = model.add_variable(f"short_{r}_{w}", 0)
            model += reserved[r] + short >= future.units[r]
            o = request.on_demand
            offers = [o.shortfall_cost]
            offers += [o.satellite_cost] if future.usable[r] else []
            offers += [o.uav_cost] if not future.flies or future.flies[r] else []
            paid.append(min(offers) * short)
        above = model.add_variable(f"above_{w}", 0)
        model += above >= pulp.lpSum(paid) - threshold
        mean.append(future.probability * pulp.lpSum(paid))
        tail.append(future.probability * above)
    cvar = threshold + pulp.lpSum(tail) / (1 - risk.level)
    return (1 - risk.weight) * pulp.lpSum(mean) + risk.weight * cvar


def robust_second_stage(model, problem: Problem, reserved):
    """Add the dual of the worst law in each request's ball; return what that law costs."""
    cost = []
    for r, request in enumerate(problem.requests):
        law = request.scenarios or problem.scenarios
        radius = request.ball.radius_units if request.ball else 0
        most = max(s.units for s in law if s.probability > 0)
        most = max(most, request.ball.most_units if request.ball else 0)
        price = model.add_variable(f"price_{r}", 0)
        short = [model.add_variable(f"short_{r}_{d}", 0) for d in range(most + 1)]
        for d in range(most + 1):
            model += reserved[r] + short[d] >= d
        cost.append(radius * price)
        for s, scenario in enumerate(law):
            worst = model.add_variable(f"worst_{r}_{s}", 0)
            for d in range(most + 1) if request.ball else (scenario.units,):
                moved = abs(d - scenario.units)
                model += worst >= unit_cost(request) * short[d] - moved * price
            cost.append(scenario.probability * worst)
    return pulp.lpSum(cost)


def second_stage(model, problem: Problem, reserved):
    """Add least reservations, and what is bought of any kind of problem; return what that counts."""
    for r, request in enumerate(problem.requests):
        if request.least_units:
            model += reserved[r] >= request.least_units
    if problem.pools is not None and problem.pools.limited:
        return pulp.lpSum(pooled_second_stage(model, problem, reserved))
    if problem.risk is not None:
        return risky_second_stage(model, problem, reserved)
    if any(request.ball for request in problem.requests):
        return robust_second_stage(model, problem, reserved)
    return shortage(model, problem, reserved)


def arc_flow(problem: Problem, solver) -> float:
    """Flows on arcs for every request and colour; one path each (unsplit)."""
    model = pulp.LpProblem("arc_flow", pulp.LpMinimize)
    arcs = [(f, a, b) for f in problem.fibers for a, b in ((f.a, f.b), (f.b, f.a))]
    colours = range(max((f.wavelengths for f in problem.fibers), default=0))
    light, lit, on_path = {}, {}, {}
    for r, request in enumerate(problem.requests):
        for c in colours:
            lit[r, c] = model.add_variable(f"lit_{r}_{c}", 0, 1, pulp.LpBinary)
        for i, (fiber, _, _) in enumerate(arcs):
            on_path[r, i] = model.add_variable(f"path_{r}_{i}", 0, 1, pulp.LpBinary)
            for c in colours:
                most = int(c < fiber.wavelengths)
                light[r, i, c] = model.add_variable(f"f_{r}_{i}_{c}", 0, most, pulp.LpInteger)
                model += light[r, i, c] <= on_path[r, i]
        for node, c in product(problem.nodes, colours):
            out = pulp.lpSum(light[r, i, c] for i, (_, a, _) in enumerate(arcs) if a == node)
            into = pulp.lpSum(light[r, i, c] for i, (_, _, b) in enumerate(arcs) if b == node)
            sign = (node == request.source) - (node == request.target)
            model += out - into == sign * lit[r, c]
        for node in problem.nodes:
            leaving = [on_path[r, i] for i, (_, a, _) in enumerate(arcs) if a == node]
            model += pulp.lpSum(leaving) <= 1
    for fiber, c in product(problem.fibers, colours):
        ways = [
            [i for i, (f, a, _) in enumerate(arcs) if f is fiber and a == x]
            for x in (fiber.a, fiber.b)
        ]
        for way in ways if problem.directed_capacity else [ways[0] + ways[1]]:
            both = [light[r, i, c] for r in range(len(problem.requests)) for i in way]
            model += pulp.lpSum(both) <= 1
    reserved = [pulp.lpSum(lit[r, c] for c in colours) for r in range(len(problem.requests))]
    first = pulp.lpSum(arcs[i][0].unit_cost * x for (_, i, _), x in light.items())
    model.setObjective(first + second_stage(model, problem, reserved))
    return optimum(model, solver)


def path_wavelength(problem: Problem, solver) -> float:
    """A binary for every request, simple path and colour."""
    model = pulp.LpProblem("path_wavelength", pulp.LpMinimize)
    price = {frozenset((f.a, f.b)): f.unit_cost for f in problem.fibers}
    colours = range(max((f.wavelengths for f in problem.fibers), default=0))
    first, reserved, over = [], [], {}
    for r, request in enumerate(problem.requests):
        taken, lights = [], []
        for p, path in enumerate(simple_paths(problem, request)):
            chosen = model.add_variable(f"z_{r}_{p}", 0, 1, pulp.LpBinary)
            taken.append(chosen)
            cost = sum(price[frozenset(arc)] for arc in pairwise(path))
            for c in colours:
                y = model.add_variable(f"y_{r}_{p}_{c}", 0, 1, pulp.LpBinary)
                model += y <= chosen
                lights.append(brought(path, problem) * y)
                first.append(cost * y)
                for fiber in problem.fibers:
                    for way, used in enumerate(uses(path, fiber, problem)):
                        if used:
                            over.setdefault((fiber, way, c), []).append(y)
        model += pulp.lpSum(taken) <= 1
        reserved.append(pulp.lpSum(lights))
    for (fiber, _, c), lights in over.items():
        model += pulp.lpSum(lights) <= int(c < fiber.wavelengths)
    model.setObjective(pulp.lpSum(first) + shortage(model, problem, reserved))
    return optimum(model, solver)


def first_stage(model, problem: Problem, most: int):
    """Add one path a request with a number of units; return what they cost and how many they are."""
    price = {frozenset((f.a, f.b)): f.unit_cost for f in problem.fibers}
    first, reserved, over = [], [], {}
    for r, request in enumerate(problem.requests):
        taken, units = [], []
        for p, path in enumerate(simple_paths(problem, request)):
            z = model.add_variable(f"z_{r}_{p}", 0, 1, pulp.LpBinary)
            x = model.add_variable(f"x_{r}_{p}", 0, most, pulp.LpInteger)
            model += x <= most * z
            taken.append(z)
            units.append(x)
            first.append(x * sum(price[frozenset(a)] for a in pairwise(path)))
            for fiber in problem.fibers:
                for way, used in enumerate(uses(path, fiber, problem)):
                    if used:
                        over.setdefault((fiber, way), []).append(x)
        model += pulp.lpSum(taken) <= 1
        reserved.append(pulp.lpSum(units))
    for (fiber, _), units in over.items():
        model += pulp.lpSum(units) <= fiber.wavelengths
    return first, reserved


def extensive_form(problem: Problem, solver) -> float:
    """Paths with a number of units each, every scenario spelled out; colours relaxed."""
    model = pulp.LpProblem("extensive_form", pulp.LpMinimize)
    most = max(s.units for r in problem.requests for s in r.scenarios or problem.scenarios)
    first, reserved = first_stage(model, problem, most)
    model.setObjective(pulp.lpSum(first) + shortage(model, problem, reserved))
    return optimum(model, solver)


def optimum(model, solver) -> float:
    model.solve(solver)
    assert model.sol_status == pulp.LpSolutionOptimal
    return float(pulp.value(model.objective))
