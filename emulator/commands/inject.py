"""Commands that disturb a live run on purpose: one fault, or a chaos experiment."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.commands.options import Json, UsageError, require_empty
from emulator.commands.supervisor import SIGNALS
from emulator.commands.terminal import answer, print_fields, print_table, tell
from emulator.store.files import check_format

if TYPE_CHECKING:
    from emulator.chaos.trial import Trial

_LISTS = ("satellites", "sites", "sources", "destinations")


def inject(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a live run.")],
    fault: Annotated[
        list[str],
        typer.Argument(
            metavar="FAULT...",
            help="A kind and its fields, as in `faults` of an experiment (docs/experiments.md): "
            "fiber-cut link=A,B for_s=60. Commas separate list items, bars separate groups: partition "
            "'groups=A,B|C'. Write lists as JSON if names contain either: 'link=[\"A,1\",\"B\"]'.",
        ),
    ],
    json_: Json = False,
) -> None:
    """Inject a fault or weather event into a live run, from its next window on, and record it."""
    from emulator.runtime.injection import InjectionError, submit

    check_format(folder)
    try:
        done = submit(folder, _fault_of(fault))
    except InjectionError as error:
        raise UsageError("inject", str(error)) from error
    document = {"ok": True, "window": done.window, "fault": done.fault}
    answer(json_, document, lambda: print_fields({"window": done.window, **done.fault}))


def chaos(
    experiment: Annotated[
        str | None,
        typer.Argument(metavar="EXPERIMENT", help="A Chaos Toolkit file or a built-in name."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A new folder for runs and journals; default: runs/chaos-…")
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(help="File for the toolkit's journal; default: in the folder."),
    ] = None,
    times: Annotated[int, typer.Option(min=1, help="Number of repetitions.")] = 1,
    list_: Annotated[bool, typer.Option("--list", help="List the built-in experiments.")] = False,
    json_: Json = False,
) -> None:
    """Disturb a live run on purpose, and test a hypothesis about it."""
    from emulator.chaos.trial import built_in

    if list_:
        rows = [{"name": name, "title": title} for name, title in built_in().items()]
        answer(json_, rows, lambda: print_table(["name", "title"], rows))
        return
    if experiment is None:
        raise UsageError("chaos", "name an experiment; see `qsagin chaos --list`")
    folder = out or Path("runs", f"chaos-{Path(experiment).stem}-{time.strftime('%Y%m%d-%H%M%S')}")
    require_empty(folder)
    _require_journal(journal, times)
    trials = []
    with _interruptible() as received:
        for number in range(1, times + 1):
            trial_folder = folder / str(number) if times > 1 else folder
            trial = _tried(experiment, trial_folder, journal, f"{number} of {times}")
            trials.append(trial.fields() | {"folder": str(trial_folder)})
            if trial.is_interrupted:
                ended_by = received[0] if received else signal.SIGTERM  # the toolkit's own
                raise typer.Exit(128 + ended_by)
    columns = ["title", "ok", "duration", "folder"]
    shown = [{name: trial[name] for name in columns} for trial in trials]
    document = {"ok": all(trial["ok"] for trial in trials), "trials": trials}
    answer(json_, document, lambda: print_table(columns, shown))
    if not document["ok"]:
        raise typer.Exit(1)


def _tried(experiment: str, folder: Path, journal: Path | None, number: str) -> Trial:
    """Return one trial, told as it goes."""
    from emulator.chaos.trial import ChaosInputError, load, play

    try:
        loaded = load(experiment)
    except ChaosInputError as error:
        raise UsageError("chaos", str(error)) from error
    tell(f"{experiment}: {number}, in {folder}")
    trial = play(loaded, folder, journal or folder / "journal.json", tell)
    for line in trial.broken:
        tell(f"{experiment}: {line}")
    return trial


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Have a signal interrupt a trial, so that it ends in order, and a second one end it at once.

    Yields the signals received, as they come.  The run of a trial ends with it: see `--attached`.
    """
    received: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            os._exit(128 + number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _fault_of(words: list[str]) -> dict[str, Any]:
    """Return `kind name=value ...` as fields: commas make a list, bars a list of lists, null is None.

    A value that begins with a bracket is a list in JSON.
    """
    fields: dict[str, Any] = {"kind": words[0]}
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError("inject", f"must be KIND NAME=VALUE ..., not {word}")
        fields[name] = None if value == "null" else value
        if value.startswith("["):
            fields[name] = _list_of(value)
        elif name == "groups":
            fields[name] = [group.split(",") for group in value.split("|")]
        elif "," in value or name in _LISTS:
            fields[name] = value.split(",")
    return fields


def _list_of(value: str) -> Any:
    """Return a list that is written as JSON, for names with commas and bars in them."""
    try:
        return json.loads(value)
    except ValueError as error:
        raise UsageError("inject", f"must be a list in JSON, not {value}: {error}") from error


def _require_journal(journal: Path | None, times: int) -> None:
    if journal is not None and times > 1:
        raise UsageError("--journal", "is one file; with --times each trial has its own folder")
    if journal is not None and not journal.absolute().parent.is_dir():
        raise UsageError("--journal", f"{journal.parent} is not a folder; create it")
