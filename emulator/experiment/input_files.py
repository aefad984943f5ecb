"""What is wrong with a file that somebody has written: where in it, and what would be right."""

from __future__ import annotations


class InputFileError(ValueError):
    """A file cannot be used as written."""

    def __init__(self, file: str, field: str, problem: str) -> None:
        super().__init__(file, field, problem)  # pickle rebuilds from these
        self.file, self.field, self.problem = file, field, problem

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: {self.problem}"
