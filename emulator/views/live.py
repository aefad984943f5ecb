"""What is shown on a terminal while something goes on, and is gone afterwards."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.progress import Progress


class Live:
    """A progress bar or line that is there as long as a `with` block lasts."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __enter__(self) -> Self:
        """Show it."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hide it."""
        self._progress.stop()
