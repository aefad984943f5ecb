"""The yardstick for start-up: bare Ray starts so many empty actors, each with a gRPC server."""

from __future__ import annotations

import sys
from pathlib import Path

from emulator import launch  # the same settings of Ray as a run has

import ray  # isort: skip
import grpc


class Empty:
    """An actor that serves nothing."""

    async def start(self) -> int:
        """Return the port of a gRPC server without services."""
        self._server = grpc.aio.server()
        port: int = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return port


def main(actors: int) -> None:
    """Start the actors, say so, and end."""
    with launch.ray_instance(actors, None, Path()):
        empty = [ray.remote(num_cpus=0)(Empty).remote() for _ in range(actors)]
        ray.get([actor.start.remote() for actor in empty])
        print("metrics: none", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
