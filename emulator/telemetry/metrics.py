"""Every metric that the exporter shows: its name, its kind, its labels, and its help text.

Names and units follow the conventions of Prometheus; key is counted in bits, as everywhere in QKD.
What happens at an emulated time is shown as that time, in emulated seconds since the start, so that its age
is a difference to `qsagin_emulated_time_seconds`.  Labels are names of nodes, links, actors and the like:
there are as many series as the network has parts, whatever happens in it.  No key is here, nor its name.
To these come the standard metrics of prometheus_client about every process, by actor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    Metric,
    PlatformCollector,
    ProcessCollector,
)

PREFIX = "qsagin_"


class UndeclaredMetricError(Exception):
    """A measure has a name or labels that are not declared here."""

    def __init__(self, metric: str, labels: tuple[str, ...]) -> None:
        super().__init__(metric, labels)
        self.metric, self.labels = metric, labels

    def __str__(self) -> str:
        declared = LABELS_OF.get(self.metric)
        if declared is None:
            return f"{self.metric}: no such metric is declared"
        return f"{self.metric}: has labels {self.labels}, declared are {declared}"


class Kind(StrEnum):
    """Kinds of metrics."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Family:
    """One metric; `name` is without the prefix, which standard metrics do not have."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    documentation: str
    prefix: str = PREFIX

    @property
    def is_sum(self) -> bool:
        """Whether hosts have the same series, which is then shown as their sum."""
        return "server" in self.labels

    @property
    def series(self) -> tuple[str, ...]:
        """The names of its samples."""
        if self.kind is not Kind.HISTOGRAM:
            return (self.name,)
        return (f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count")

    def metric(self) -> Metric:
        """Return the family as prometheus_client knows it, without samples."""
        name = self.prefix + self.name
        if self.kind is Kind.COUNTER:
            name = name.removesuffix("_total")
        return Metric(name, self.documentation, self.kind)

    def counter(self, registry: CollectorRegistry) -> Counter:
        """Return a counter of this family in a registry."""
        return Counter(self.prefix + self.name, self.documentation, self.labels, registry=registry)

    def histogram(self, registry: CollectorRegistry, bounds: Sequence[float]) -> Histogram:
        """Return a histogram of this family in a registry."""
        return Histogram(
            self.prefix + self.name,
            self.documentation,
            self.labels,
            registry=registry,
            buckets=bounds,
        )


def process_registry() -> CollectorRegistry:
    """Return a registry with the standard metrics of this process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def check(metric: str, labels: tuple[str, ...]) -> None:
    """Raise `UndeclaredMetricError` unless a metric is declared with these labels, in this order."""
    if LABELS_OF.get(metric) != labels:
        raise UndeclaredMetricError(metric, labels)


def _standard() -> Iterator[Family]:
    for metric in process_registry().collect():
        kind = Kind(metric.type)
        name = f"{metric.name}_total" if kind is Kind.COUNTER else metric.name
        labels = ("actor", *metric.samples[0].labels)
        yield Family(name, kind, labels, metric.documentation, prefix="")


def _counter(name: str, labels: str, documentation: str) -> Family:
    return Family(name, Kind.COUNTER, tuple(labels.split()), documentation)


def _gauge(name: str, labels: str, documentation: str) -> Family:
    return Family(name, Kind.GAUGE, tuple(labels.split()), documentation)


def _histogram(name: str, labels: str, documentation: str) -> Family:
    return Family(name, Kind.HISTOGRAM, tuple(labels.split()), documentation)


