"""Hosts, clock and exporter of `tiny` over real gRPC in one process; any of them can be lost."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import yaml

from emulator.build.assembly import assemble
from emulator.build.loading import read
from emulator.build.manager_role import actors_of
from emulator.config.topology import save_csv
from emulator.net.identity import Authority
from emulator.runtime.clock import BarrierClock, ClockConfig
from emulator.runtime.envelopes import ManagementKeys
from emulator.runtime.grpc_services import CLOCK
from emulator.runtime.host import Host, HostConfig
from emulator.runtime.message_faults import MessageFaults
from emulator.runtime.pacing import Pace
from emulator.store.journal import FOLDER
from emulator.store.registry import Registry
from emulator.telemetry.exporter import METRICS, Exporter, ExporterConfig
from emulator.telemetry.reporting import EXPORTER
from protos.core import GLOBAL_MANAGER, EntityOrder


class LiveNetwork:
    """`tiny` on so many hosts, in a folder of its own; its management keys rotate often."""

    def __init__(  # noqa: PLR0917
        self,
        folder: Path,
        hosts: int,
        checkpoint_after_s: float = 0.2,
        period_s: float | None = None,
        experiment: str = "tiny",
        rotation_s: float = 25.0,
    ) -> None:
        setup = read(experiment)
        if period_s is not None:
            demand = setup.experiment.demand.model_copy(update={"period_s": period_s})
            changed = setup.experiment.model_copy(update={"demand": demand})
            setup = setup.with_experiment(changed)
        assembly = assemble(setup)
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        actors = actors_of(setup.experiment, assembly)
        roles = actors.everybody
        self.folder = folder
        self.authority = Authority()
        self.management_keys = ManagementKeys(actors.ground, 1.0, rotation_s)
        self.last_window = math.ceil(assembly.timeline.end_s)
        order = EntityOrder(assembly.problem.nodes)
        schedule = assembly.world.schedule
        disturbed = MessageFaults(setup.experiment.seed, 1.0, self.last_window, schedule, order)
        self.configs = {
            name: HostConfig(
                name,
                roles[place::hosts],
                str(folder),
                1.0,
                bytes(32),
                self.authority.issue(name, [role.entity for role in roles[place::hosts]]),
                self.management_keys,
                order,
                checkpoint_after_s=checkpoint_after_s,
                message_faults=disturbed,
                thinks=GLOBAL_MANAGER in {role.entity for role in roles[place::hosts]},
            )
            for place in range(hosts)
            for name in [f"host-{place}"]
        }
        living = {
            name: tuple(role.entity for role in config.roles)
            for name, config in self.configs.items()
        }
        self.clock_config = ClockConfig(
            living,
            str(folder),
            1.0,
            self.authority.issue(CLOCK, ()),
            assembly.timeline,
            patience_s=20.0,
        )
        self.clock = BarrierClock(self.clock_config)
        self.hosts: dict[str, Host] = {}
        identity = self.authority.issue(EXPORTER, ())
        self.exporter = Exporter(ExporterConfig(str(folder), 0, identity, living))

    async def start(self) -> None:
        """Have everybody serve."""
        await self.exporter.start()
        for name in self.configs:
            await self.bring_up(name)

    async def bring_up(self, name: str) -> None:
        """Start a host, or its next incarnation."""
        self.hosts[name] = Host(self.configs[name])
        await self.hosts[name].start()

    async def lose(self, name: str) -> Host:
        """Have a host vanish: nothing is written down, nobody is told."""
        host = self.hosts.pop(name)
        host._reporter.abandon()
        assert host._server is not None
        await host._server.stop(grace=None)
        return host

    async def run(self) -> None:
        """Run to the end."""
        await self.clock.run(self.last_window, Pace(None))

    async def lose_clock(self, running: asyncio.Task[None]) -> asyncio.Task[None]:
        """Have the clock vanish, and another take its place; return the new run."""
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        self.clock._reporter.abandon()
        await self.clock._channels.close()
        self.clock = BarrierClock(self.clock_config)
        return asyncio.create_task(self.run())

    async def stop(self) -> None:
        """End everybody in good order."""
        await self.clock.close()
        for host in self.hosts.values():
            await host.stop()
        await self.exporter.stop()

    @property
    def metrics_url(self) -> str:
        """Where metrics are."""
        page = Registry(self.folder).find(METRICS)
        assert page is not None
        return page.address


def write_experiment_of(name: str, folder: Path) -> Path:
    """Write an experiment down as a run does."""
    setup = read(name)
    fields = setup.experiment.model_dump(mode="json", by_alias=True, exclude_none=True)
    fields["network"]["topology"] = save_csv(setup.topology, folder / "network.csv").name
    fields["network"].pop("link_km", None)
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return path


def within(seconds: float, work: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end, but not for ever."""

    async def limited() -> Any:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(limited())
