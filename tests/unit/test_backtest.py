"""`qsagin backtest`, and histories that no law fits."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emulator.build.loading import read
from emulator.build.problem import problem_of
from global_manager.provisioning.demand import fit, is_rejected

Call = Callable[..., tuple[int, str, str]]
Write = Callable[..., Path]
DAY = 12


@pytest.fixture
def seasonal(tmp_path: Path) -> Path:
    intensity = 4 * (1 + 0.9 * np.sin(2 * np.pi * np.arange(400) / DAY))
    return write(tmp_path, np.random.default_rng(1).poisson(intensity))


def write(folder: Path, units: np.ndarray) -> Path:
    path = folder / "past.csv"
    path.write_text("units\n" + "".join(f"{item}\n" for item in units))
    return path


def test_a_backtest_tells_scores_and_costs_and_draws_them(
    qsagin: Call, seasonal: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    status, text, told = qsagin(
        "backtest", str(seasonal), "--season", str(DAY), "--out", str(out), "--json"
    )
    assert status == 0, told
    found = json.loads(text)
    rows = {row["forecaster"]: row for row in found["rows"]}
    assert found["best"] in (f"seasonal-{DAY}", f"autoregressive-{DAY}")
    assert [row["best"] for row in found["rows"]].count(True) == 1
    assert rows["static"]["over_static"] == 1.0
    assert rows[found["best"]]["over_static"] < 0.9
    assert all(row["over_hindsight"] >= 1 for row in found["rows"])
    for row in found["rows"]:  # what is paid is what demand costs, and the pinball loss
        hindsight = row["cost"] / row["over_hindsight"]
        assert row["cost"] == pytest.approx(hindsight + 18520 * row["pinball"])
    with (out / "backtest.csv").open() as file:
        assert [row["forecaster"] for row in csv.DictReader(file)] == list(rows)
    assert (out / "backtest.png").stat().st_size > 10_000


def test_who_cannot_forecast_is_named_with_the_reason(qsagin: Call, seasonal: Path) -> None:
    status, text, told = qsagin("backtest", str(seasonal), "--season", "300", "--json")
    assert status == 0
    assert "seasonal-300 is left out: needs 600 periods, and there are 200" in told
    assert json.loads(text)["left_out"]["seasonal-300"].startswith("needs 600")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("--season", "10", "--season", "15"),
            "--season: must be at least 2 periods, each a multiple",
        ),
        (
            ("--reserved", "9", "--on-demand", "5"),
            "--reserved: must be above 0 and below --on-demand",
        ),
    ],
)
def test_what_cannot_be_backtested_is_refused_in_one_line(
    qsagin: Call, seasonal: Path, words: tuple[str, ...], told: str
) -> None:
    status, out, err = qsagin("backtest", str(seasonal), *words)
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert told in line


def test_a_history_that_is_none_is_refused(qsagin: Call, tmp_path: Path) -> None:
    (tmp_path / "past.csv").write_text("demand\n3\n")
    status, out, err = qsagin("backtest", str(tmp_path / "past.csv"))
    assert (status, out) == (2, "")
    assert "past.csv: row 1 must be the header `units`" in err


def zero_inflated(periods: int = 2000) -> np.ndarray:
    stream = np.random.default_rng(7)
    return np.where(stream.random(periods) < 0.6, 0, stream.poisson(9.0, periods))


def test_a_history_that_no_law_fits_is_taken_as_it_was(
    write_experiment: Write, tmp_path: Path
) -> None:
    seen = zero_inflated()
    write(tmp_path, seen)
    assert is_rejected(fit(seen.tolist()))
    history = {"history": {"file": "past.csv"}}
    setup = read(str(write_experiment(demand__distribution=history, demand__scenarios=30)))
    law = setup.experiment.demand.distribution
    assert law.empirical is not None
    assert law.fitted_from is not None
    assert law.fitted_from.p_value is not None
    assert law.fitted_from.p_value < 0.01
    chances = {item.units: item.probability for item in problem_of(setup).scenarios}
    assert chances == pytest.approx({k: np.mean(seen == k) for k in set(seen.tolist())})


def test_a_law_that_is_asked_for_by_name_is_kept_and_one_that_fits_too(
    write_experiment: Write, tmp_path: Path
) -> None:
    write(tmp_path, zero_inflated())
    named = {"history": {"file": "past.csv", "fit": "negative-binomial"}}
    law = read(str(write_experiment(demand__distribution=named))).experiment.demand.distribution
    assert law.negative_binomial is not None
    seen = np.random.default_rng(3).poisson(3.0, 2000)
    write(tmp_path, seen)
    best = {"history": {"file": "past.csv"}}
    law = read(str(write_experiment(demand__distribution=best))).experiment.demand.distribution
    assert law.empirical is None
    assert law.moments is not None
