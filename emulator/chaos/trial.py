"""A chaos experiment, tried once: Chaos Toolkit's own library plays it, and this module judges it.

It holds if its hypothesis held before and after the method, and every action succeeded.  However it ends,
rollbacks are played, no run is left running, and the toolkit's journal is written.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from chaoslib.exceptions import ChaosException
from chaoslib.experiment import ensure_experiment_is_valid, run_experiment
from chaoslib.loader import parse_experiment_from_file

from emulator.build.yaml_text import read_yaml
from emulator.chaos.actions import stop_run, undisturbed
from emulator.input_checks import is_file

FOLDER = Path(__file__).parent
_SETTINGS = {"runtime": {"rollbacks": {"strategy": "always"}}}


class ChaosInputError(Exception):
    """A chaos experiment cannot be played; one line that names file and remedy."""


@dataclass(frozen=True)
class Trial:
    """The result: the toolkit's journal, and what did not hold (empty: everything held)."""

    journal: dict[str, Any]
    broken: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether everything held."""
        return not self.broken

    @property
    def is_interrupted(self) -> bool:
        """Whether a signal has ended it."""
        return bool(self.journal["status"] == "interrupted")

    def fields(self) -> dict[str, Any]:
        """Return the result for programs."""
        names = ("status", "deviated", "duration")
        head = {"ok": self.holds, "title": self.journal["experiment"]["title"]}
        return head | {name: self.journal[name] for name in names} | {"broken": list(self.broken)}


def built_in() -> dict[str, str]:
    """Return the titles of the built-in chaos experiments, by name."""
    files = sorted(FOLDER.glob("*.yaml"))
    return {
        path.stem: str(yaml.safe_load(path.read_text(encoding="utf-8"))["title"]) for path in files
    }


def load(source: str) -> dict[str, Any]:
    """Return the experiment of a file or built-in name.  Raises `ChaosInputError`."""
    path = FOLDER / f"{source}.yaml" if source in built_in() else Path(source)
    if not is_file(path):
        raise ChaosInputError(
            f"{source}: no such file, nor a built-in chaos experiment; see `qsagin chaos --list`"
        )
    try:
        if path.suffix in (".yaml", ".yml"):
            read_yaml(path)  # refuses what the toolkit would take for something else
        experiment = parse_experiment_from_file(str(path))
        if not isinstance(experiment, dict):
            raise ChaosInputError(f"{source}: must be a mapping of fields")
        ensure_experiment_is_valid(experiment)
    except (ChaosException, ValueError, OSError, TypeError, AttributeError) as error:
        words = " ".join(str(error).split())
        raise ChaosInputError(f"{source}: is no Chaos Toolkit experiment: {words}") from error
    return experiment


def play(
    experiment: dict[str, Any], out: Path, journal_file: Path, tell: Callable[[str], None]
) -> Trial:
    """Play an experiment whose runs go into a folder; write the journal, and report each step."""
    log, teller = logging.getLogger("chaostoolkit"), _Teller(tell)
    log.propagate = False
    log.setLevel(logging.INFO)
    log.addHandler(teller)
    run_folder = str(out / "run")
    out.mkdir(parents=True, exist_ok=True)
    configuration = experiment.setdefault("configuration", {})
    configuration["run_folder"] = run_folder
    try:
        journal = run_experiment(experiment, settings=_SETTINGS)
    finally:
        log.removeHandler(teller)
        stop_run(run_folder)
        stop_run(str(undisturbed(run_folder)))
    text = json.dumps(journal, indent=1, default=str) + "\n"
    journal_file.write_text(text, encoding="utf-8")
    return Trial(journal, tuple(_broken(journal)))


class _Teller(logging.Handler):
    """Tells which action or probe the toolkit has come to; what failed is told in the end."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of one line of the toolkit's log, if it is about an action or a probe."""
        line = record.getMessage()
        if line.startswith(("Action:", "Probe:", "Steady state hypothesis")):
            self._tell(line)


def _broken(journal: dict[str, Any]) -> Iterator[str]:
    """Yield what did not hold, in the order in which it was tried."""
    states = journal["steady_states"]
    yield from _unmet("before the method", states["before"])
    for run in journal["run"]:
        if run["status"] != "succeeded":
            yield f"{run['activity']['name']}: {_reason(run)}"
    yield from _unmet("after the method", states["after"])
    for run in journal["rollbacks"]:
        if run["status"] != "succeeded":
            yield f"rollback {run['activity']['name']}: {_reason(run)}"
    if journal["status"] != "completed":
        yield f"the experiment has {journal['status']}"


def _unmet(when: str, state: dict[str, Any] | None) -> Iterator[str]:
    for probe in (state or {}).get("probes", ()):
        if not probe["tolerance_met"]:
            wanted = probe["activity"]["tolerance"]
            said = _reason(probe) if probe["status"] != "succeeded" else probe["output"]
            yield f"{when}: {probe['activity']['name']}: {said}, should be {wanted}"


def _reason(run: dict[str, Any]) -> str:
    return str(run.get("exception", ["failed"])[-1]).strip().rpartition("ActivityFailed: ")[2]
