"""A host that serves SAEs: a door for every node whose key manager lives there.

Doors live in the process of their key managers, so no key crosses from one process to another, and an
answer that was lost with a process is known to be unsure.  Without doors nothing of this is loaded.
"""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

from emulator.access.config import AccessConfig, ServingHostConfig, door_name
from emulator.access.server import MOST_CONNECTIONS, Door, DoorServer, tls_context
from emulator.net.http_server import listener_at
from emulator.runtime.glances import Glance
from emulator.runtime.host import Host
from emulator.store.registry import Registry
from protos.core import Measure

_OTHER_FILES = 1_000


class ServingHost:
    """See the module.  Whatever happens to the host happens to its doors."""

    def __init__(self, config: ServingHostConfig) -> None:
        if config.access is None:
            raise ValueError(f"{config.name} is told of no doors")
        self._access: AccessConfig = config.access
        self._registry = Registry(Path(config.run_folder))
        self.host = Host(config)
        self._doors: dict[str, Door] = {}
        self._serving: list[tuple[DoorServer, asyncio.Task[None]]] = []
        self.host.also_measured = self._measures

    async def start(self) -> str:
        """Serve; return the address of the host."""
        address = await self.host.start()
        _allow_files(len(self._access.doors) * MOST_CONNECTIONS + _OTHER_FILES)
        for node in self._access.doors:
            self._open(node)
        return address

    async def stop(self) -> None:
        """Answer who waits, close all doors, and stop the host."""
        self.host.callers.dismiss()
        for door in self._doors.values():
            door.restconf.feed.close()
        for server, _ in self._serving:
            server.end()
        await asyncio.gather(*(task for _, task in self._serving), return_exceptions=True)
        await self.host.stop()

    async def glance(self, entity: str) -> Glance | None:
        """Return what an entity of the host shows between two windows; None if it is out."""
        return await self.host.glance(entity)

    def _open(self, node: str) -> None:
        """Open a door, where it was before if that is free, and publish where it is."""
        listeners: list[socket.socket] = []

        def listen(host: str, port: int) -> int:
            listeners.append(listener_at(host, port))
            return int(listeners[-1].getsockname()[1])

        former = self._registry.find(door_name(node))
        endpoint = self._access.endpoint
        address = endpoint.bind(door_name(node), former.address if former else "", listen)
        context = tls_context(self._access.doors[node], self._access.authority)
        self._doors[node] = Door(node, self._access, self.host.callers)
        server = DoorServer(self._doors[node], context)
        self._serving.append((server, asyncio.create_task(server.serve(listeners))))
        self._registry.publish(door_name(node), address)

    def _measures(self) -> Iterator[Measure]:
        for node, door in self._doors.items():
            for (method, status), count in door.handled.items():
                labels = (("node", node), ("method", method), ("status", str(status)))
                yield Measure("key_delivery_requests_total", labels, count)


def _allow_files(wanted: int) -> None:
    """Raise the limit of open files, which connections are too, as far as this process may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
