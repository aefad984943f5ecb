"""Who watches the runs of benchmarks, and says nothing."""

from __future__ import annotations

from emulator.runtime.pacing import Progress


class Quiet:
    """Watches a run and says nothing."""

    def started(self, metrics_url: str, page_url: str, last_window: int) -> None:
        """Say nothing."""

    def advanced(self, progress: Progress) -> None:
        """Say nothing."""
