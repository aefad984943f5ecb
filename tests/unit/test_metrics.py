"""What observers see: names, sums, lives, and the text that Prometheus reads."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from network import simulate
from prometheus_client import generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

import emulator.runtime
from emulator.build.loading import read
from emulator.telemetry.exporter import Reports
from emulator.telemetry.metrics import (
    FAMILIES,
    FAMILY_OF,
    PREFIX,
    STANDARD,
    Kind,
    UndeclaredMetricError,
)
from emulator.telemetry.reporting import (
    KEY_MANAGERS,
    MESSAGE_FAULTS,
    REFUSALS,
    ProcessMeter,
    RpcMeter,
    WindowMeter,
    server_of,
    telemetry,
    zeros,
)
from protos.core import GLOBAL_MANAGER, SATELLITE_CONTROLLER, UAV_CONTROLLER, Core, Measure
from protos.gen.qsagin.v1 import runtime_pb2

NODES = {"host-0": ("kme-A", "kme-B"), UAV_CONTROLLER: (UAV_CONTROLLER,)}


class Wall:
    """A clock on the wall that is turned by hand."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def _value(text: str, series: str) -> float | None:
    found = (line.rpartition(" ") for line in text.splitlines())
    return next((float(value) for name, _, value in found if name == PREFIX + series), None)


def _windows(count: int) -> list[Measure]:
    meter = WindowMeter(KEY_MANAGERS)
    for _ in range(count):
        meter.observe(0.002)
    return list(meter.measures())


def test_a_node_is_down_until_it_reports_and_when_it_is_silent() -> None:
    wall = Wall()
    reports = Reports(NODES, wall)
    assert _value(reports.text(), 'node_up{node="A"}') == 0
    reports.keep(telemetry("host-0", 7.0, ()))
    assert _value(reports.text(), 'node_up{node="A"}') == 1
    assert _value(reports.text(), 'controller_up{controller="uav-controller"}') == 0
    assert _value(reports.text(), "emulated_time_seconds") == 7
    wall.now_s += 6
    assert _value(reports.text(), 'node_up{node="B"}') == 0
    assert _value(reports.text(), 'last_report_timestamp_seconds{host="host-0"}') == 1_000


def test_who_says_only_that_it_is_there_is_shown_as_it_was() -> None:
    wall = Wall()
    reports = Reports(NODES, wall)
    labels = (("actor", "host-0"), ("reason", "tampered"))
    reports.keep(telemetry("host-0", 7.0, [Measure("refused_messages_total", labels, 3)]))
    wall.now_s += 6
    reports.keep(telemetry("host-0", 9.0, ()))
    text = reports.text()
    assert _value(text, 'node_up{node="B"}') == 1
    assert _value(text, "emulated_time_seconds") == 9
    assert _value(text, 'refused_messages_total{actor="host-0",reason="tampered"}') == 3


def test_who_is_out_by_schedule_is_down_meanwhile_although_its_process_reports() -> None:
    reports = Reports(NODES)
    out = [("kme-A", 60.0, 90.0)]
    seen = []
    for emulated_s in (59.0, 60.0, 89.0, 90.0):
        reports.keep(telemetry("host-0", 5.0, (), out))
        reports.keep(telemetry("clock", emulated_s, ()))
        seen.append([_value(reports.text(), f'node_up{{node="{name}"}}') for name in "AB"])
    assert seen == [[1, 1], [0, 1], [0, 1], [1, 1]]


def test_a_counter_does_not_fall_when_an_actor_is_started_again() -> None:
    reports = Reports({"host-0": ("kme-A",)})
    series = 'refused_messages_total{actor="host-0",reason="tampered"}'

    def hear(count: int | None) -> float | None:
        labels = (("actor", "host-0"), ("reason", "tampered"))
        measures = [] if count is None else [Measure("refused_messages_total", labels, count)]
        reports.keep(telemetry("host-0", 0.0, measures))
        return _value(reports.text(), series)

    assert [hear(count) for count in (3, 5, None, None, 1, 4, 2)] == [3, 5, 5, 5, 6, 9, 11]


