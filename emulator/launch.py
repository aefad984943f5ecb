"""Ray: starts the actors of a run, and ends them.  The only module that imports Ray.

Ray starts, places and supervises processes; it carries no message of the emulated network.  By
default a private Ray instance is started that listens on the loopback interface only, sends no usage
statistics and writes nothing outside a temporary folder that nobody else can enter, which is removed.
Whoever can speak to Ray can run code as its owner; so a private instance obeys only processes that have
its token, which is drawn for it and stands nowhere but in their environment, and a cluster without token
authentication is not joined, unless `QSAGIN_UNAUTHENTICATED_CLUSTER=1` says that its network is trusted.

A run may join a cluster of machines that all have the same software and see the same run folder; its
actors then listen at the addresses by which these machines know each other.  Sweeps have whole runs
spread over the machines, each of which then starts an instance of its own.
"""

from __future__ import annotations

import ctypes
import gc
import io
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a run without doors to SAEs does not load it
    from emulator.access.hosting import ServingHost

    Kind = type["Host | ServingHost | Exporter | Clock"]

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_max_direct_call_object_size": str(64 * 2**20),  # so that restarts need no object store
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_TRUSTS_NETWORK = os.environ.get("QSAGIN_UNAUTHENTICATED_CLUSTER") == "1"
os.environ.update(_ENVIRONMENT)
if not _TRUSTS_NETWORK:
    os.environ["RAY_AUTH_MODE"] = "token"

import psutil  # noqa: E402
import ray  # noqa: E402 - Ray reads its environment when it is imported
from ray._private import ray_constants  # noqa: E402
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: E402

from emulator.access.config import ServingHostConfig  # noqa: E402
from emulator.net.heartbeat import JOINING, LEAVING, STARTING, TEMPORARY, beat  # noqa: E402
from emulator.runtime.clock import Clock, ClockConfig  # noqa: E402
from emulator.runtime.cluster import (  # noqa: E402
    LABEL,
    JoinError,
    LaunchError,
    Machine,
    check,
    probe,
    survey,
)
from emulator.runtime.glances import Glance  # noqa: E402
from emulator.runtime.host import Host, HostConfig  # noqa: E402
from emulator.runtime.pacing import Pace, Progress  # noqa: E402
from emulator.telemetry.exporter import Exporter, ExporterConfig  # noqa: E402

_TOKEN_BYTES = 32
_RAY_FOLDER = "ray"
_LONGEST_TEMPORARY = 32  # a socket's path, of which Ray makes 70, may have 107 bytes
_PR_SET_DUMPABLE = 4
_OBJECT_STORE_BYTES = 80 * 2**20
_LEAVE_LIMIT_S = 10.0  # who has no journal has nothing to write
_STOP_LIMIT_S = 300.0  # a journal of gigabytes gets its index then
_LINGER_S = 3.0
_CONNECT_LIMIT_S = 3.0
_PROGRESS_LIMIT_S = 0.5
_SURVEY_LIMIT_S = 30.0
_LEAST_CPU = 0.001
# A state of a million values is not looked through for garbage all the time.
_GARBAGE_THRESHOLDS = (100_000, 20, 100)
LOOK_EVERY_S = 0.2


class RayLostError(Exception):
    """Ray itself is gone, and with it all actors; what is committed can be resumed."""


