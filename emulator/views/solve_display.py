"""What a person sees while a plan is solved: what is being done, the best cost, the bound, the gap."""

from __future__ import annotations

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from emulator.views.live import Live
from global_manager.provisioning import SolveProgress


class SolveDisplay(Live):
    """One line that changes on a terminal; elsewhere a line whenever there is something new to say.

    `show` None means: only on a terminal.
    """

    def __init__(self, console: Console, show: bool | None) -> None:
        self._console = console
        self._is_live = console.is_terminal and show is not False
        self._prints = bool(show) and not console.is_terminal
        self._said = ""
        progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not self._is_live,
        )
        super().__init__(progress)
        self._task = self._progress.add_task("solving", total=None)

    def __call__(self, news: SolveProgress) -> None:
        """Say how far the solver is."""
        said = (
            f"{news.stage}: cost {news.cost:,.0f}, bound {news.lower_bound:,.0f}, "
            f"gap {news.gap:.3%}"
        )
        self._progress.update(self._task, description=said)
        if self._prints and said != self._said:
            self._console.print(said, soft_wrap=True)
        self._said = said
