"""One look at the run at a time, shared by all viewers of its page, and only while there are any."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from emulator.build.setup import Setup
from emulator.config.schedule import FaultEvent
from emulator.live_page.forms import fault_forms
from emulator.live_page.scenery import Scenery
from emulator.live_page.state import view_of
from emulator.results.following import Follower, injected
from emulator.store.files import SUMMARY

LOOK_EVERY_S = 0.1
MOST_VIEWERS = 20
_FAULTS: TypeAdapter[list[FaultEvent]] = TypeAdapter(list[FaultEvent])
_SHARE = 5  # a look that takes long makes looks rare


class Feed:
    """Follows one run folder.  Only for one event loop.

    A run is over when it has a summary.  A feed that is `attached` to a live run waits for that run to say
    so, since a resumed run has a summary already.
    """

    def __init__(self, run_folder: Path, setup: Setup, *, attached: bool = False) -> None:
        self.folder, self._attached = run_folder, attached
        self._setup = setup
        self._injected = 0
        self.scenery = Scenery(setup)
        problem, links = self.scenery.assembly.problem, setup.topology.links
        ends = [(link.a, link.b) for link in links]
        self._view = view_of(problem.requests, ends, self._windows(setup.experiment.faults))
        self._follower = Follower(run_folder)
        self._around: dict[str, Any] = {}
        self._viewers: list[object] = []
        self._closing = False
        self._ended = False
        self._news = asyncio.Condition()

    def about(self) -> dict[str, Any]:
        """Return what does not change: the network, its layout, and the times of periods."""
        experiment, scenery = self._setup.experiment, self.scenery
        timeline, layout = scenery.assembly.timeline, scenery.layout
        return {
            "experiment": experiment.name,
            "description": experiment.description,
            "seed": experiment.seed,
            "policy": experiment.plan.policy.value,
            "window_s": experiment.clock.window_s,
            "first_period_s": timeline.first_period_s,
            "period_s": timeline.period_s,
            "periods": timeline.periods,
            "end_s": timeline.end_s,
            "forms": fault_forms(),
            "on_earth": layout.on_earth,
            "nodes": [{"name": name, "at": at} for name, at in layout.places.items()],
            "links": [
                {
                    "a": item.link.a,
                    "b": item.link.b,
                    "skr_bps": item.rate.skr_bps,
                    "periods_to_fill": item.periods_to_fill(timeline.period_s),
                }
                for item in scenery.assembly.links
            ],
        }

    async def documents(self) -> AsyncIterator[str]:
        """Yield everything so far, then everything new, until the run has ended and all is sent.

        A viewer too many takes the place of the one who has watched longest; browsers come back unasked.
        """
        version = 0
        async with self._watching() as viewer:
            while True:
                document, ended = json.dumps(self._document(version)), self._ended
                version = self._view.version
                yield document
                if ended:
                    return
                async with self._news:
                    await self._news.wait_for(
                        lambda: self._is_new(version) or viewer not in self._viewers  # noqa: B023
                    )
                if viewer not in self._viewers:
                    return

    async def follow(self) -> None:
        """Look at the run repeatedly while it has viewers; return when nothing more will come."""
        due_s = time.monotonic()
        while not self._ended:
            began_s = time.monotonic()
            if self._viewers or self._closing:
                await self._look()
            now_s = time.monotonic()
            due_s = max(due_s + LOOK_EVERY_S, now_s + _SHARE * (now_s - began_s))
            await asyncio.sleep((due_s - now_s) * (not self._closing))

    async def told(self) -> None:
        """Return when every viewer has been sent everything."""
        async with self._news:
            await self._news.wait_for(lambda: not self._viewers)

    def close(self) -> None:
        """Look one last time, since nothing more will come."""
        self._closing = True

    async def _look(self) -> None:
        has_summary = not self._attached and (self.folder / SUMMARY).exists()
        is_last = self._closing or has_summary
        growth = await asyncio.to_thread(self._follower.growth)
        await asyncio.to_thread(self._take_injected)
        if self._view.take(growth) or not self._around:
            at_s = self._view.window * self._setup.experiment.clock.window_s
            self._around = {"at_s": at_s} | await asyncio.to_thread(self.scenery.at, at_s)
        self._ended = is_last
        async with self._news:
            self._news.notify_all()

    def _document(self, version: int) -> dict[str, Any]:
        return self._view.since(version) | {"around": self._around, "ended": self._ended}

    def _is_new(self, version: int) -> bool:
        return self._view.version > version or self._ended

    def _windows(self, faults: Iterable[FaultEvent]) -> list[tuple[int, str]]:
        """Return in which windows faults begin and end, in words."""
        window_s = self._setup.experiment.clock.window_s
        return [(int(at_s / window_s), words) for at_s, words in self.scenery.events_of(faults)]

    def _take_injected(self) -> None:
        """Take in what has been injected into the run, and is not in its experiment yet."""
        fresh = injected(self.folder)[self._injected :]
        self._injected += len(fresh)
        known = self._setup.experiment.faults
        faults = [item for item in _FAULTS.validate_python(fresh) if item not in known]
        if not faults:
            return
        known = [*known, *faults]
        experiment = self._setup.experiment.model_copy(update={"faults": known})
        self._setup = self._setup.with_experiment(experiment)
        self.scenery = Scenery(self._setup)
        self._view.schedule += self._windows(faults)

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[object]:
        viewer = object()
        self._viewers.append(viewer)
        try:
            if len(self._viewers) > MOST_VIEWERS:
                await self._forget(self._viewers[0])
            yield viewer
        finally:
            await self._forget(viewer)

    async def _forget(self, viewer: object) -> None:
        if viewer in self._viewers:
            self._viewers.remove(viewer)
        async with self._news:
            self._news.notify_all()