class _Server:
    """An actor that serves as soon as it is created, and so after every restart too.

    If it cannot, `ready` says why: what a constructor raises, Ray wraps in words of its own.
    """

    async def __init__(self, kind: Kind, config: Any) -> None:  # type: ignore[misc]
        gc.set_threshold(*_GARBAGE_THRESHOLDS)
        self._problem: Exception | None = None
        try:
            self._inner = kind(_located(config))
            await self._inner.start()
            _close_to_others()
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
    """The actors of a run: hosts by name; the clock, which drives them; and the exporter."""

    hosts: Mapping[str, Any]
    clock: Any
    exporter: Any

    def begin(self, last_window: int, pace: Pace) -> Any:
        """Have the clock run; return what `ended` and `outcome` want."""
        return self.clock.call.remote("run", last_window, pace)

    def ended(self, running: Any, within_s: float) -> bool:
        """Return whether the run ends within this time."""
        done, _ = ray.wait([running], timeout=within_s)
        return bool(done)

    def outcome(self, running: Any) -> tuple[int, str]:
        """Return the last window of a run that has ended, and what went wrong, or nothing.

        Raises `RayLostError`.
        """
        try:
            window, failure = ray.get(running)
            return int(window), str(failure)
        except ray.exceptions.RayError as error:
            raise RayLostError(f"Ray has lost the clock: {cause_of(error)}") from error

    def progress(self) -> Progress | None:
        """Return how far the run has come; None if the clock does not answer at once."""
        with suppress(ray.exceptions.RayError):
            found: Progress = ray.get(self.clock.call.remote("progress"), timeout=_PROGRESS_LIMIT_S)
            return found
        return None

    def glance(self, host: str, entity: str, within_s: float) -> Glance | None:
        """Return what an entity of a host shows; None if it is out.  Raises `TimeoutError`."""
        try:
            asked = self.hosts[host].call.remote("glance", entity)
            found: Glance | None = ray.get(asked, timeout=within_s)
            return found
        except ray.exceptions.RayError as error:  # also: not within that time
            raise TimeoutError(cause_of(error)) from error

    def halt(self) -> None:
        """End the run after the window that is under way."""
        self.clock.call.remote("halt")

    def stop(self) -> str:
        """Have every actor write down what is left; return which host could not, and why, or nothing."""
        others = [actor.stop.remote() for actor in (self.clock, self.exporter)]
        hosts = {actor.stop.remote(): name for name, actor in self.hosts.items()}
        ray.wait(list(hosts), num_returns=len(hosts), timeout=_STOP_LIMIT_S)
        ray.wait(others, num_returns=len(others), timeout=_LEAVE_LIMIT_S)
        for end, name in hosts.items():
            try:
                ray.get(end, timeout=0)
            except (ray.exceptions.RayError, TimeoutError) as error:
                return f"{name} has not closed its journal: {cause_of(error)}"
        return ""


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
def ray_instance(actors: int, address: str | None, run_folder: Path) -> Iterator[list[Machine]]:
    """Start a private Ray instance for so many actors, or join the one at `address`; yield its machines.

    The first is where we are.  While it lasts nothing reaches standard output: under load Ray prints
    advice there.  Raises `JoinError` if a machine cannot take part in a run in this folder.
    """
    supervised = os.environ.get(TEMPORARY)
    folder = supervised or tempfile.mkdtemp(prefix="qsagin-", dir=_short_folder())
    before = set(psutil.Process().children(recursive=True))
    with redirect_stdout(io.StringIO()):
        try:
            if address is None:
                with _signals_wait():
                    _begin(actors, folder)
                yield []
            else:
                beat(JOINING)
                yield _join(address, run_folder)
        finally:
            family = set(psutil.Process().children(recursive=True)) - before
            beat(LEAVING)
            ray.shutdown()
            signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))  # Ray has undone it
            _bury(list(family) if address is None else [])
            shutil.rmtree(f"{folder}/{_RAY_FOLDER}" if supervised else folder, ignore_errors=True)


def _bury(family: list[psutil.Process]) -> None:
    """End what has outlived a private Ray instance: an agent that was just starting sometimes does."""
    _, left = psutil.wait_procs(family, timeout=_LINGER_S)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=_LINGER_S)


def _join(address: str, run_folder: Path) -> list[Machine]:
    """Become part of a cluster, and have every machine of it survey itself and the run folder."""
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except ray.exceptions.AuthenticationError as error:
        problem = "refuses our token; give all machines the same by RAY_AUTH_TOKEN_PATH"
        raise JoinError(address, problem) from error
    except (ConnectionError, RuntimeError, ValueError) as error:
        words = " ".join(str(error).split())
        raise JoinError(address, f"cannot be joined from here: {words}") from error
    machines, here = _machines(), ray.get_runtime_context().get_node_id()
    if not machines:
        raise JoinError(address, "has no machine with a CPU; start one with --num-cpus")
    with probe(run_folder) as proof:
        looks = [_on(machine, survey, soft=False).remote(proof) for machine in machines]
        for machine, look in zip(machines, looks, strict=True):
            try:
                found = ray.get(look, timeout=_SURVEY_LIMIT_S)
            except ray.exceptions.RayError as error:
                problem = f"has no qsagin that answers, or another one: {cause_of(error)}"
                raise JoinError(machine.address, problem) from error
            check(machine.address, proof, found, trusts_network=_TRUSTS_NETWORK)
    return sorted(machines, key=lambda machine: machine.key != here)


def _machines() -> list[Machine]:
    """Return the machines of the cluster that are alive and have a CPU to offer."""
    found = [
        Machine(
            node["NodeID"],
            node["NodeManagerAddress"],
            int(node["Resources"]["CPU"]),
            node.get("Labels", {}).get(LABEL, ""),
        )
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
    ]
    return sorted(found, key=lambda machine: (machine.address, machine.key))


