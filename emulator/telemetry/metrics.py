"""Every metric that the exporter shows: its name, its kind, what its labels are, and what it says.

Names and units follow the conventions of Prometheus; key is counted in bits, as everywhere in QKD.
What happens at an emulated time is shown as that time, in emulated seconds since the start, so that its age
is a difference to `qsagin_emulated_time_seconds`.  Labels are names of nodes, links, actors and the like:
there are as many series as the network has parts, whatever happens in it.  No key is here, nor its name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from protos.core import Measure

PREFIX = "qsagin_"
RPC_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5)
WINDOW_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Kind(StrEnum):
    """Kinds of metrics."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Family:
    """One metric, without its prefix."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    words: str

    @property
    def is_sum(self) -> bool:
        """Whether hosts have the same series, which then is their sum."""
        return "server" in self.labels

    @property
    def series(self) -> tuple[str, ...]:
        """The names that its samples have."""
        if self.kind is not Kind.HISTOGRAM:
            return (self.name,)
        return (f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count")


def _counter(name: str, labels: str, words: str) -> Family:
    return Family(name, Kind.COUNTER, tuple(labels.split()), words)


def _gauge(name: str, labels: str, words: str) -> Family:
    return Family(name, Kind.GAUGE, tuple(labels.split()), words)


def _histogram(name: str, labels: str, words: str) -> Family:
    return Family(name, Kind.HISTOGRAM, tuple(labels.split()), words)


FAMILIES = (
    # the run
    _gauge("run_info", "experiment seed version", "What runs; always 1."),
    _gauge("emulated_time_seconds", "", "Emulated time since the start."),
    _gauge("node_up", "node", "Whether a QKD node reports, and is not out."),
    _gauge(
        "controller_up",
        "controller",
        "Whether a controller or the manager reports, and is not out.",
    ),
    _gauge(
        "last_report_timestamp_seconds", "host", "When an actor has reported last, in Unix time."
    ),
    _counter("actor_restarts_total", "actor", "Lives of an actor beyond its first."),
    _histogram("window_duration_seconds", "server", "Wall time of a window that was run."),
    _histogram("rpc_duration_seconds", "server method", "Wall time that a host takes for a call."),
    _counter(
        "rpc_handled_total", "server method code", "Calls that a host has answered, by status."
    ),
    _counter(
        "message_faults_total",
        "actor fault",
        "Messages that the schedule has lost, doubled, damaged or held back.",
    ),
    _counter(
        "refused_messages_total", "actor reason", "Messages that a host did not take, by reason."
    ),
    _counter("management_keys_used_total", "actor", "Keys that have sealed management messages."),
    _gauge(
        "management_keys_overdue", "actor", "Pairs that had no new management key when it was due."
    ),
    _gauge(
        "management_key_oldest_timestamp_seconds",
        "actor",
        "Emulated time since when the oldest management key that is in use has been in force.",
    ),
    _gauge(
        "management_key_store_available_bits",
        "node",
        "Key in the management key stores of a node, with which it has not sealed anything yet.",
    ),
    # keys
    _counter("key_demanded_bits_total", "node application", "Key that applications asked for."),
    _counter(
        "key_shortfall_bits_total",
        "node application",
        "Key that applications asked for and did not get at once.",
    ),
    _counter(
        "key_lapsed_bits_total",
        "node application",
        "Key that applications asked for and did not get before their period ended.",
    ),
    _counter("keys_delivered_bits_total", "node medium", "Key delivered, counted at each end."),
    _gauge("key_store_available_bits", "node peer", "Key that can be delivered now."),
    _gauge("key_store_capacity_bits", "node peer", "Key that a source reserves for a peer."),
    _gauge(
        "key_store_oldest_key_timestamp_seconds",
        "node",
        "Emulated time at which the oldest key that can be delivered was made.",
    ),
    # links, weather, services
    _gauge(
        "link_secret_key_rate_bits_per_second",
        "link medium",
        "Secret key rate of one wavelength or service.",
    ),
    _gauge("link_qber_ratio", "link", "Quantum bit error ratio, as a fraction."),
    _gauge("link_up", "link", "Whether a fiber makes key."),
    _gauge("link_alarm", "link cause", "Whether a fiber is down for this cause: loss, or noise."),
    _gauge("lit_wavelengths", "link", "Wavelengths reserved on a fiber."),
    _gauge("sky_cover_ratio", "node", "Fraction of the sky over a node that is covered."),
    _gauge("visibility_meters", "node", "How far one can see at a node, along the ground."),
    _gauge("wind_meters_per_second", "node", "Wind at a node."),
    _counter(
        "satellite_forecast_total", "forecast outcome", "Contacts by forecast and by what came."
    ),
    _counter(
        "orders_total",
        "medium outcome",
        "On-demand orders by outcome; those that failed had been accepted.",
    ),
    _gauge("uavs", "state", "UAVs by state."),
    # plan and cost
    _counter("periods_total", "", "Provisioning periods that have begun."),
    _counter("provisioning_cost_total", "stage medium", "Money spent, in the experiment's units."),
    _counter("provisioning_refunds_total", "medium", "Cost that orders which failed gave back."),
    _gauge("planned_cost_per_period", "stage", "Expected cost of a period under the plan."),
    _gauge("reservations", "state", "Requests with reserved units, as planned and as set up."),
    _gauge("plan_gap_ratio", "", "Gap between the plan's cost and a proven bound, as a fraction."),
    _counter("plans_total", "", "Plans that have come into force."),
    _gauge("plan_solve_duration_seconds", "", "Wall time in which the last plan was made."),
)
FAMILY_OF = {series: family for family in FAMILIES for series in family.series}


class Histogram:
    """Durations counted by how long they were."""

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self._sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Count one."""
        self._counts[bisect_left(self._bounds_s, duration_s)] += 1
        self._sum_s += duration_s

    def measures(self, name: str, labels: tuple[tuple[str, str], ...]) -> Iterator[Measure]:
        """Yield the samples of a histogram."""
        bounds = (*map(str, self._bounds_s), "+Inf")
        for bound, count in zip(bounds, accumulate(self._counts), strict=True):
            yield Measure(f"{name}_bucket", (*labels, ("le", bound)), count)
        yield Measure(f"{name}_sum", labels, self._sum_s)
        yield Measure(f"{name}_count", labels, sum(self._counts))
