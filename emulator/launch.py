"""Ray: starts the actors of a run, and ends them.  The only module that imports Ray.

Ray starts, places and supervises processes; it carries no message of the emulated network.  By
default a private Ray instance is started that listens on the loopback interface only, sends no usage
statistics, needs no token and writes nothing outside its own temporary folder, which is removed.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",  # explicit: versions differ; a private instance is on loopback
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's switch for "bind to loopback only"
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
os.environ.update(_ENVIRONMENT)

import ray  # noqa: E402 - Ray reads its environment when it is imported

from emulator.exporter import Exporter, ExporterConfig  # noqa: E402
from emulator.host import EXPORTER, Host, HostConfig  # noqa: E402

_OBJECT_STORE_BYTES = 80 * 2**20
_STOP_LIMIT_S = 20.0


class LaunchError(Exception):
    """The actors could not be started."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)


@dataclass(frozen=True)
class Cluster:
    """The actors of a run: where each entity lives, and where metrics are shown."""

    addresses: dict[str, str]
    hosts: list[str]
    metrics_url: str
    actors: tuple[Any, ...]

    def stop(self) -> None:
        """Have every actor write down what is left; those that do not answer are left to Ray."""
        with suppress(ray.exceptions.RayError):
            ray.get([actor.stop.remote() for actor in self.actors], timeout=_STOP_LIMIT_S)


@contextmanager
def ray_instance(actors: int, address: str | None = None) -> Iterator[None]:
    """Start a private Ray instance for so many actors, or join the one at `address`.

    While it lasts nothing reaches standard output: under load Ray prints advice there.
    """
    folder = tempfile.mkdtemp(prefix="qsagin-")
    on_sigterm = signal.getsignal(signal.SIGTERM)
    with redirect_stdout(io.StringIO()):
        try:
            if address is None:
                ray.init(
                    address="local",
                    num_cpus=actors,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level="ERROR",
                    object_store_memory=_OBJECT_STORE_BYTES,
                    _temp_dir=folder,
                )
            else:
                ray.init(address=address, log_to_driver=False, logging_level="ERROR")
            signal.signal(signal.SIGTERM, on_sigterm)  # Ray puts a handler of its own
            yield
        except ConnectionError as error:
            raise LaunchError(f"no Ray cluster at {address}: {error}") from error
        finally:
            ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


def start(hosts: list[HostConfig], exporter: ExporterConfig) -> Cluster:
    """Start one actor a host, and the exporter; return when all of them serve.

    Raises `LaunchError`.
    """
    remote = ray.remote(num_cpus=0)
    host_actors = [remote(Host).remote(config) for config in hosts]
    exporter_actor = remote(Exporter).remote(exporter)
    try:
        started = ray.get([actor.start.remote() for actor in host_actors])
        exporter_address, metrics_url = ray.get(exporter_actor.start.remote())
    except ray.exceptions.RayError as error:
        raise LaunchError(_cause(error)) from error
    addresses = {entity: address for address, entities in started for entity in entities}
    addresses[EXPORTER] = exporter_address
    return Cluster(
        addresses=addresses,
        hosts=[address for address, _ in started],
        metrics_url=metrics_url,
        actors=(*host_actors, exporter_actor),
    )


def _cause(error: Exception) -> str:
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {cause}".splitlines()[0]
