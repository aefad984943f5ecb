"""What the live page shows, whom it answers, and when it is over."""

from __future__ import annotations

import asyncio
import json
import re
from math import acos, degrees
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from starlette.types import Message

from emulator.build.loading import read
from emulator.build.setup import Setup
from emulator.config.experiment import Experiment
from emulator.config.schedule import FaultEvent, FiberCutEvent
from emulator.live_page.feed import MOST_VIEWERS, Feed
from emulator.live_page.forms import fault_forms
from emulator.live_page.scenery import Scenery, footprint_deg
from emulator.live_page.server import Access, application
from emulator.live_page.state import RunView, view_of
from emulator.results.following import Follower
from emulator.runtime.injection import InjectionError
from emulator.store.injection_table import Injected, Injections
from emulator.store.journal import FOLDER, Journal
from emulator.world.places import EARTH_KM
from emulator.world.visibility import Site, views
from protos.core import FIBER_CONTROLLER, GLOBAL_MANAGER
from protos.facts import Fact, FactKind, LinkCondition, LinkState, Planned, Reason

_EVENTS = get_args(get_args(FaultEvent)[0])
ACCESS = Access(4242, "secret-token")
PLAN = {"objective": 900.0, "gap": 0.01, "reserved_units": 4, "expected_shortfall_units": 0.0}
ORDER = {"request": 0, "period": 0, "serial": 1, "units": 1}
STORY: list[tuple[int, str, Fact]] = [
    (0, GLOBAL_MANAGER, Fact(FactKind.PLANNED, details=Planned(json.dumps(PLAN)))),
    (0, GLOBAL_MANAGER, Fact(FactKind.RESERVED, request=0, period=0, units=2, cost=300)),
    (1, GLOBAL_MANAGER, Fact(FactKind.PERIOD, period=0, cost=300)),
    (1, "kme-A", Fact(FactKind.DEMANDED, request=0, period=0, units=3)),
    (
        1,
        "kme-A",
        Fact(FactKind.DELIVERED, request=0, period=0, units=1, medium="fiber", end="source"),
    ),
    (1, "kme-A", Fact(FactKind.SHORT, request=0, period=0, units=2)),
    (1, "kme-A", Fact(FactKind.RELAYED, medium="fiber", peer="B", bits=256)),
    (1, "kme-B", Fact(FactKind.RELAYED, medium="fiber", peer="A", bits=256)),
    (
        2,
        "kme-B",
        Fact(FactKind.DELIVERED, request=0, period=0, units=1, medium="fiber", end="target"),
    ),
    (2, GLOBAL_MANAGER, Fact(FactKind.BOUGHT, **ORDER, medium="satellite", cost=70)),
    (
        3,
        FIBER_CONTROLLER,
        Fact(FactKind.LINK, details=LinkState(("A", "B"), LinkCondition.NOISE, 0.2)),
    ),
    (
        4,
        GLOBAL_MANAGER,
        Fact(FactKind.FAILED, **ORDER, medium="satellite", cost=-70, details=Reason("cloud")),
    ),
    (4, GLOBAL_MANAGER, Fact(FactKind.BOUGHT, **(ORDER | {"serial": 2}), medium="uav", cost=90)),
    (
        6,
        "kme-A",
        Fact(FactKind.DELIVERED, request=0, period=0, units=1, medium="uav", end="source"),
    ),
    (6, GLOBAL_MANAGER, Fact(FactKind.COMPLETED, request=0, period=0, serial=2, units=1)),
    (7, "kme-A", Fact(FactKind.LAPSED, request=0, period=0, units=1)),
    (
        8,
        FIBER_CONTROLLER,
        Fact(FactKind.LINK, details=LinkState(("A", "B"), LinkCondition.UP, 0.01)),
    ),
]


class Written:
    """A run folder into which a story is written, window by window."""

    def __init__(self, folder: Path) -> None:
        (folder / FOLDER).mkdir()
        entities = {entity for _, entity, _ in STORY}
        self._books = {entity: Journal(folder, entity, [entity]) for entity in entities}
        self._at = -1

    def go_on(self, until: int) -> None:
        for window in range(self._at + 1, until + 1):
            for entity, book in self._books.items():
                facts = [fact for at, who, fact in STORY if (at, who) == (window, entity)]
                book.commit(window, {entity: facts}, mail=b"")
        self._at = until


