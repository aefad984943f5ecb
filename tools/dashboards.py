"""Generate the Grafana dashboards from `panels.py`, or check that they are current.

`python tools/dashboards.py` writes deploy/grafana/dashboards; `--check` writes nothing and exits 1 if
anything would change.  The schema is that of Grafana 11.6.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import VisibilityMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    ValueMap,
    ValueMappingResult,
    VariableRefresh,
)
from panels import ANNOTATIONS, PAGES, Kind, Page, Panel

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "deploy" / "grafana" / "dashboards"
SOURCE = DataSourceRef(type_val="prometheus", uid="qsagin-prometheus")
GOOD, BAD = "#0072B2", "#D55E00"  # told apart by everybody
_HEIGHT = {Kind.NUMBER: 4}
_WORDS = {Kind.UP: ("down", "up"), Kind.ALARM: ("quiet", "alarm")}


def expression(text: str) -> str:
    """Return an expression for the runs that are chosen."""
    return text.replace("{$run", '{instance=~"$run"')


def generate() -> dict[Path, str]:
    """Return what every dashboard file should be."""
    found = {}
    for page in PAGES:
        encoder = JSONEncoder(sort_keys=True, indent=1)
        name = page.uid.removeprefix("qsagin-")
        found[TARGET / f"{name}.json"] = encoder.encode(_dashboard(page).build()) + "\n"
    return found


def _dashboard(page: Page) -> dashboard.Dashboard:
    built = (
        dashboard.Dashboard(page.title)
        .uid(page.uid)
        .description(page.words)
        .tags(["qsagin"])
        .refresh("5s")
        .time("now-15m", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("qsagin")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["qsagin"])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
        .with_variable(_runs())
    )
    for annotation in ANNOTATIONS:
        built.annotation(_Marks(*annotation))
    numbers = count(1)
    for heading, panels in page.rows:
        built.with_row(dashboard.Row(heading).id(next(numbers)))
        for panel in panels:
            built.with_panel(_panel(panel).id(next(numbers)))
    return built


def _runs() -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable("run")
        .label("Run")
        .datasource(SOURCE)
        .query("label_values(qsagin_run_info, instance)")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )


class _Marks(dashboard.AnnotationQuery):
    """Marks on the time axis, as Grafana's Prometheus source has them."""

    def __init__(self, name: str, text: str, words: str, colour: str) -> None:
        super().__init__()
        self._words = words
        self.name(name).datasource(SOURCE).enable(True).icon_color(colour).expr(expression(text))

    def build(self) -> Any:
        """Return the query, with the two fields that the common schema of annotations lacks."""
        built = super().build()
        plain = built.to_json
        more = {"titleFormat": self._words, "step": "5s"}
        built.to_json = lambda: {**plain(), **more}
        return built


def _panel(panel: Panel) -> Any:
    height = _HEIGHT.get(panel.kind, 8)
    built = _kind(panel).title(panel.title).description(panel.words).datasource(SOURCE)
    built.unit(panel.unit).span(panel.span).height(height)
    for place, (text, legend) in enumerate(panel.queries):
        query = prometheus.Dataquery().expr(expression(text)).ref_id(chr(ord("A") + place))
        query.legend_format(legend or "__auto")
        if panel.kind is Kind.TABLE:
            query.instant().format("table")
        built.with_target(query)
    return built


def _kind(panel: Panel) -> Any:
    match panel.kind:
        case Kind.LINES:
            return (
                timeseries.Panel().line_width(1).fill_opacity(5).show_points(VisibilityMode.NEVER)
            )
        case Kind.NUMBER:
            return stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        case Kind.TABLE:
            return table.Panel()
        case kind:
            return _states(*_WORDS[kind], is_bad=int(kind is Kind.ALARM))


def _states(zero: str, one: str, *, is_bad: int) -> statetimeline.Panel:
    """Return a timeline of two states, of which `is_bad` is the bad one."""
    options = {
        str(number): ValueMappingResult(text=word, color=BAD if number == is_bad else GOOD)
        for number, word in enumerate((zero, one))
    }
    mapping = ValueMap(options=options)
    return statetimeline.Panel().mappings([mapping]).merge_values(True).row_height(0.8)


def main() -> int:
    """Write, or compare."""
    fresh = generate()
    kept = {path: path.read_text() for path in TARGET.glob("*.json")}
    if "--check" in sys.argv[1:]:
        changed = sorted(
            path for path in fresh.keys() | kept.keys() if fresh.get(path) != kept.get(path)
        )
        for path in changed:
            print(
                f"{path.relative_to(ROOT)} is not current: run `make dashboards`", file=sys.stderr
            )
        return 1 if changed else 0
    TARGET.mkdir(parents=True, exist_ok=True)
    for path in kept.keys() - fresh.keys():
        path.unlink()
    for path, text in fresh.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
