"""What a reader finds in summary.html: everything in one file, true to the journals, and safe to open."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from emulator.build.assembly import Assembly, assemble
from emulator.build.loading import read
from emulator.build.setup import Setup
from emulator.config.schedule import FiberCutEvent
from emulator.config.topology import Link, Node, Topology
from emulator.report import summary
from emulator.report.layout import layout_of
from emulator.report.network_map import borders, draw, land
from emulator.report.paper_figures import fig4a, growth
from emulator.results.decisions import OrderCount, order_counts
from emulator.store.journal import FOLDER, Journal
from protos.core import FIBER_CONTROLLER, GLOBAL_MANAGER
from protos.facts import Fact, FactKind, LinkCondition, LinkState, Reason, Shares


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """One period of `tiny`: one unit from fiber, one that failed from orbit and never came."""
    (tmp_path / FOLDER).mkdir()
    order = {"request": 0, "period": 0, "serial": 1, "units": 1}
    facts = {
        GLOBAL_MANAGER: [
            Fact(FactKind.PERIOD, period=0),
            Fact(FactKind.REFUSED, **order, medium="uav"),
            Fact(FactKind.BOUGHT, **order, medium="satellite", cost=70),
            Fact(FactKind.FAILED, **order, medium="satellite", cost=-70, details=Reason("cloud")),
        ],
        FIBER_CONTROLLER: [
            Fact(FactKind.LINK, details=LinkState(("A", "B"), LinkCondition.LOSS, 0.0))
        ],
        "kme-A": [
            Fact(FactKind.DEMANDED, request=0, period=0, units=2),
            Fact(FactKind.DELIVERED, request=0, period=0, units=1, medium="fiber", end="source"),
            Fact(FactKind.SHORT, request=0, period=0, units=1),
            Fact(FactKind.LAPSED, request=0, period=0, units=1),
            Fact(
                FactKind.RELAYED,
                medium="fiber",
                peer="B",
                bits=256,
                details=Shares((0,), (256,)),
            ),
        ],
        "kme-B": [],
        "kme-C": [],
    }
    for entity, noted in facts.items():
        book = Journal(tmp_path, entity, [entity])
        book.commit(7, {entity: noted})
        book.finish({entity: (7, [])}, {})
        book.close()
    return tmp_path


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.text += " " * (tag in {"td", "th"})

    def handle_data(self, data: str) -> None:
        self.text += data


def _written(folder: Path, setup: Setup, failure: str = "") -> _Page:
    ending = summary.Ending(windows=8, emulated_s=8.0, wall_s=1.0, failure=failure)
    summary.write(folder, setup, assemble(setup), ending)
    return _Page((folder / "report.html").read_text())


def test_the_report_needs_nothing_from_elsewhere_and_names_every_picture_and_table(
    run_folder: Path, tiny: Setup
) -> None:
    page = _written(run_folder, tiny)
    sources = [values.get("src") or values.get("href") for tag, values in page.tags]
    assert all(found.startswith(("data:", "#")) for found in sources if found)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe"}
    pictures = [values for tag, values in page.tags if tag == "img"]
    assert len(pictures) == 5
    assert all(len(str(values["alt"])) > 40 for values in pictures)
    names = [tag for tag, _ in page.tags]
    assert names.count("table") == names.count("caption") > 5


def test_the_report_tells_faults_alarms_and_orders_that_failed(
    run_folder: Path, tiny: Setup
) -> None:
    experiment = tiny.experiment
    cut = FiberCutEvent(kind="fiber-cut", link=("B", "A"), at_s=5, until_s=65)
    experiment = experiment.model_copy(update={"faults": [cut]})
    text = " ".join(_written(run_folder, tiny.with_experiment(experiment)).text.split())
    assert "fiber-cut 0 0:00:05 0:01:05 link B-A" in text
    assert "A-B no signal 0:00:07 –" in text
    assert "satellite 1 1 0 0 1 1 70" in text
    assert "UAV 0 0 1 1 0 0 0" in text
    assert "3 requests asked for 2 units of key; 50.0% were available at once" in text
    assert "The rate of satellites and UAVs is assumed: 0.0% of the key" in text


def test_what_a_run_says_is_never_taken_for_html(run_folder: Path, tiny: Setup) -> None:
    page = _written(run_folder, tiny, failure="<script>alert(1)</script>")
    assert "script" not in {tag for tag, _ in page.tags}
    assert "<script>alert(1)</script>" in page.text


def test_a_run_that_ended_before_it_began_has_a_report_too(tmp_path: Path, tiny: Setup) -> None:
    page = _written(tmp_path, tiny, failure="the actors could not be started")
    assert "No application asked for key" in page.text
    assert "before there was anything to audit" in page.text
    assert [tag for tag, _ in page.tags].count("img") == 1


def test_dealings_are_counted_by_period_and_medium(run_folder: Path) -> None:
    assert order_counts(run_folder) == [
        OrderCount(0, "satellite", 1, 1, failed_orders=1, failed_units=1, refunded=70),
        OrderCount(0, "uav", refused_orders=1, refused_units=1),
    ]


def test_cost_grows_to_what_the_plan_of_all_requests_costs(tiny_assembly: Assembly) -> None:
    problem = tiny_assembly.problem
    curves = growth(problem, "floor", seed=3)
    nothing_reserved = fig4a(problem)[0]
    assert curves["none"][-1] == pytest.approx(nothing_reserved[3])
    for policy in ("expected-value", "random", "none"):
        pairs = zip(curves["stochastic"], curves[policy], strict=True)
        assert all(best <= other + 1e-9 for best, other in pairs)


def test_nodes_without_coordinates_get_places_of_their_own_always_the_same() -> None:
    ring = [Node(str(number)) for number in range(6)]
    links = [Link(a.name, b.name, 1.0) for a, b in zip(ring, [*ring[1:], ring[0]], strict=True)]
    network = Topology("ring", "", tuple(ring), tuple(links))
    layout = layout_of(network)
    assert not layout.on_earth
    assert len(set(layout.places.values())) == 6
    assert layout_of(network) == layout


def test_a_map_of_america_has_its_coasts_and_none_of_australia() -> None:
    america, world = (-125.0, -66.0, 24.0, 49.0), (-180.0, 180.0, -90.0, 90.0)
    assert 1 <= len(list(land(america))) < len(list(land(world))) / 4
    reached = [point for line in borders(america) for point in line]
    assert not any(longitude > 110 and latitude < -10 for longitude, latitude in reached)


def test_a_thousand_nodes_make_a_map_that_opens_quickly() -> None:
    side = 32
    nodes = [Node(f"{x}-{y}", 30.0 + y / 4, 5.0 + x / 4) for x in range(side) for y in range(side)]
    east = [Link(f"{x}-{y}", f"{x + 1}-{y}", 1.0) for x in range(side - 1) for y in range(side)]
    north = [Link(f"{x}-{y}", f"{x}-{y + 1}", 1.0) for x in range(side) for y in range(side - 1)]
    network = Topology("grid", "", tuple(nodes), tuple(east + north))
    figure = draw(network, [1000] * len(network.links), {}, {"0-0": 3})
    assert [artist.get_rasterized() for artist in figure.axes[0].collections][-2:] == [True, True]
    assert not figure.axes[0].texts


def test_usnet_is_drawn_with_names() -> None:
    usnet = read("paper").topology
    figure = draw(usnet, [0] * len(usnet.links), {}, {})
    assert {text.get_text() for text in figure.axes[0].texts} == {n.name for n in usnet.nodes}


def test_a_summary_is_there_only_if_all_else_is(
    tmp_path: Path, tiny: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("emulator.report.page.write", full)
    with pytest.raises(OSError, match="No space"):
        _written(tmp_path, tiny)
    assert not (tmp_path / "summary.json").exists()
