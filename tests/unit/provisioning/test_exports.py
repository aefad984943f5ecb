"""Programs as files: what another reader finds in them is the same program."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from provisioning_cases import paper_problem
from random_instances import random_instance

from global_manager.provisioning import Formulation, InvalidProblemError, solve
from global_manager.provisioning.exports import write_program
from global_manager.provisioning.instance import Instance
from global_manager.provisioning.second_stage import joint_futures
from global_manager.provisioning.solver import QuietHighs

CASES = range(12)  # two of every kind


def read_back(file: Path) -> QuietHighs:
    highs = QuietHighs()
    for option, value in (("threads", 1), ("mip_rel_gap", 0.0)):
        highs.setOptionValue(option, value)
    highs.readModel(str(file))
    return highs


def optimum(highs: QuietHighs) -> float:
    highs.run()
    return highs.getInfo().objective_function_value


def row_kinds(highs: QuietHighs) -> set[str]:
    return {name.split("_r")[0].split("_e")[0].split("_o")[0] for name in highs.getLp().row_names_}


@pytest.mark.parametrize("seed", CASES)
@pytest.mark.parametrize("ending", [".lp", ".mps"])
def test_a_program_read_back_has_the_same_optimum_and_its_rows_their_names(seed, ending, tmp_path):
    problem = random_instance(seed)

    files = write_program(problem, tmp_path / f"program{ending}")

    highs = read_back(files[0])
    assert {"flow_conservation", "path_uniqueness", "required_wavelengths"} <= row_kinds(highs)
    assert {"wavelength_continuity", "wavelength_capacity", "wavelength_uniqueness"} <= row_kinds(
        highs
    )
    assert optimum(highs) == pytest.approx(solve(problem).objective, rel=1e-9)
    names = json.loads(files[1].read_text(encoding="utf-8"))
    assert names["requests"] == [request.id for request in problem.requests]
    assert len(names["arcs"]) == 2 * len(problem.fibers)
    capacity = [name for name in highs.getLp().row_names_ if name.startswith("wavelength_capacity")]
    assert len(names["fibers"]) == len(capacity)


def test_columns_are_written_with_what_each_stands_for(tmp_path):
    problem = paper_problem(wavelengths=80)

    files = write_program(problem, tmp_path / "paper.mps", Formulation.COLUMNS)

    highs = read_back(files[0])
    names = json.loads(files[1].read_text(encoding="utf-8"))
    assert highs.getNumCol() == len(names["columns"])
    assert highs.getNumRow() == len(Instance(problem).capacity) + len(names["groups"])
    highs.setOptionValue("solve_relaxation", True)
    relaxed = names["unreserved_cost"] + optimum(highs)
    plan = solve(problem)
    assert plan.lower_bound <= relaxed * (1 + 1e-6)
    assert relaxed <= plan.objective


def extensive_form_of(core: Path) -> float:
    """Read the three files as the format says, and return the optimum over all futures."""
    whole = QuietHighs()
    for option, value in (("threads", 1), ("mip_rel_gap", 0.0)):
        whole.setOptionValue(option, value)
    first, second = starts(core.with_suffix(".tim"))
    as_mps = core.with_suffix(".mps")  # HiGHS goes by the ending
    as_mps.write_bytes(core.read_bytes())
    for number, (probability, changes) in enumerate(futures(core.with_suffix(".sto"))):
        one = read_back(as_mps).getLp()
        add_future(whole, one, second[0], probability, changes, is_first=number == 0)
    assert first[0] == one.col_names_[0]
    return optimum(whole)


def starts(tim: Path) -> list[list[str]]:
    lines = [line.split() for line in tim.read_text(encoding="utf-8").splitlines()]
    return [parts for parts in lines if len(parts) == 3]


def futures(sto: Path) -> list[tuple[float, dict[str, float]]]:
    found: list[tuple[float, dict[str, float]]] = []
    for line in sto.read_text(encoding="utf-8").splitlines():
        parts = line.split()
        if parts[0] == "SC":
            assert (parts[2], parts[4]) == ("ROOT", "STAGE2")
            found.append((float(parts[3]), {}))
        elif parts[0] == "RHS1":
            found[-1][1][parts[1]] = float(parts[2])
    return found


def add_future(whole, one, second_stage: str, probability, changes, *, is_first: bool) -> None:
    """Add a future's second stage, and the first stage once, to the program of all futures."""
    boundary = one.col_names_.index(second_stage)
    column_of = {}
    for c, name in enumerate(one.col_names_):
        if c < boundary and not is_first:
            column_of[c] = c
            continue
        column_of[c] = whole.getNumCol()
        cost = one.col_cost_[c] * (1.0 if c < boundary else probability)
        whole.addCol(cost, one.col_lower_[c], one.col_upper_[c], 0, [], [])
        if one.integrality_ and name < second_stage:
            whole.changeColIntegrality(column_of[c], one.integrality_[c])
    start, index, value = (
        list(a) for a in (one.a_matrix_.start_, one.a_matrix_.index_, one.a_matrix_.value_)
    )
    rows: dict[int, list[tuple[int, float]]] = {}
    for c in range(one.num_col_):
        for k in range(start[c], start[c + 1]):
            rows.setdefault(index[k], []).append((c, value[k]))
    for r, name in enumerate(one.row_names_):
        terms = rows.get(r, [])
        is_own = any(c >= boundary for c, _ in terms)
        if not terms or not (is_own or is_first):
            continue
        low, high = one.row_lower_[r], one.row_upper_[r]
        if name in changes:
            low, high = (changes[name], high) if low > -1e29 else (low, changes[name])
        columns = [column_of[c] for c, _ in terms]
        whole.addRow(low, high, len(columns), columns, [v for _, v in terms])


@pytest.mark.parametrize("seed", CASES)
def test_three_files_of_smps_hold_the_program_of_all_futures(seed, tmp_path):
    problem = random_instance(seed)

    core, *_ = write_program(problem, tmp_path / "program.cor")

    assert len(futures(core.with_suffix(".sto"))) == len(joint_futures(problem))
    assert sum(p for p, _ in futures(core.with_suffix(".sto"))) == pytest.approx(1)
    assert extensive_form_of(core) == pytest.approx(solve(problem).objective, rel=1e-9)


@pytest.mark.system
@pytest.mark.parametrize("seed", CASES)
def test_mpi_sppy_reads_the_three_files_and_finds_the_same_optimum(seed, tmp_path):
    pytest.importorskip("mip")
    smps = pytest.importorskip("mpisppy.problem_io.smps_module")
    ef = pytest.importorskip("mpisppy.opt.ef")
    problem = random_instance(seed)
    best = solve(problem).objective  # first: HiGHS keeps the number of threads that it begins with
    write_program(problem, tmp_path / "program.cor")
    options = {"cfg": SimpleNamespace(smps_dir=str(tmp_path))}
    smps.kw_creator(**options)

    whole = ef.ExtensiveForm(
        {"solver": "appsi_highs"},
        smps.scenario_names_creator(None),
        smps.scenario_creator,
        scenario_creator_kwargs=options,
    )
    whole.solve_extensive_form()

    assert whole.get_objective_value() == pytest.approx(best, rel=1e-6)


def test_what_is_too_large_to_be_written_is_refused_before_a_file_is_made(tmp_path):
    with pytest.raises(InvalidProblemError, match="export columns instead"):
        write_program(paper_problem(wavelengths=80), tmp_path / "paper.lp")

    assert list(tmp_path.iterdir()) == []
