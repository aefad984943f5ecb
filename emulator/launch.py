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
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",  # explicit: versions differ; a private instance is on loopback
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's switch for "bind to loopback only"
    "RAY_DEDUP_LOGS": "0",
    "RAY_max_direct_call_object_size": str(64 * 2**20),  # so that restarts need no object store
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
os.environ.update(_ENVIRONMENT)

import psutil  # noqa: E402
import ray  # noqa: E402 - Ray reads its environment when it is imported

from emulator.clock import Clock, ClockConfig, Pace, Progress  # noqa: E402
from emulator.exporter import Exporter, ExporterConfig  # noqa: E402
from emulator.host import Host, HostConfig  # noqa: E402

_OBJECT_STORE_BYTES = 80 * 2**20
_STOP_LIMIT_S = 20.0
_LINGER_S = 3.0
_CONNECT_LIMIT_S = 3.0
_PROGRESS_LIMIT_S = 0.5


class LaunchError(Exception):
    """The actors could not be started."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)


class _Server:
    """An actor that serves as soon as it is created, and so after every restart too.

    If it cannot, `ready` says why: what a constructor raises, Ray wraps in words of its own.
    """

    async def __init__(self, kind: type[Host | Exporter | Clock], config: Any) -> None:  # type: ignore[misc]
        self._problem: Exception | None = None
        try:
            self._inner = kind(config)
            await self._inner.start()
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits must hear of it
            self._problem = error

    async def ready(self) -> None:
        """Answer, which tells that the actor serves."""
        if self._problem is not None:
            raise self._problem

    async def stop(self) -> None:
        """Write down what is left, and stop serving."""
        if self._problem is None:
            await self._inner.stop()

    async def call(self, method: str, *values: Any) -> Any:
        """Call a method of what is inside."""
        return await getattr(self._inner, method)(*values)


@dataclass(frozen=True)
class Cluster:
    """The actors of a run; the clock is one of them, and drives the hosts."""

    servers: tuple[Any, ...]
    clock: Any

    def begin(self, last_window: int, pace: Pace) -> Any:
        """Have the clock run; return what `ended` and `outcome` want."""
        return self.clock.call.remote("run", last_window, pace)

    def ended(self, running: Any, within_s: float) -> bool:
        """Return whether the run ends within this time."""
        done, _ = ray.wait([running], timeout=within_s)
        return bool(done)

    def outcome(self, running: Any) -> tuple[int, str]:
        """Return the last window of a run that has ended, and what went wrong, or nothing."""
        try:
            window, failure = ray.get(running)
            return int(window), str(failure)
        except ray.exceptions.RayError as error:
            return 0, f"the clock is gone: {_cause(error)}"

    def progress(self) -> Progress | None:
        """Return how far the run has come; None if the clock does not answer at once."""
        with suppress(ray.exceptions.RayError):
            found: Progress = ray.get(self.clock.call.remote("progress"), timeout=_PROGRESS_LIMIT_S)
            return found
        return None

    def halt(self) -> None:
        """End the run after the window that is under way."""
        self.clock.call.remote("halt")

    def stop(self) -> None:
        """Have every actor write down what is left; those that do not answer are left to Ray."""
        ends = [actor.stop.remote() for actor in (self.clock, *self.servers)]
        ray.wait(ends, num_returns=len(ends), timeout=_STOP_LIMIT_S)


def check_address(address: str) -> None:
    """Raise `LaunchError` unless something listens at a cluster's address (`host:port`, or `auto`).

    Ray itself would go on trying for a quarter of an hour.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    if not colon or not port.isdigit():
        raise LaunchError(f"must be host:port or auto, not {address}")
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_LIMIT_S).close()
    except OSError as error:
        raise LaunchError(f"no Ray cluster answers at {address}: {error}") from error


@contextmanager
def ray_instance(actors: int, address: str | None = None) -> Iterator[None]:
    """Start a private Ray instance for so many actors, or join the one at `address`.

    While it lasts nothing reaches standard output: under load Ray prints advice there.
    """
    folder = tempfile.mkdtemp(prefix="qsagin-")
    with redirect_stdout(io.StringIO()):
        try:
            if address is None:
                with _signals_wait():
                    _begin(actors, folder)
            else:
                ray.init(address=address, log_to_driver=False, logging_level="ERROR")
            yield
        except ConnectionError as error:
            raise LaunchError(f"no Ray cluster at {address}: {error}") from error
        finally:
            family = psutil.Process().children(recursive=True) if address is None else []
            ray.shutdown()
            _bury(family)
            shutil.rmtree(folder, ignore_errors=True)


def _bury(family: list[psutil.Process]) -> None:
    """End what has outlived a private Ray instance: an agent that was just starting sometimes does."""
    _, left = psutil.wait_procs(family, timeout=_LINGER_S)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=_LINGER_S)


def _begin(actors: int, folder: str) -> None:
    ray.init(
        address="local",
        num_cpus=actors,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=_OBJECT_STORE_BYTES,
        _temp_dir=folder,
    )


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Hold signals back until Ray knows all the processes that it has started.

    A signal in the middle would leave some that nobody ends.  Ray must not put its own handler for
    SIGTERM meanwhile: it raises wherever the program happens to be, and may be swallowed there.
    """
    received: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, remember) for number in numbers}
    rays_own = ray._private.utils.set_sigterm_handler  # noqa: SLF001
    ray._private.utils.set_sigterm_handler = lambda _handler: None  # noqa: SLF001
    try:
        yield
    finally:
        ray._private.utils.set_sigterm_handler = rays_own  # noqa: SLF001
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])


def start(
    hosts: list[HostConfig], clock: ClockConfig, exporter: ExporterConfig, *, supervised: bool
) -> Cluster:
    """Start one actor a host, the clock and the exporter; return when all of them serve.

    If they are supervised, Ray starts whichever is lost again, to take up where it was.
    Raises `LaunchError`.
    """
    lives = -1 if supervised else 0
    remote = ray.remote(num_cpus=0, max_restarts=lives, max_task_retries=lives)(_Server)
    servers = [remote.remote(Exporter, exporter)]
    servers += [remote.remote(Host, config) for config in hosts]
    clock_actor = remote.remote(Clock, clock)
    try:
        ray.get([actor.ready.remote() for actor in (clock_actor, *servers)])
    except ray.exceptions.RayError as error:
        raise LaunchError(_cause(error)) from error
    return Cluster(tuple(servers), clock_actor)


def _cause(error: Exception) -> str:
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {cause}".splitlines()[0]
