"""What a run was told, as digests in its folder: its experiment, the files that this names, the program.

A run may be resumed only if all of it is still the same, for a run is a function of what it was told.
Injected faults are written into the experiment by the run itself, and are no difference.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from emulator.build.access import ASKED
from emulator.runtime import injection
from emulator.runtime.cluster import versions
from emulator.store import files
from emulator.store.files import EXPERIMENT
from global_manager.provisioning.model import Policy
from global_manager.provisioning.own_policy import PolicyError, policy_named, source_of

_SOLVERS = ("highspy", "networkx", "numpy", "pulp", "sgp4")
_OWN = (EXPERIMENT, ASKED, "run.json", "actors.sqlite", "lock")  # what a run itself writes on


def record(folder: Path) -> None:
    """Write down what the run of a folder is told; nothing else is in the folder yet."""
    data = sorted(path for path in folder.iterdir() if path.is_file() and path.name not in _OWN)
    fields = _fields(folder)
    told = {
        "experiment": _digest(fields),
        "files": {path.name: sha256(path.read_bytes()).hexdigest() for path in data},
        "program": program(),
    } | _policy(fields)
    files.write_told(folder, told)


def program() -> str:
    """Return the version of this program and of what computes for it; another may plan otherwise."""
    solvers = (f"{name} {version(name)}" for name in _SOLVERS)
    return ", ".join((f"qsagin {dict(versions())['qsagin']}", *solvers))


def differences(folder: Path) -> list[str]:
    """Return what of an experiment and its files is not as the run was told, a line each."""
    told = files.told(folder)
    if not told:
        return ["run.json does not say what the run was told"]
    found, fields = list[str](), _fields(folder)
    if not _is_as_begun(folder, fields, str(told.get("experiment", ""))):
        found.append(f"{EXPERIMENT} is not what the run was begun with")
    found += _changes_of_policy(_policy(fields).get("policy"), told.get("policy"))
    for name, digest in told.get("files", {}).items():
        path = folder / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif sha256(path.read_bytes()).hexdigest() != digest:
            found.append(f"{name} is not what the run was begun with")
    return found


def other_program(folder: Path) -> str:
    """Return by which program a run was begun, if not by this one; nothing otherwise."""
    begun_by = str(files.told(folder).get("program", ""))
    return "" if begun_by == program() else begun_by or "an unknown program"


def _changes_of_policy(now: dict[str, str] | None, then: dict[str, str] | None) -> list[str]:
    if now == then or now is None:
        return []
    if "problem" in now:
        return [now["problem"]]
    return [f"the source of its policy {now['name']} is not what the run was begun with"]


def _policy(fields: Any) -> dict[str, Any]:
    """Return where the policy of an experiment comes from; nothing for one that is built in."""
    name = fields.get("plan", {}).get("policy", "") if isinstance(fields, dict) else ""
    if not name or name in set(Policy):
        return {}
    try:
        return {"policy": {"name": name} | asdict(source_of(policy_named(name)))}
    except (PolicyError, ValueError) as error:
        return {"policy": {"name": name, "problem": str(error)}}


def _is_as_begun(folder: Path, fields: Any, digest: str) -> bool:
    """Whether an experiment is the same, perhaps without the injected faults at its end."""
    injected = injection.faults_taken(folder)
    while _digest(fields) != digest:
        faults = fields.get("faults") if isinstance(fields, dict) else None
        if not faults or faults[-1] not in injected:
            return False
        fields = fields | {"faults": faults[:-1]}
    return True


def _fields(folder: Path) -> Any:
    return yaml.safe_load((folder / EXPERIMENT).read_text(encoding="utf-8"))


def _digest(fields: Any) -> str:
    return sha256(json.dumps(fields, default=str).encode()).hexdigest()