def _view(assembly: Any) -> RunView:
    return view_of(
        assembly.problem.requests, [("A", "B"), ("B", "C")], [(3, "fiber-cut A-B begins")]
    )


def test_a_page_that_looked_often_shows_what_one_that_looked_once_does(
    tmp_path: Path, tiny_assembly: Any
) -> None:
    run, often, once = Written(tmp_path), _view(tiny_assembly), _view(tiny_assembly)
    follower = Follower(tmp_path)
    for window in range(9):
        run.go_on(window)
        assert often.take(follower.growth())
    assert not often.take(follower.growth())
    once.take(Follower(tmp_path).growth())
    seen, told = often.since(0), once.since(0)
    for document in (seen, told):
        del document["version"]
        for event in document["events"]:
            del event["version"], event["number"]
        document["events"].sort(key=lambda event: (event["window"], event["words"]))
    assert seen == told


def test_units_are_counted_once_and_money_comes_back_for_orders_that_fail(
    tmp_path: Path, tiny_assembly: Any
) -> None:
    Written(tmp_path).go_on(8)
    view = _view(tiny_assembly)
    view.take(Follower(tmp_path).growth())
    totals = view.totals()
    units = {
        name: totals[f"{name}_units"] for name in ("fiber", "satellite", "uav", "lapsed", "late")
    }
    assert units == {"fiber": 1, "satellite": 0, "uav": 1, "lapsed": 1, "late": 2}
    lost = 2 * 37_040  # one unit of a request over two hops
    assert (totals["missing_units"], totals["shortfall_cost"]) == (0, lost)
    assert (totals["cost"], totals["expected_cost"]) == (390 + lost, 900.0)
    assert view.links[0].carried_bits == 256
    assert view.orders == {}


def test_an_order_is_under_way_until_it_fails_or_is_complete(
    tmp_path: Path, tiny_assembly: Any
) -> None:
    run, view, follower = Written(tmp_path), _view(tiny_assembly), Follower(tmp_path)
    seen = []
    for window in (1, 2, 4, 6):
        run.go_on(window)
        view.take(follower.growth())
        seen.append([medium for _, medium in view.orders.values()])
    assert seen == [[], ["satellite"], ["uav"], []]


def test_who_was_away_is_told_only_what_has_changed(tmp_path: Path, tiny_assembly: Any) -> None:
    run, view, follower = Written(tmp_path), _view(tiny_assembly), Follower(tmp_path)
    run.go_on(2)
    view.take(follower.growth())
    assert [len(view.since(0)[name]) for name in ("requests", "links", "periods")] == [3, 2, 1]
    version = view.version
    run.go_on(3)
    view.take(follower.growth())
    news = view.since(version)
    assert news["requests"] == news["periods"] == []
    assert [link["trouble"] for link in news["links"]] == ["qber 0.2000"]
    words = {event["words"] for event in news["events"]}
    assert words == {"fiber A-B is down: qber 0.2000", "fiber-cut A-B begins"}


def test_a_run_that_keeps_its_journals_in_memory_has_nothing_to_show_yet(
    tmp_path: Path, tiny_assembly: Any
) -> None:
    view = _view(tiny_assembly)
    assert not view.take(Follower(tmp_path).growth())
    assert view.since(0)["requests"][0]["demanded_units"] == 0


def test_a_footprint_ends_where_the_satellite_stands_at_the_least_elevation() -> None:
    horizon = footprint_deg(np.array([EARTH_KM + 550]), 0.0)[0]
    assert horizon == pytest.approx(degrees(acos(EARTH_KM / (EARTH_KM + 550))))
    setup = read("sagin-day")
    orbits = setup.experiment.satellite.orbits
    assert orbits is not None
    name, longitude, latitude, radius = Scenery(setup).at(600.0)["satellites"][0]
    constellation = orbits.constellation()
    edges = [Site("edge", latitude + way * radius, longitude) for way in (-1, 1)]
    seen = views(constellation, edges, np.array([600.0]))
    found = seen.elevation_deg[constellation.names.index(name), :, 0]
    assert found == pytest.approx([orbits.min_elevation_deg] * 2, abs=1.0)  # the Earth is no sphere


