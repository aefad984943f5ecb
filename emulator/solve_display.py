"""What a person sees while a plan is solved: what is being done, the best cost, the bound, the gap."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from global_manager.provisioning import Progress as News


class SolveDisplay:
    """One line that changes on a terminal; elsewhere a line whenever there is something new to say.

    `show` None means: only on a terminal.
    """

    def __init__(self, console: Console, show: bool | None) -> None:
        self._console = console
        self._is_live = console.is_terminal and show is not False
        self._prints = bool(show) and not console.is_terminal
        self._said = ""
        self._line = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not self._is_live,
        )
        self._task = self._line.add_task("solving", total=None)

    def __enter__(self) -> Self:
        """Show the line."""
        self._line.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hide the line."""
        self._line.stop()

    def __call__(self, news: News) -> None:
        """Say how far the solver is."""
        said = (
            f"{news.stage}: cost {news.cost:,.0f}, bound {news.lower_bound:,.0f}, "
            f"gap {news.gap:.3%}"
        )
        self._line.update(self._task, description=said)
        if self._prints and said != self._said:
            self._console.print(said, soft_wrap=True)
        self._said = said
