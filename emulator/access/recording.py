"""What was asked at the doors of a run, kept beside its experiment when it is over; no door is known here.

It is an input of the run like an injected fault, and is asked again by whoever runs the folder's
experiment.
"""

from __future__ import annotations

from pathlib import Path

from emulator.access.certificates import FILE
from emulator.build.access import ASKED, Recorded, recorded, write_asked
from emulator.build.setup import Setup
from emulator.store import journals
from protos.access import read_back
from protos.core import KEY_MANAGER_PREFIX


def record(run_folder: Path, setup: Setup) -> None:
    """Write what was asked beside the experiment of a run folder."""
    if setup.experiment.access is None:
        return
    path = run_folder / ASKED
    known = {(item.node, item.number): item for item in recorded(path)} if path.exists() else {}
    asked = dict(known)
    for entity, window, number, call in journals.asked(run_folder):
        node = entity.removeprefix(KEY_MANAGER_PREFIX)
        asked[node, number] = Recorded(node, window, number, read_back(call))
    if asked != known:
        write_asked(path, asked.values())


def forget_authority(run_folder: Path) -> None:
    """Remove the key of the authority: the run is over, and certificates are worth nothing any more."""
    (run_folder / FILE).unlink(missing_ok=True)