def test_the_scenery_knows_storms_on_their_way_and_fibers_that_are_cut() -> None:
    setup = read("sagin-day")
    early, late = (Scenery(setup).at(hour * 3600.0) for hour in (4, 10))
    assert early["storms"][0]["at"] != late["storms"][0]["at"]
    assert set(late["clouds"]) == {node.name for node in setup.topology.nodes}
    setup = read("tiny")
    cut = FiberCutEvent(kind="fiber-cut", link=("A", "B"), at_s=5, until_s=65)
    scenery = Scenery(setup.with_experiment(setup.experiment.model_copy(update={"faults": [cut]})))
    assert [rate > 0 for rate in scenery.at(30.0)["rates_bps"]] == [False, True]
    assert [rate > 0 for rate in scenery.at(70.0)["rates_bps"]] == [True, True]


def test_viewers_are_told_the_end_of_a_run_and_nobody_looks_when_nobody_watches(
    tmp_path: Path, tiny: Setup
) -> None:
    run = Written(tmp_path)
    run.go_on(8)

    async def watch() -> list[dict[str, Any]]:
        feed, seen = Feed(tmp_path, tiny), []
        following = asyncio.create_task(feed.follow())
        async for text in feed.documents():
            seen.append(json.loads(text))
            if len(seen) == 2:
                (tmp_path / "summary.json").write_text("{}")
                feed.close()
        await following
        await feed.told()
        return seen

    first, *_, last = asyncio.run(watch())
    assert (first["window"], first["ended"]) == (0, False)
    assert (last["window"], last["ended"]) == (8, True)


def test_a_viewer_too_many_takes_the_place_of_the_one_who_has_watched_longest(
    tmp_path: Path, tiny: Setup
) -> None:
    Written(tmp_path).go_on(1)

    async def watch() -> None:
        feed = Feed(tmp_path, tiny)
        viewers = [feed.documents() for _ in range(MOST_VIEWERS + 1)]
        for viewer in viewers:
            assert json.loads(await anext(viewer))["ended"] is False
        assert await anext(viewers[0], None) is None
        following = asyncio.create_task(feed.follow())
        for viewer in viewers[1:]:
            assert json.loads(await anext(viewer))["window"] == 1
        feed.close()
        await following

    asyncio.run(watch())


def _ask(
    app: Any, path: str, host: str, method: str = "GET", body: str = "", **headers: str
) -> tuple[int, dict[str, str], str]:
    """Send one request to an ASGI application; return status, headers and body."""
    sent: list[Message] = []
    pairs = [(b"host", host.encode())]
    pairs += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]

    bodies = [body.encode()]

    async def receive() -> Message:
        if not bodies:
            await asyncio.Event().wait()  # the client stays
        return {"type": "http.request", "body": bodies.pop(), "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "scheme": "http", "headers": pairs, "server": ("127.0.0.1", ACCESS.port), "client": None,
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    answer = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], found, answer.decode()


def test_only_requests_that_name_this_machine_are_answered(tmp_path: Path, tiny: Setup) -> None:
    app = application(Feed(tmp_path, tiny), ACCESS)
    assert _ask(app, "/api/run", "127.0.0.1:4242")[0] == 200
    assert _ask(app, "/api/run", "localhost:4242")[0] == 200
    for host in ("evil.example:4242", "127.0.0.1", "127.0.0.1:80", ""):
        status, _, body = _ask(app, "/api/run", host)
        assert status == 421
        assert "tiny" not in body


def test_a_browser_is_told_to_run_and_load_nothing_but_the_page(
    tmp_path: Path, tiny: Setup
) -> None:
    app = application(Feed(tmp_path, tiny), ACCESS)
    status, headers, page = _ask(app, "/", "localhost:4242")
    assert status == 200
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script>|<style|style=|onclick|https?://", page)
    sources = re.findall(r'(?:src|href)="(/[^"]+)"', page)
    assert sources
    assert all(_ask(app, source, "localhost:4242")[0] == 200 for source in sources)


