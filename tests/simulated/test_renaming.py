"""What nodes are called changes nothing: a run under other names tells the same story of the other names.

Cases are those of the oracle: small networks under drawn faults of every kind.  Both runs start from files
with all names written out, so that whatever reads names (files, SQL, labels, details of facts) is passed
through; then each name is replaced by the number of its node, and all that is left must be equal.
"""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network import SimulatedNetwork, simulate
from schedules import Case, cases

from emulator.build.assembly import Assembly
from emulator.build.loading import ExperimentError, read, write
from emulator.build.setup import Setup
from emulator.chaos import probes
from emulator.report import page
from emulator.report.summary import Ending, results_of
from emulator.results import journal_queries
from emulator.results.tracing import story
from emulator.telemetry.exporter import Reports
from emulator.telemetry.reporting import telemetry
from protos.core import EntityOrder

PLAIN = [f"Zug{letter}" for letter in "ABCDEFGHI"]
AWKWARD = [
    "Zürich Flughafen",
    "Zürich-Flughafen",
    "Zürich",
    "Zwei, Drei",
    'Zeh\'s "Hof"',
    "Zelt/Zelt",
    "Zahl|2=3",
    "北京-Zentrum",
    "Z" + "ö" * 58 + "Z",
    "Zelt",
    "ZugA-ZugB",
    "%5A{ug} \\n $Z",
    "Z'; DROP TABLE fact; --",
    "<b>Zug</b> [red]",
    "Z 1",
    "ZZ",
    "Zug=Zug",
]
LINK_FAULTS = ("fiber-cut", "eavesdropper", "link-degraded")
WALL = "plan_solve_duration_seconds"
UNTOLD = {"digest", "wall_s", "startup_s", "running_s", "solve_s", "experiment", "audit"}


@dataclass(frozen=True)
class Names:
    """What the nodes of a case are called, in the order of its file."""

    of: Mapping[str, str]

    def renamed(self, value: Any) -> Any:
        """Return fields of an experiment with every node by its name."""
        if isinstance(value, Mapping):
            return {key: self.renamed(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.renamed(item) for item in value]
        return self.of.get(value, value) if isinstance(value, str) else value

    def numbered(self, value: Any) -> Any:
        """Return a document with every name replaced by its node's number, the longest names first."""
        if isinstance(value, Mapping):
            return {self.numbered(key): self.numbered(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.numbered(item) for item in value]
        return self._pattern.sub(self._number, value) if isinstance(value, str) else value

    @property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self.of.values(), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)))

    def _number(self, found: re.Match[str]) -> str:
        return f"«{list(self.of.values()).index(found.group())}»"


def _write(case: Case, names: Names, folder: Path) -> Path:
    """Write the files of a case under other names; return the experiment's."""
    folder.mkdir()
    for name, header, rows in (
        ("net.csv", ("source", "target", "length_km"), case.links),
        ("net.nodes.csv", ("node", "lat", "lon"), case.nodes),
    ):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *(names.renamed(list(row)) for row in rows)])
    path = folder / "case.yaml"
    fields = names.renamed(case.fields)
    path.write_text(yaml.safe_dump(fields, allow_unicode=True), encoding="utf-8")
    return path


def _told(case: Case, names: Names, folder: Path) -> dict[str, Any]:
    """Run a case under names; return all that anybody is told of it, with numbers for names."""
    setup = read(str(_write(case, names, folder)))
    network, assembly = simulate(setup)
    run = folder / "run"
    network.write_journals(run)
    write(setup, run)
    results = results_of(run, setup, assembly, Ending(network.window, 0.0, 0.0))
    summary = {key: value for key, value in results.summary.items() if key not in UNTOLD}
    audit = {k: v for k, v in results.summary["audit"].items() if k not in UNTOLD}
    document = {
        "plans": [json.loads(item.document) for item in journal_queries.plans(run)],
        "ledger": [asdict(row) | {"cost": row.cost} for row in results.ledger.rows],
        "decisions": [asdict(item) | {"reason": item.reason} for item in results.decisions],
        "summary": summary,
        "audit": audit,
        "probes": _probes(str(run), setup),
        "traces": _traces(run, setup),
        "measures": _measures(network),
        "metrics": _metrics(network, assembly),
    }
    return names.numbered(document)  # type: ignore[no-any-return]


def _probes(run: str, setup: Setup) -> dict[str, Any]:
    found: dict[str, Any] = {
        "open": probes.alarms_open(run),
        "served": probes.share_served(run, 99),
        "longest": probes.longest_without_key_s(run, 99),
    }
    for kind in sorted({event.kind for event in setup.experiment.faults}):
        found[f"served during {kind}"] = probes.share_served_during(run, kind)
        if kind in LINK_FAULTS:
            found[f"noticed {kind}"] = probes.every_link_fault_noticed(run, kind)
            found[f"relayed {kind}"] = probes.bits_relayed_over_struck_links(run, kind)
    return found


def _traces(run: Path, setup: Setup) -> list[Any]:
    requests = setup.experiment.demand.requests
    assert isinstance(requests, list)
    return [
        [asdict(step) for step in story(run, requests[0].id, period)]
        for period in (0, setup.experiment.demand.periods - 1)
    ]


