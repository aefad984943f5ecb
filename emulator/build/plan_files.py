"""Plans as files: a plan with its problem, for other programs, and a plan made elsewhere, read and checked.

An exported file has three fields. `format` is 1. `problem` is the instance: `nodes`; `fibers` with `a`,
`b`, `unit_cost`, `wavelengths` and `units_per_wavelength`; `requests` with `id`, `application`, `source`,
`target`, `on_demand` (costs of a unit by medium, `shortfall_cost`, `satellite_probability`, `grounded`)
and, where they differ, `scenarios` of their own; `scenarios` with `units`, `probability` and, if it is not
that of the request, a `sky`; `directed_capacity`,
`correlation`, `pools`, `futures` and `joint`. `plan` is what `qsagin plan --json` says of a plan.

Of a plan made elsewhere only `allocations` is read, from such a file, from a run's plan.json or from
the output of `qsagin plan --json`: of every request that reserves anything its id as `request`, its
`path` as nodes from source to target, and its `wavelengths` as numbers from 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from emulator.build.plan_report import fields
from emulator.input_checks import InputFileError, one_line, read_text, shown_name
from global_manager.provisioning.model import Allocation, Plan, Problem

FORMAT = 1
_MOST_BYTES = 200_000_000


def exported(problem: Problem, plan: Plan) -> str:
    """Return a plan and its problem as a JSON document."""
    whole = {"format": FORMAT, "problem": asdict(problem), "plan": fields(plan)}
    return json.dumps(whole, indent=1) + "\n"


def read_allocations(file: Path, problem: Problem) -> tuple[Allocation, ...]:
    """Return what a file reserves for every request of a problem, in their order.

    Whether it can be reserved is not looked at.  Raises InputFileError.
    """
    return _Reading(file, problem).allocations()


class _Reading:
    """A file being read; errors name it."""

    def __init__(self, file: Path, problem: Problem) -> None:
        self._file, self._problem = file, problem
        self._ends = {item.id: (item.source, item.target) for item in problem.requests}

    def allocations(self) -> tuple[Allocation, ...]:
        given = list(self._given())
        known = {item.request for item in given}
        rest = (item for item in self._problem.requests if item.id not in known)
        nothing = (Allocation(item.id, item.source, item.target, (), ()) for item in rest)
        order = {item.id: position for position, item in enumerate(self._problem.requests)}
        return tuple(sorted((*given, *nothing), key=lambda item: order[item.request]))

    def _given(self) -> Iterator[Allocation]:
        for number, item in enumerate(self._items()):
            where = f"allocations[{number}]"
            if not isinstance(item, dict):
                raise self._error(where, "must be an object with request, path and wavelengths")
            request = self._request(item, where)
            path = self._list(item, where, "path", str, "names of nodes")
            wavelengths = self._list(item, where, "wavelengths", int, "whole numbers from 0")
            brings = self._problem.units_along(path)
            yield Allocation(request, *self._ends[request], path, wavelengths, brings)

    def _items(self) -> list[Any]:
        try:
            document = json.loads(read_text(self._file, _MOST_BYTES))
        except json.JSONDecodeError as error:
            problem = f"is no JSON ({error.msg}); give the output of qsagin plan --export FILE.json"
            raise self._error(f"line {error.lineno}", problem) from error
        except RecursionError as error:
            raise self._error("file", "is nested too deeply; give a plan") from error
        inner = document.get("plan", document) if isinstance(document, dict) else None
        items = inner.get("allocations") if isinstance(inner, dict) else None
        if not isinstance(items, list):
            problem = "is missing; give a list with request, path and wavelengths of each request"
            raise self._error("allocations", problem)
        return items

    def _request(self, item: dict[str, Any], where: str) -> str:
        request = item.get("request")
        if not isinstance(request, str) or request not in self._ends:
            some = ", ".join(list(self._ends)[:3])
            problem = f"{request!r} is no request of this experiment; it has {some}, ..."
            raise self._error(f"{where}.request", one_line(problem))
        for name, end in zip(("source", "target"), self._ends[request], strict=True):
            if item.get(name, end) != end:
                problem = f"{item[name]!r} is not that of request {request}, {end}"
                raise self._error(f"{where}.{name}", one_line(problem))
        return request

    def _list(
        self, item: dict[str, Any], where: str, name: str, kind: type[Any], what: str
    ) -> tuple[Any, ...]:
        values = item.get(name)
        if not isinstance(values, list) or any(type(value) is not kind for value in values):
            raise self._error(f"{where}.{name}", f"must be a list of {what}")
        return tuple(values)

    def _error(self, field: str, problem: str) -> InputFileError:
        return InputFileError(shown_name(self._file), field, problem)