def test_a_gauge_may_fall() -> None:
    reports = Reports({"host-0": ("kme-A",)})
    for value in (5.0, 2.0):
        labels = (("node", "A"), ("peer", "B"))
        reports.keep(telemetry("host-0", 0.0, [Measure("key_store_available_bits", labels, value)]))
    assert _value(reports.text(), 'key_store_available_bits{node="A",peer="B"}') == 2


def test_a_sum_over_hosts_waits_until_all_have_reported() -> None:
    reports = Reports({"host-0": ("kme-A",), "host-1": ("kme-B",)})
    count = 'window_duration_seconds_count{server="key-managers"}'
    reports.keep(telemetry("host-0", 0.0, _windows(3)))
    assert _value(reports.text(), count) is None
    reports.keep(telemetry("host-1", 0.0, _windows(4)))
    assert _value(reports.text(), count) == 7
    reports.keep(telemetry("host-1", 0.0, _windows(1)))
    assert _value(reports.text(), count) == 8


def test_a_sum_over_hosts_waits_for_who_has_only_said_that_it_is_there() -> None:
    reports = Reports({"host-0": ("kme-A",), "host-1": ("kme-B",)})
    series = _windows(2)
    reports.keep(telemetry("host-0", 1.0, series))
    reports.keep(telemetry("host-1", 1.0, ()))
    name = 'window_duration_seconds_count{server="key-managers"}'
    assert _value(reports.text(), name) is None
    reports.keep(telemetry("host-1", 2.0, series))
    assert _value(reports.text(), name) == 4


def test_a_histogram_counts_what_took_at_most_so_long() -> None:
    meter = WindowMeter(KEY_MANAGERS)
    for duration_s in (0.05, 0.1, 0.5, 7.0):
        meter.observe(duration_s)
    found = {
        (item.metric.removeprefix("window_duration_seconds"), *dict(item.labels).values()): (
            item.value
        )
        for item in meter.measures()
    }
    buckets = {bound: found["_bucket", KEY_MANAGERS, bound] for bound in ("0.025", "0.05", "0.1")}
    assert buckets == {"0.025": 0, "0.05": 1, "0.1": 2}
    buckets = {bound: found["_bucket", KEY_MANAGERS, bound] for bound in ("1.0", "5.0", "+Inf")}
    assert buckets == {"1.0": 3, "5.0": 3, "+Inf": 4}
    assert found["_sum", KEY_MANAGERS] == pytest.approx(7.65)
    assert found["_count", KEY_MANAGERS] == 4
    assert len(found) == 13


def test_another_reader_understands_the_text() -> None:
    reports = Reports({"host-0": ("kme-A",)})
    name = 'a "quoted" \\ name\nin two lines'
    odd = Measure("link_qber_ratio", (("link", name),), 1e-17)
    reports.keep(telemetry("host-0", math.pi, [odd, *_windows(2)]))
    found = {family.name: family for family in text_string_to_metric_families(reports.text())}
    (sample,) = found["qsagin_link_qber_ratio"].samples
    assert (sample.labels, sample.value) == ({"link": name}, 1e-17)
    assert found["qsagin_window_duration_seconds"].type == "histogram"
    assert found["qsagin_emulated_time_seconds"].samples[0].value == math.pi


ODD = '\x85odd \u2028 "name" \\\n'


