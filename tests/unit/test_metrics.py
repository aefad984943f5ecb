"""What observers see: names, sums, lives, and the text that Prometheus reads."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from network import simulate
from prometheus_client.parser import text_string_to_metric_families

from emulator.build.loading import read
from emulator.telemetry.exposition import Reports
from emulator.telemetry.metering import KEY_MANAGERS, RpcMeter, WindowMeter, server_of
from emulator.telemetry.metrics import FAMILIES, FAMILY_OF, PREFIX, Histogram, Kind
from emulator.telemetry.reporting import telemetry
from protos.core import UAV_CONTROLLER, Core, Measure

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
    histogram = Histogram((0.1, 1.0))
    for duration_s in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(duration_s)
    found = {
        (item.metric, *dict(item.labels).values()): item.value
        for item in histogram.measures("x", ())
    }
    assert found == {
        ("x_bucket", "0.1"): 2,
        ("x_bucket", "1.0"): 3,
        ("x_bucket", "+Inf"): 4,
        ("x_sum",): pytest.approx(7.65),
        ("x_count",): 4,
    }


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


def test_what_is_not_in_the_catalogue_is_not_shown() -> None:
    reports = Reports({"host-0": ("kme-A",)})
    reports.keep(telemetry("host-0", 0.0, [Measure("key_material", (("key", "cafe"),), 1.0)]))
    assert "cafe" not in reports.text()


def test_names_and_kinds_follow_the_conventions() -> None:
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)
    for family in FAMILIES:
        assert family.name.endswith("_total") == (family.kind is Kind.COUNTER), family
        assert family.words.endswith(".")
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
    assert list(RpcMeter(KEY_MANAGERS).measures()) == []
