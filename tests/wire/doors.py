"""A network over real gRPC in one process whose key managers have doors to SAEs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import yaml
from live_network import LiveNetwork, within

from emulator.access import Client
from emulator.access.certificates import AccessAuthority, write_credentials
from emulator.access.config import ServingHostConfig
from emulator.access.hosting import ServingHost
from emulator.access.opening import announce, announced, with_doors
from emulator.build.loading import read
from emulator.net.transport import Endpoint
from emulator.runtime.clock import BarrierClock, ClockConfig, Pace

EXPERIMENTS = Path(__file__).parents[2] / "emulator" / "config" / "experiments"
SAES = {"alice": "A", "anna": "A", "bob": "B", "carol/1": "C", "carol": "C"}
Result = TypeVar("Result")


def write_experiment(folder: Path, **demand: Any) -> Path:
    """Write an experiment with SAEs at three nodes in a row, and much key between them."""
    folder.mkdir(parents=True, exist_ok=True)
    fields_ = yaml.safe_load((EXPERIMENTS / "tiny.yaml").read_text())
    (folder / "tiny.csv").write_text((EXPERIMENTS / "tiny.csv").read_text())
    fields_["network"]["wavelengths"] = 400
    fields_["demand"] |= {"distribution": {"poisson": {"mean_units": 60}}, "scenarios": 100}
    fields_["demand"]["requests"] = [
        {"id": "ac", "class": "external", "source": "A", "target": "C"},
        {"id": "ca", "class": "external", "source": "C", "target": "A"},
        {"id": "ab", "class": "external", "source": "A", "target": "B"},
        {"id": "own", "class": "avatar", "source": "B", "target": "A"},
    ]
    fields_["demand"] |= demand
    fields_["access"] = {"saes": [{"id": sae, "node": node} for sae, node in SAES.items()]}
    fields_["access"]["operators"] = [{"id": "noc"}]
    path = folder / "experiment-with-saes.yaml"
    path.write_text(yaml.safe_dump(fields_))
    return path


class NetworkWithDoors(LiveNetwork):
    """See the module."""

    def __init__(self, folder: Path, hosts: int, experiment: Path) -> None:
        super().__init__(folder, hosts, experiment=str(experiment))
        self.setup = read(str(experiment))
        served = with_doors(list(self.configs.values()), self.setup, Endpoint(), self.last_window)
        self.configs = {config.name: config for config in served}
        told = {field.name: getattr(self.clock_config, field.name) for field in fields(ClockConfig)}
        serving = frozenset(c.name for c in served if c.serves_until is not None)
        self.clock_config = ClockConfig(**(told | {"serving": serving}))
        self.clock = BarrierClock(self.clock_config)
        self.doors: dict[str, ServingHost] = {}
        self.pace = Pace(20.0)

    async def start(self) -> None:
        """Have everybody serve."""
        await super().start()
        announce(self.folder, self.setup)

    async def bring_up(self, name: str) -> None:
        """Start a host, or its next incarnation."""
        config = self.configs[name]
        if not isinstance(config, ServingHostConfig):
            await super().bring_up(name)
            return
        self.doors[name] = ServingHost(config)
        self.hosts[name] = self.doors[name].host
        await self.doors[name].start()

    async def lose(self, name: str) -> Any:
        """Have a host vanish, and its doors with it."""
        doors = self.doors.pop(name, None)
        for server, task in doors._serving if doors else ():
            for connection in list(server.server_state.connections):
                connection.transport.abort()
            for listener in server.servers:
                listener.close()
            task.cancel()
        return await super().lose(name)

    async def run(self) -> None:
        """Run to the end."""
        await self.clock.run(self.last_window, self.pace)

    async def stop(self) -> None:
        """End everybody in good order."""
        for doors in self.doors.values():
            await doors.stop()
        self.hosts = {n: h for n, h in self.hosts.items() if n not in self.doors}
        await super().stop()

    def client(self, sae: str, as_if: str | None = None) -> Client:
        """Return a client for an SAE, at its own node, or at that of another."""
        authority = AccessAuthority.of(self.folder)
        where = self.folder / "saes" / sae.replace("/", "~")
        if not where.exists():
            write_credentials(where, authority.sae(sae), authority.certificate)
        found = announced(self.folder)
        url = found["nodes"][found["saes"][as_if or sae]["node"]]["url"]
        pem = [where / name for name in ("certificate.pem", "key.pem", "ca.pem")]
        return Client(url, *pem, timeout_s=20.0)

    async def during(
        self, work: Callable[[], Result], since_window: int = 30, *, to_end: bool = False
    ) -> Result:
        """Run the network, to its end if so wanted, and call something meanwhile in another thread."""
        await self.start()
        running = asyncio.create_task(self.run())
        while self.clock.window < since_window and not running.done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        try:
            return await asyncio.to_thread(work)
        finally:
            if not to_end:
                self.clock.stop()
            await running
            await self.stop()


class RunningNetwork:
    """A network that runs in a thread of its own until it is told to end."""

    def __init__(self, folder: Path) -> None:
        self._experiment = write_experiment(folder, periods=60)
        self.folder = folder / "run"
        self._done, self._ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(30)

    def end(self) -> None:
        """End the run."""
        self._done.set()
        self._thread.join(60)

    def _run(self) -> None:
        def work() -> None:
            self._ready.set()
            self._done.wait(240)

        self.network = NetworkWithDoors(self.folder, 3, self._experiment)
        within(300, self.network.during(work))
