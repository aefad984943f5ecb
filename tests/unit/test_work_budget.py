"""A budget of work: what has no end is ended, wherever its instructions stand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from global_manager.provisioning.work_budget import BudgetError, counted, uncounted

MOST = 10_000
ENDLESS = {
    "a loop on one line": "while True: pass",
    "a comprehension": "[n for n in itertools.count()]",
    "a generator": "sum(n for n in itertools.count())",
    "a nested function": "def turn():\n    while True: pass\nturn()",
    "a call back from native code": "list(map(lambda n: n, itertools.count()))",
    "code from text": "exec('while True: pass')",
    "errors that are caught": "while True:\n    try: 1 / 0\n    except Exception: pass",
}


def _run(body: str, source: str) -> None:
    exec(compile(f"import itertools\n{body}", source, "exec"), {})


@pytest.mark.parametrize("body", ENDLESS.values(), ids=ENDLESS)
def test_what_has_no_end_is_ended(body: str, tmp_path: Path) -> None:
    source = str(tmp_path / "mine.py")
    with (
        pytest.raises(BudgetError, match="more than its budget of 10,000 instructions"),
        counted(str(tmp_path), MOST),
    ):
        _run(body, source)


def test_one_that_catches_everything_is_judged_when_it_returns(tmp_path: Path) -> None:
    body = "try:\n    while True: pass\nexcept BaseException: pass"
    with pytest.raises(BudgetError), counted(str(tmp_path), MOST):
        _run(body, str(tmp_path / "mine.py"))


def test_the_same_work_is_counted_alike_every_time(tmp_path: Path) -> None:
    source, body = str(tmp_path / "mine.py"), "sum(n * n for n in range(100))"

    def fits(most: int) -> bool:
        try:
            with counted(source, most):
                _run(body, source)
        except BudgetError:
            return False
        return True

    least = next(most for most in range(10, 5_000) if fits(most))
    assert least > 100
    assert [fits(least - 1), fits(least), fits(least)] == [False, True, True]


def test_what_others_wrote_and_what_is_offered_costs_nothing(tmp_path: Path) -> None:
    tracer = sys.gettrace()
    with counted(str(tmp_path / "mine"), MOST):
        _run("for n in range(100_000): n * n", str(tmp_path / "mine.of.others.py"))
        offered = uncounted(lambda most: sum(n for n in range(most)), 1, "sums")
        assert offered(100_000) == 4_999_950_000
        with pytest.raises(BudgetError, match="its budget of 1 sums"):
            offered(1)
        assert sys.gettrace() is not tracer
    assert sys.gettrace() is tracer