def _everything() -> Reports:
    """Return reports of every kind of metric, with a restart, odd names and numbers."""
    run = (("experiment", ODD), ("seed", "7"), ("version", "1"), ("policy", "mine:Mine"))
    own = [Measure("run_info", run, 1.0)]
    reports = Reports({"host-0": ("kme-A",)}, lambda: 1e9, lambda: own)
    for value in (math.inf, 12_345_678.5, 1e-17):
        labels = (("node", ODD), ("application", "avatar"))
        measures = [
            Measure("key_demanded_bits_total", labels, value),
            Measure("link_qber_ratio", (("link", ODD),), value),
            *ProcessMeter("host-0").measures(),
            *_windows(3),
        ]
        reports.keep(telemetry("host-0", math.pi, measures))
    return reports


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "text/plain;version=0.0.4",
        "text/plain;version=1.0.0;escaping=allow-utf-8",
        "application/openmetrics-text;version=1.0.0",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8,*/*;q=0.1",
    ],
)
def test_ready_made_text_is_what_the_client_library_writes(accept: str) -> None:
    reports = _everything()
    encoder, _ = choose_encoder(accept)
    assert reports.text(encoder).encode() == encoder(reports)


def test_a_strict_reader_understands_the_text_as_openmetrics() -> None:
    encoder, _ = choose_encoder("application/openmetrics-text")
    text = _everything().text(encoder)
    assert text.endswith("# EOF\n")
    found = {family.name: family for family in openmetrics_families(text)}
    assert found["qsagin_key_demanded_bits"].type == "counter"
    (sample,) = found["qsagin_key_demanded_bits"].samples
    assert sample.labels == {"node": ODD, "application": "avatar"}


def test_every_family_has_one_header() -> None:
    lines = _everything().text(generate_latest).split("\n")
    headers = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(headers) == len(set(headers))
    assert len([line for line in lines if line.startswith("# HELP")]) == len(headers)


@pytest.mark.parametrize(
    ("measure", "words"),
    [
        (Measure("key_material", (("key", "cafe"),), 1.0), "key_material: no such metric"),
        (Measure("link_up", (("node", "A"),), 1.0), "link_up: has labels"),
        (Measure("uavs", (), 1.0), "uavs: has labels"),
    ],
)
def test_what_is_not_declared_raises_where_it_is_reported(measure: Measure, words: str) -> None:
    with pytest.raises(UndeclaredMetricError, match=words):
        telemetry("host-0", 0.0, [measure])


def test_what_is_not_declared_is_refused_and_changes_nothing() -> None:
    reports = Reports({"host-0": ("kme-A",)})
    reports.keep(telemetry("host-0", 3.0, _windows(1)))
    strange = runtime_pb2.Telemetry(host="host-0", emulated_s=9.0)
    strange.samples.add(metric="key_material", labels=[runtime_pb2.Label(name="key", value="cafe")])
    with pytest.raises(UndeclaredMetricError):
        reports.keep(strange)
    assert "cafe" not in reports.text()
    assert _value(reports.text(), "emulated_time_seconds") == 3


def test_an_error_about_a_metric_survives_pickling() -> None:
    error = UndeclaredMetricError("uavs", ("node",))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_every_actor_shows_its_process() -> None:
    reports = Reports({}, own=ProcessMeter("exporter").measures)
    for name in ("host-0", "clock"):
        reports.keep(telemetry(name, 0.0, ProcessMeter(name).measures()))
    found = {family.name: family for family in text_string_to_metric_families(reports.text())}
    for name in (
        "process_cpu_seconds",
        "process_resident_memory_bytes",
        "process_open_fds",
        "python_info",
        "python_gc_collections",
    ):
        actors = {sample.labels["actor"] for sample in found[name].samples}
        assert actors == {"host-0", "clock", "exporter"}, name
    assert {family.name for family in STANDARD} <= {
        sample.name for family in found.values() for sample in family.samples
    }


def test_time_on_the_processor_does_not_fall_when_an_actor_is_restarted() -> None:
    reports = Reports({})
    seen = []
    for cpu_s in (5.0, 1.0):
        cpu = Measure("process_cpu_seconds_total", (("actor", "host-0"),), cpu_s)
        reports.keep(telemetry("host-0", 0.0, [cpu]))
        line = 'process_cpu_seconds_total{actor="host-0"}'
        seen.append(next(_ for _ in reports.text().splitlines() if _.startswith(line)))
    assert seen == [f"{line} 5.0", f"{line} 6.0"]


def test_counters_that_can_be_known_are_there_from_the_first_report() -> None:
    entities = ("kme-A", GLOBAL_MANAGER, SATELLITE_CONTROLLER)
    reports = Reports({"host-0": entities})
    calls = RpcMeter(KEY_MANAGERS).measures()
    reports.keep(telemetry("host-0", 0.0, [*zeros("host-0", entities), *calls]))
    text = reports.text()
    known = [
        *(f'refused_messages_total{{actor="host-0",reason="{reason}"}}' for reason in REFUSALS),
        *(f'message_faults_total{{actor="host-0",fault="{fault}"}}' for fault in MESSAGE_FAULTS),
        *(
            f'keys_delivered_bits_total{{medium="{medium}",node="A"}}'
            for medium in ("fiber", "satellite", "uav")
        ),
        'satellite_forecast_total{forecast="clear",outcome="cloudy"}',
        "periods_total",
        "plans_total",
        "refused_reservations_total",
        'rpc_handled_total{code="OK",method="Exchange",server="key-managers"}',
        'rpc_handled_total{code="OK",method="Resend",server="key-managers"}',
    ]
    assert {_value(text, series) for series in known} == {0}


def test_what_has_been_counted_takes_the_place_of_a_zero() -> None:
    labels = (("actor", "host-0"), ("reason", "repeated"))
    counted = Measure("refused_messages_total", labels, 3)
    report = telemetry("host-0", 0.0, [*zeros("host-0", ("kme-A",)), counted])
    found = [sample.value for sample in report.samples if sample.labels[1].value == "repeated"]
    assert found == [3]


def test_every_known_reason_and_fault_is_one_that_hosts_count() -> None:
    runtime = Path(emulator.runtime.__file__).parent
    source = "".join(path.read_text() for path in runtime.rglob("*.py"))
    assert [word for word in (*REFUSALS, *MESSAGE_FAULTS) if f'"{word}"' not in source] == []


def test_names_and_kinds_follow_the_conventions() -> None:
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)
    for family in FAMILIES:
        assert family.name.endswith("_total") == (family.kind is Kind.COUNTER), family
        assert family.documentation.endswith(".")
        assert not {"le", "key", "key_id"} & set(family.labels)


def _measures(cores: dict[str, Core]) -> Iterator[Measure]:
    for core in cores.values():
        yield from core.measures()


@pytest.mark.parametrize("name", ["tiny", "sagin-metro"])
def test_every_measure_of_every_core_is_in_the_catalogue_with_its_labels(name: str) -> None:
    setup = read(name)
    demand = setup.experiment.demand.model_copy(update={"periods": 4})
    shorter = setup.experiment.model_copy(update={"demand": demand})
    network, _ = simulate(setup.with_experiment(shorter))
    measures = list(_measures(network.cores))
    for measure in measures:
        assert tuple(key for key, _ in measure.labels) == FAMILY_OF[measure.metric].labels
    assert len({(item.metric, item.labels) for item in measures}) == len(measures)


def test_what_was_asked_for_came_at_once_or_late_or_never(tiny_network: dict[str, float]) -> None:
    demanded, late, lapsed = (
        tiny_network[f"key_{what}_bits_total"] for what in ("demanded", "shortfall", "lapsed")
    )
    assert demanded > late > lapsed >= 0
    assert tiny_network["periods_total"] == 12
    assert tiny_network["plans_total"] == 1
    assert tiny_network["plan_solve_duration_seconds"] > 0


@pytest.fixture
def tiny_network() -> dict[str, float]:
    network, _ = simulate(read("tiny"))
    sums: dict[str, float] = {}
    for measure in _measures(network.cores):
        sums[measure.metric] = sums.get(measure.metric, 0.0) + measure.value
    return sums


def test_only_the_source_of_a_request_says_how_much_key_it_reserves() -> None:
    network, _ = simulate(read("tiny"))
    stores = {
        tuple(value for _, value in measure.labels)
        for measure in _measures(network.cores)
        if measure.metric == "key_store_capacity_bits"
    }
    assert stores == {("A", "C"), ("B", "A"), ("C", "B")}


def test_servers_of_key_managers_are_one_in_metrics() -> None:
    assert {server_of(name) for name in ("kme-A", "host-3")} == {KEY_MANAGERS}
    assert server_of(UAV_CONTROLLER) == UAV_CONTROLLER
    measures = list(RpcMeter(KEY_MANAGERS).measures())
    assert {measure.labels[0] for measure in measures} == {("server", KEY_MANAGERS)}
    assert {measure.value for measure in measures} == {0}
