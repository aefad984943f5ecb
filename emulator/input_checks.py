"""Errors of what somebody has written: which field, which value, and what would be right."""

from __future__ import annotations

import math


class BadInputError(Exception):
    """Something that was given cannot be used; its text is one line per mistake, for whoever gave it."""


class ParameterError(BadInputError, ValueError):
    """A physical parameter is unknown, or has a value that no device can have."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)  # pickle rebuilds from these
        self.field, self.problem = field, problem

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


class InputFileError(BadInputError, ValueError):
    """A file cannot be used as written."""

    def __init__(self, file: str, field: str, problem: str) -> None:
        super().__init__(file, field, problem)  # pickle rebuilds from these
        self.file, self.field, self.problem = file, field, problem

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: {self.problem}"


def require_between(setup: object, low: float, high: float, *fields: str) -> None:
    """Raise ParameterError unless each named field of the setup lies in [low, high]."""
    for field in fields:
        value = getattr(setup, field)
        if not low <= value <= high:
            raise ParameterError(field, f"must lie between {low:g} and {high:g}, not {value}")


def require_positive(setup: object, *fields: str) -> None:
    """Raise ParameterError unless each named field of the setup is positive and finite."""
    for field in fields:
        value = getattr(setup, field)
        if not 0 < value < math.inf:
            raise ParameterError(field, f"must be positive, not {value}")


def require_not_negative(setup: object, *fields: str) -> None:
    """Raise ParameterError unless each named field of the setup is zero or more, and finite."""
    for field in fields:
        value = getattr(setup, field)
        if not 0 <= value < math.inf:
            raise ParameterError(field, f"must be zero or more, not {value}")