def test_the_page_makes_no_html_of_what_a_run_says() -> None:
    folder = Path(__file__).parents[2] / "emulator" / "live_page" / "static"
    for script in folder.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write", script.read_text()
        )


def test_the_token_stands_where_browsers_do_not_send_it() -> None:
    assert ACCESS.url == "http://127.0.0.1:4242/#secret-token"


def _post(folder: Path, setup: Setup, token: str, fault: object) -> tuple[int, Any]:
    app = application(Feed(folder, setup), ACCESS)
    status, _, body = _ask(
        app, "/api/faults", "localhost:4242", "POST", json.dumps(fault), x_qsagin_token=token
    )
    return status, json.loads(body)


def test_a_fault_is_taken_only_from_who_has_the_token(
    tmp_path: Path, tiny: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def submit(_folder: Path, fault: dict[str, Any]) -> Injected:
        asked.append(fault)
        if fault["link"] == ["A", "X"]:
            raise InjectionError("fault.link: no link A-X in the network")
        return Injected(1, fault, "", 17)

    monkeypatch.setattr("emulator.live_page.server.submit", submit)
    cut = {"kind": "fiber-cut", "link": ["A", "B"]}
    for stranger in ("", "secret-toke", "geheim-ü"):
        assert _post(tmp_path, tiny, stranger, cut)[0] == 403
    assert asked == []
    assert _post(tmp_path, tiny, ACCESS.token, cut) == (200, {"window": 17, "fault": cut})
    wrong = _post(tmp_path, tiny, ACCESS.token, {"kind": "fiber-cut", "link": ["A", "X"]})
    assert wrong == (400, {"error": "fault.link: no link A-X in the network"})
    assert _post(tmp_path, tiny, ACCESS.token, "x" * 30_000)[0] == 400
    assert _post(tmp_path, tiny, ACCESS.token, ["no", "mapping"])[0] == 400
    assert len(asked) == 2


def test_there_is_a_form_for_every_kind_of_fault_but_drawn_ones() -> None:
    forms = {form["kind"]: form for form in fault_forms()}
    kinds = {get_args(event.model_fields["kind"].annotation)[0] for event in _EVENTS}
    assert set(forms) == kinds - {"random"}
    shown = {field["name"]: field["type"] for field in forms["link-degraded"]["fields"]}
    assert shown == {"link": "link", "loss_db": "number", "for_s": "number"}
    process_faults = next(
        field for field in forms["process"]["fields"] if field["name"] == "action"
    )
    assert (process_faults["type"], process_faults["choices"]) == (
        "choice",
        ["kill", "stop", "slow"],
    )
    assert [field["type"] for field in forms["partition"]["fields"]] == ["groups", "number"]


def test_a_fault_that_was_injected_is_told_and_seen_in_the_world(
    tmp_path: Path, tiny: Setup
) -> None:
    Written(tmp_path).go_on(8)
    (tmp_path / "summary.json").write_text("{}")
    injections = Injections(tmp_path)
    cut = {"kind": "fiber-cut", "link": ["B", "C"], "at_s": 6.0, "until_s": 60.0}
    injections.accept(injections.ask(cut, ""), cut, "", 6)
    injections.close()

    async def watch(experiment: Experiment) -> dict[str, Any]:
        feed = Feed(tmp_path, tiny.with_experiment(experiment))
        following = asyncio.create_task(feed.follow())
        seen = [json.loads(text) async for text in feed.documents()]
        await following
        return seen[-1]

    recorded = tiny.experiment.model_copy(update={"faults": [FiberCutEvent.model_validate(cut)]})
    for experiment in (tiny.experiment, recorded):  # while the run goes on, and afterwards
        last = asyncio.run(watch(experiment))
        assert [rate > 0 for rate in last["around"]["rates_bps"]] == [True, False]
        told = [(event["window"], event["words"]) for event in last["events"]]
        assert told.count((6, "fiber-cut B-C begins")) == 1