def _on(machine: Machine | None, what: Any, *, soft: bool, **options: Any) -> Any:
    """Have Ray start something on a machine; if that is gone and the wish is soft, on another.

    What needs no CPU at all Ray would start anywhere, whatever is wished.
    """
    if machine is None:
        return ray.remote(num_cpus=0, **options)(what)
    strategy = NodeAffinitySchedulingStrategy(machine.key, soft=soft)
    return ray.remote(num_cpus=_LEAST_CPU, scheduling_strategy=strategy, **options)(what)


def _located(config: Any) -> Any:
    """Tell an actor that may listen at the address of its machine which one that is."""
    if not hasattr(config, "endpoint"):
        return config
    return replace(config, endpoint=config.endpoint.at(ray.util.get_node_ip_address()))


def _begin(actors: int, folder: str) -> None:
    if _TRUSTS_NETWORK:
        problem = "QSAGIN_UNAUTHENTICATED_CLUSTER is for runs with --address; unset it"
        raise LaunchError(problem)
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(_TOKEN_BYTES)
    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False  # Ray's switch for "bind to loopback only"
    with _elsewhere(folder):
        _start_ray(actors, folder)


def _start_ray(actors: int, folder: str) -> None:
    try:
        ray.init(
            address="local",
            num_cpus=actors,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=_OBJECT_STORE_BYTES,
            _temp_dir=f"{folder}/{_RAY_FOLDER}",  # which Ray opens to everybody
        )
    except Exception as error:  # Ray has no class for it
        is_here_to_stay = isinstance(error, OSError) and not isinstance(error, ConnectionError)
        problem = f"Ray has not started: {cause_of(error)}"
        raise LaunchError(problem, is_lost=not is_here_to_stay) from error


@contextmanager
def _elsewhere(folder: str) -> Iterator[None]:
    """Be in another folder: Ray has its workers import from where it was started, whatever lies there."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _short_folder() -> str:
    """Return the folder for temporary files, or /tmp where its path is too long for Ray's sockets."""
    usual = tempfile.gettempdir()
    return usual if len(usual.encode()) <= _LONGEST_TEMPORARY else "/tmp"  # noqa: S108 - 0700 below


def _close_to_others() -> None:
    """Have no other process of this user read our memory, and leave no core file: there is key in it."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Hold signals back until Ray knows all the processes that it has started.

    A signal in the middle would leave some that nobody ends.  Ray must not put its own handler for
    SIGTERM meanwhile: it raises wherever the program happens to be, and may be swallowed there.
    """
    received: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
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
    hosts: Sequence[HostConfig],
    clock: ClockConfig,
    exporter: ExporterConfig,
    homes: Mapping[str, Machine],
    *,
    supervised: bool,
) -> Cluster:
    """Start one actor a host, the clock and the exporter; return when all of them serve.

    Each is started at home, if it has one.  If they are supervised, Ray starts whichever is lost again,
    elsewhere if need be, to take up where it was.  Raises `LaunchError`.
    """
    lives = -1 if supervised else 0

    def begin(kind: Kind, config: Any) -> Any:
        home = homes.get(config.identity.name)
        options = {"max_restarts": lives, "max_task_retries": lives}
        return _on(home, _Server, soft=True, **options).remote(kind, config)

    exporter_actor = begin(Exporter, exporter)
    cluster = Cluster(
        {config.name: begin(_kind_of(config), config) for config in hosts},
        begin(Clock, clock),
        exporter_actor,
    )
    everybody = (cluster.clock, cluster.exporter, *cluster.hosts.values())
    waiting = [actor.ready.remote() for actor in everybody]
    try:
        while waiting:
            done, waiting = ray.wait(waiting, timeout=LOOK_EVERY_S)
            ray.get(done)
            if done:
                beat(JOINING if homes else STARTING)
    except ray.exceptions.RayError as error:
        raise LaunchError(cause_of(error), is_lost=not _is_of_an_actor(error)) from error
    return cluster


def _is_of_an_actor(error: ray.exceptions.RayError) -> bool:
    """Return whether an actor's own code has failed, which it would do again."""
    return isinstance(error, ray.exceptions.RayTaskError) or (
        isinstance(error, ray.exceptions.ActorDiedError) and error.actor_init_failed
    )


def _kind_of(config: HostConfig) -> type[Host | ServingHost]:
    """Return what a host is; one without doors to SAEs loads none of what they need."""
    if isinstance(config, ServingHostConfig):
        from emulator.access.hosting import ServingHost

        return ServingHost
    return Host


def cause_of(error: Exception) -> str:
    """Return in one line what went wrong, without what Ray wraps around it."""
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {cause}".splitlines()[0]