def _measures(network: SimulatedNetwork) -> list[Any]:
    order = network.order.sorted(network.cores)
    return [
        [asdict(item) for item in network.cores[name].measures() if item.metric != WALL]
        for name in order
    ]


def _metrics(network: SimulatedNetwork, assembly: Assembly) -> list[str]:
    """Return the lines of a scrape, in the order of nodes."""
    reports = Reports({name: (name,) for name in network.cores}, now_s=lambda: 0.0)
    for name in EntityOrder(assembly.problem.nodes).sorted(network.cores):
        reports.keep(telemetry(name, 1.0, network.cores[name].measures()))
    unescaped = reports.text().replace('\\"', '"').replace("\\\\", "\\")
    return [line for line in unescaped.splitlines() if WALL not in line]


@st.composite
def renamed_cases(draw: st.DrawFn) -> tuple[Case, Names, Names]:
    """Draw a case, plain names for its nodes, and others."""
    case = draw(cases())
    nodes = [name for name, _, _ in case.nodes]
    awkward = draw(st.permutations(AWKWARD))[: len(nodes)]
    return (
        case,
        Names(dict(zip(nodes, PLAIN, strict=False))),
        Names(dict(zip(nodes, awkward, strict=False))),
    )


UNHURRIED = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@settings(UNHURRIED, max_examples=12)
@given(renamed_cases())
def test_renaming_nodes_changes_nothing_but_their_names(drawn: tuple[Case, Names, Names]) -> None:
    _compare(*drawn)


@pytest.mark.system
@pytest.mark.timeout(1200)
@settings(UNHURRIED, max_examples=220)
@given(renamed_cases())
def test_renaming_nodes_changes_nothing_in_many_cases(drawn: tuple[Case, Names, Names]) -> None:
    _compare(*drawn)


def _compare(case: Case, plain: Names, awkward: Names) -> None:
    with TemporaryDirectory() as folder:
        here = _told(case, plain, Path(folder, "plain"))
        there = _told(case, awkward, Path(folder, "awkward"))
    for part in here:
        assert there[part] == here[part], part


def test_a_report_under_other_names_says_the_same_of_them(tmp_path: Path) -> None:
    case = Case(
        yaml.safe_load(REPORTED),
        [("A", 40, -100), ("B", 41, -95), ("C", 42, -90), ("D", 39, -93)],
        [("A", "B", 80.0), ("B", "C", 80.0), ("C", "D", 80.0), ("D", "A", 80.0)],
    )
    told = []
    for label, called in (("plain", PLAIN), ("awkward", AWKWARD[4:])):
        names = Names(dict(zip("ABCD", called, strict=False)))
        setup = read(str(_write(case, names, tmp_path / label)))
        network, assembly = simulate(setup)
        run = tmp_path / label / "run"
        network.write_journals(run)
        results = results_of(run, setup, assembly, Ending(network.window, 0.0, 0.0))
        page.write(run, results)
        text = html.unescape((run / "report.html").read_text(encoding="utf-8"))
        text = re.sub(r"data:image/svg\+xml;base64,[^\"]*", "", text)
        text = re.sub(r"\b[0-9a-f]{64}\b", "", text)
        assert all(name in text for name in names.of.values())
        told.append(names.numbered(text))
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("global-manager", "is also what an entity is called"),
        ("clock", "is also what an entity is called"),
        ("kme-B", "is also what an entity is called"),
        ("Zu\u0308rich", "cannot be kept apart"),
        ("B-C", "cannot be kept apart"),
        ("Z" * 201, "200 bytes"),
        ("", "empty"),
        ("a\x1bb", "control"),
    ],
)
def test_names_that_cannot_be_kept_apart_are_refused_with_the_reason(
    tmp_path: Path, name: str, why: str
) -> None:
    case = Case(
        yaml.safe_load(REPORTED),
        [("A", 40, -100), ("B", 41, -95), ("C", 42, -90), ("D", 39, -93)],
        [("A", "B", 80.0), ("B", "C", 80.0), ("C", "D", 80.0), ("D", "A", 80.0)],
    )
    names = Names({"A": name, "B": "B", "C": "C", "D": "Zürich"})
    if name == "B-C":  # A-B to C reads like A to B-C
        names = Names({"A": "A-B", "B": "C", "C": "A", "D": "B-C"})
    with pytest.raises(ExperimentError) as caught:
        read(str(_write(case, names, tmp_path / "x")))
    assert why in str(caught.value)


REPORTED = """
name: renamed
seed: 3
network: {topology: net.csv, wavelengths: 8}
demand:
  periods: 6
  period_s: 60
  scenarios: 5
  distribution: {poisson: {mean_units: 2}}
  requests:
    - {id: r0, class: avatar, source: A, target: C}
    - {id: r1, class: avatar, source: B, target: D}
fiber: {monitor_s: 5, wait_to_restore_s: 0}
satellite: {probability: 0.5}
faults:
  - {kind: fiber-cut, link: [A, B], at_s: 130, until_s: 250}
  - {kind: power-cut, node: C, at_s: 260, until_s: 300}
clock: {window_s: 1}
"""