FAMILIES = (
    # the run
    _gauge(
        "run_info", "experiment seed version policy", "The experiment that is running; always 1."
    ),
    _gauge("emulated_time_seconds", "", "Emulated time since the start."),
    _gauge("node_up", "node", "Whether a QKD node reports and is not out by schedule."),
    _gauge(
        "controller_up",
        "controller",
        "Whether a controller or the manager reports and is not out by schedule.",
    ),
    _gauge("last_report_timestamp_seconds", "host", "Unix time of an actor's last report."),
    _counter("actor_restarts_total", "actor", "Restarts of an actor."),
    _histogram("window_duration_seconds", "server", "Wall time to run a window."),
    _histogram("rpc_duration_seconds", "server method", "Wall time for a host to answer a call."),
    _counter(
        "rpc_handled_total", "server method code", "Calls that hosts have answered, by status."
    ),
    _counter(
        "message_faults_total",
        "actor fault",
        "Messages that scheduled faults have dropped, duplicated, corrupted or delayed.",
    ),
    _counter("refused_messages_total", "actor reason", "Messages that a host refused, by reason."),
    _counter("management_keys_used_total", "actor", "Keys used to seal management messages."),
    _gauge(
        "management_keys_overdue",
        "actor",
        "Pairs whose management key could not be rotated when it was due.",
    ),
    _gauge(
        "management_key_oldest_timestamp_seconds",
        "actor",
        "Emulated time at which the oldest management key in use came into force.",
    ),
    _gauge(
        "management_key_store_available_bits",
        "node",
        "Unused key in a node's management key stores.",
    ),
    # keys
    _counter("key_demanded_bits_total", "node application", "Key that applications asked for."),
    _counter(
        "key_shortfall_bits_total",
        "node application",
        "Key that applications asked for and did not get immediately.",
    ),
    _counter(
        "key_lapsed_bits_total",
        "node application",
        "Key that applications asked for and did not get by the end of the period.",
    ),
    _counter(
        "key_expired_bits_total", "node", "Reserved key that became too old, counted at its source."
    ),
    _counter(
        "key_kept_bits_total",
        "node",
        "Key that stores had kept from the period before, added up over periods.",
    ),
    _counter("keys_delivered_bits_total", "node medium", "Key delivered, counted at each end."),
    _counter(
        "key_delivery_requests_total",
        "node method status",
        "Calls of SAEs (ETSI GS QKD 014), by method and status of the answer.",
    ),
    _gauge("key_delivery_held_keys", "node", "Keys that SAEs at this node have not taken yet."),
    _gauge("key_store_available_bits", "node peer", "Key available for delivery."),
    _gauge("key_store_capacity_bits", "node peer", "Key that a source reserves for a peer."),
    _gauge(
        "key_store_oldest_key_timestamp_seconds",
        "node",
        "Emulated time at which the oldest available key was generated.",
    ),
    # links, weather, services
    _gauge(
        "link_secret_key_rate_bits_per_second",
        "link medium",
        "Secret key rate of one wavelength or service.",
    ),
    _gauge("link_qber_ratio", "link", "Quantum bit error ratio, as a fraction."),
    _gauge("link_up", "link", "Whether a fiber generates key."),
    _gauge("link_alarm", "link cause", "Whether a fiber is down for this cause: loss or noise."),
    _gauge("lit_wavelengths", "link", "Wavelengths reserved on a fiber."),
    _gauge("sky_cover_ratio", "node", "Fraction of the sky over a node that is covered by cloud."),
    _gauge("visibility_meters", "node", "Horizontal visibility at a node."),
    _gauge("wind_meters_per_second", "node", "Wind speed at a node."),
    _counter(
        "satellite_forecast_total",
        "forecast outcome",
        "Satellite contacts by forecast and by actual sky.",
    ),
    _counter(
        "orders_total",
        "medium outcome",
        "On-demand orders by outcome; failed orders had been accepted.",
    ),
    _gauge("uavs", "state", "UAVs by state."),
    # plan and cost
    _counter("periods_total", "", "Provisioning periods that have begun."),
    _counter("provisioning_cost_total", "stage medium", "Money spent, in the experiment's units."),
    _gauge(
        "shortfall_cost_per_bit",
        "application",
        "Price of a bit of key that lapses, in the experiment's units.",
    ),
    _gauge(
        "keeping_cost_per_bit",
        "",
        "Price of a bit of key that a store keeps for a next period, in the experiment's units.",
    ),
    _counter("provisioning_refunds_total", "medium", "Cost refunded for failed orders."),
    _gauge("planned_cost_per_period", "stage", "Expected cost of a period under the plan."),
    _gauge(
        "reservations",
        "state",
        "Requests with reserved units: planned, set up, and refused so far.",
    ),
    _counter(
        "refused_reservations_total",
        "",
        "Reservations that the fiber controller refused; each is asked for again later.",
    ),
    _gauge("plan_gap_ratio", "", "Gap between the plan's cost and a proven bound, as a fraction."),
    _counter("plans_total", "", "Plans that have come into force."),
    _counter("failed_plans_total", "", "Times that no plan could be made; the one in force stays."),
    _gauge("plan_solve_duration_seconds", "", "Wall time spent on making the last plan."),
)
STANDARD = tuple(_standard())
FAMILY_OF = {series: family for family in (*FAMILIES, *STANDARD) for series in family.series}
LABELS_OF = {
    series: (*family.labels, "le") if series.endswith("_bucket") else family.labels
    for series, family in FAMILY_OF.items()
}
