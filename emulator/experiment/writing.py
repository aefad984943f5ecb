"""Writing an experiment down with the files that it needs; whoever reads it again gets the same one."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from emulator.experiment.config import Experiment
from emulator.experiment.topology import BUILT_IN_NAMES, Topology, save_csv

FILE = "experiment.yaml"


def write(experiment: Experiment, topology: Topology, folder: Path) -> Path:
    """Write an experiment into a folder, and copies of its network and weather; return its file."""
    fields = experiment.model_dump(mode="json", by_alias=True)  # null may say "no limit"
    law = experiment.demand.distribution
    fields["demand"]["distribution"] = law.model_dump(mode="json", by_alias=True, exclude_none=True)
    if fields["network"]["topology"] not in BUILT_IN_NAMES:
        fields["network"]["topology"] = save_csv(topology, folder / "network.csv").name
        fields["network"].pop("link_km", None)
    if experiment.weather.replay is not None:
        copy = shutil.copy(experiment.weather.replay, folder / "weather.csv")
        fields["weather"]["replay"] = Path(copy).name
    path = folder / FILE
    path.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
    return path
