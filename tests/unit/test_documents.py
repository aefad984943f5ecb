"""Pages name only what exists, and the page about experiment files names every field."""

import re
from pathlib import Path
from typing import Any

import yaml

from emulator.build.loading import schema
from emulator.config.experiment import Experiment
from emulator.config.topology import BUILT_IN_NAMES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
PATH = re.compile(
    r"`((?:benchmarks|controllers|deploy|docs|emulator|global_manager|protos|tests|tools)/[\w./-]*)`"
)


def written() -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
        fields |= yaml.safe_load(block)
    return fields


def test_the_page_on_experiments_names_every_field_and_network() -> None:
    document = schema()
    sections = [document, *document["$defs"].values()]
    fields = {name for section in sections for name in section.get("properties", {})}
    words = set(re.findall(r"[A-Za-z0-9_-]+", PAGE))
    assert (fields | set(BUILT_IN_NAMES)) - words == set()


def test_what_the_page_on_experiments_writes_is_an_experiment() -> None:
    assert Experiment.model_validate(written()).name == "my-network"


def test_what_the_page_does_not_call_an_example_is_the_default() -> None:
    found = Experiment.model_validate(written()).model_dump(exclude_defaults=True, by_alias=True)
    for shown in ("name", "network", "limits", "applications", "access", "fiber", "faults"):
        del found[shown]
    del found["demand"]["requests"], found["demand"]["distribution"]  # a mean of four decimals
    assert found == {
        "demand": {},
        "satellite": {"orbits": {"walker": {}, "forecast": {}}},
        "uav": {"fleet": {"uavs": 60}, "weather": {}},
    }


def test_every_path_that_a_page_names_exists() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    named = {(page.name, path) for page in pages for path in PATH.findall(page.read_text("utf-8"))}
    made = "benchmarks/results/"
    missing = {item for item in named if not (ROOT / item[1]).exists()}
    assert {item for item in missing if not item[1].startswith(made)} == set()
    assert len(named) > 40
