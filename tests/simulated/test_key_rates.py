"""Runs in which a wavelength brings what its key rate makes: as much is there as was planned."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from network import simulate

from emulator.build.loading import read
from emulator.build.quantum_links import link_fields
from emulator.build.setup import Setup
from emulator.results.audit import audit
from protos.core import GLOBAL_MANAGER, key_manager_of
from protos.facts import FactKind

Write = Callable[..., Path]

LINKS = "source,target,length_km\nA,B,20\nB,C,60\n"
SLOW = {"device": "gys", "wavelength": "key-rate"}


def rated(write_experiment: Write, tmp_path: Path, **changes: object) -> Setup:
    """Three nodes in a row with slow devices, of which a wavelength brings tens of keys."""
    (tmp_path / "row.csv").write_text(LINKS)
    requests = [
        {"id": "near", "class": "avatar", "source": "A", "target": "B"},
        {"id": "far", "class": "avatar", "source": "C", "target": "A"},
    ]
    fields = {
        "network__topology": "row.csv",
        "demand__requests": requests,
        "demand__scenarios": 80,
        "demand__distribution": {"poisson": {"mean_units": 45}},
        "fiber": SLOW,
    }
    return read(str(write_experiment(**(fields | changes))))


def test_a_link_tells_how_many_units_a_wavelength_brings(
    write_experiment: Write, tmp_path: Path
) -> None:
    setup = rated(write_experiment, tmp_path)
    period_s, unit_bits = setup.experiment.demand.period_s, setup.experiment.keys.unit_bits

    rows = link_fields(setup)

    for row in rows:
        assert row["units_per_wavelength"] == int(row["skr_bps"] * period_s / unit_bits) > 1
    assert rows[0]["units_per_wavelength"] > rows[1]["units_per_wavelength"]


def test_every_period_begins_with_the_units_that_were_planned(
    write_experiment: Write, tmp_path: Path
) -> None:
    setup = rated(write_experiment, tmp_path)
    links = [row["units_per_wavelength"] for row in link_fields(setup)]

    network, _ = simulate(setup)
    network.write_journals(tmp_path / "run")

    near, far = plan_of(network.facts[GLOBAL_MANAGER])["allocations"]
    assert near["units"] == len(near["wavelengths"]) * links[0] > 0
    assert far["units"] == len(far["wavelengths"]) * min(links) > 0
    assert len(far["wavelengths"]) > 1
    for index, item in enumerate((near, far)):
        made = made_units(network.facts[key_manager_of(item["source"])], index)
        assert made[0] == min(item["units"], 79)  # nobody needs more, so no more is made
        assert max(made) == made[0]
    assert verified(network.facts[GLOBAL_MANAGER]) == [True]
    assert audit(tmp_path / "run").ok


def plan_of(facts: list) -> dict:
    """The plan that the manager has written down."""
    (document,) = (f.details.document for _, f in facts if f.kind is FactKind.PLANNED)
    return json.loads(document)


def verified(facts: list) -> list[bool]:
    """What the manager has found whenever it compared the fiber controller's table with its plan."""
    return [fact.details.agrees for _, fact in facts if fact.kind is FactKind.VERIFIED]


def made_units(facts: list, request: int) -> list[int]:
    """Units of key that the source of a request has made, epoch by epoch."""
    return [
        fact.units
        for _, fact in facts
        if fact.kind is FactKind.CREATED and fact.request == request and fact.medium == "end-to-end"
    ]
