"""A budget of work for code that others wrote: bytecode instructions, counted and never timed.

Counted is what runs from given source files, and what is in no file at all (code from `exec` or `eval`),
in functions, comprehensions and generators alike.  The count depends on the version of Python, not on the
machine.  The error is none that `except Exception` catches; code that catches every BaseException and goes
on is judged when it returns.  Calls into native code are one instruction, however long they take: one that
never returns is not noticed, nor is what other threads do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

MOST_INSTRUCTIONS = 20_000_000
_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")


class BudgetError(BaseException):
    """The code has taken more instructions than it may; no Exception, so that it is seldom caught."""

    def __init__(self, most: int, what: str = "instructions") -> None:
        super().__init__(most, what)
        self.most, self.what = most, what

    def __str__(self) -> str:
        return f"took more than its budget of {self.most:,} {self.what}"


@contextmanager
def counted(source: str, most: int = MOST_INSTRUCTIONS) -> Iterator[None]:
    """Raise BudgetError as soon as code of a file, or of files in a folder, has taken more than `most`."""
    taken = 0

    def on_instruction(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal taken
        taken += event == "opcode"
        if taken > most:
            raise BudgetError(most)
        return on_instruction

    def on_call(frame: FrameType, _event: str, _argument: object) -> Any:
        if not _is_counted(frame.f_code.co_filename, source):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return on_instruction

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        yield
    finally:
        sys.settrace(before)
    if taken > most:  # it has caught the error
        raise BudgetError(most)


def uncounted(
    work: Callable[[_Question], _Answer], most: int, what: str
) -> Callable[[_Question], _Answer]:
    """Return the same function, whose instructions are not counted, but its calls: there may be `most`.

    `what` says what a call is.  One more raises BudgetError.
    """
    calls = 0

    def run(question: _Question) -> _Answer:
        nonlocal calls
        calls += 1
        if calls > most:
            raise BudgetError(most, what)
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return work(question)
        finally:
            sys.settrace(tracer)

    return run


def _is_counted(file: str, source: str) -> bool:
    is_own = file == source or file.startswith(f"{source}/")
    return is_own or (file.startswith("<") and not file.startswith("<frozen"))
