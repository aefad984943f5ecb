"""Shared by all tests: small experiments, and a network of cores without processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings
from patience import patient

from emulator.build.assembly import Assembly, assemble
from emulator.build.loading import read
from emulator.build.setup import Setup

settings.register_profile("qsagin", deadline=None)  # how fast a machine is proves nothing
settings.load_profile("qsagin")

TINY = Path(__file__).parent.parent / "emulator" / "config" / "experiments"

Write = Callable[..., Path]

_QUIET_S = 300.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests of whole runs as long as this machine needs for them now."""
    for item in items:
        is_whole_run = item.get_closest_marker("cluster") or item.get_closest_marker("system")
        if is_whole_run and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(patient(_QUIET_S)))


@pytest.fixture
def write_experiment(tmp_path: Path) -> Write:
    """Write `tiny` with changes (dotted names) to a file; None removes a field."""

    def write(**changes: Any) -> Path:
        fields = yaml.safe_load((TINY / "tiny.yaml").read_text())
        (tmp_path / "tiny.csv").write_text((TINY / "tiny.csv").read_text())
        for dotted, value in changes.items():
            *sections, last = dotted.split("__")
            section = fields
            for key in sections:
                section = section.setdefault(key, {})
            if value is None:
                section.pop(last, None)
            else:
                section[last] = value
        path = tmp_path / "changed.yaml"
        path.write_text(yaml.safe_dump(fields))
        return path

    return write


@pytest.fixture
def tiny() -> Setup:
    """The built-in experiment `tiny`."""
    return read("tiny")


@pytest.fixture
def tiny_assembly(tiny: Setup) -> Assembly:
    """All parts of `tiny`."""
    return assemble(tiny)
