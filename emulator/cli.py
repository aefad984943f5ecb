"""The command line.  Every error ends here, as one line per mistake on stderr and an exit status.

0: done.  1: the run, audit or hypothesis failed.  2: bad usage or bad input; nothing was started or
written.  130 and 143: ended by SIGINT and SIGTERM, with partial results.  `--json` prints one JSON
document on stdout and nothing else there.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import typer

from emulator.commands.supervisor import is_supervised, supervise
from emulator.commands.terminal import tell
from emulator.input_checks import BadInputError

COMMANDS = (
    ("experiments", "plan", "List the built-in experiments."),
    ("schema", "plan", "Print the JSON schema of experiment files."),
    ("check", "plan", "Validate an experiment; start nothing."),
    ("topology", "topology", "Show what is read of a network file; draw it, or write it as CSV."),
    ("plan", "plan", "Solve the provisioning program; start no actor."),
    (
        "evaluate",
        "evaluate",
        "Verify a plan made elsewhere, and price it under this law, another or a trace.",
    ),
    ("compare", "plan", "Compare all policies on the same instance and scenarios."),
    ("figures", "plan", "Draw the paper's figures 4a and 4b."),
    ("run", "run", "Run the whole emulation: reserve, transmit, buy recourse, account."),
    (
        "sweep",
        "sweep",
        "Run an experiment with varied fields, in parallel; write one table and one figure.",
    ),
    (
        "audit",
        "inspect",
        "Re-add a run's journals and compare its results, independently of its own counters.",
    ),
    ("report", "inspect", "Draw the report of a run that has ended again."),
    ("status", "inspect", "Show the state of a run, live or ended; --json adds every key store."),
    (
        "inject",
        "inject",
        "Inject a fault or weather event into a live run, from its next window on, and record it.",
    ),
    (
        "access",
        "access",
        "Issue a certificate to an SAE of a live run, and print a call that works.",
    ),
    (
        "page",
        "inspect",
        "Serve a page about a run, live or ended, to browsers on this machine, until interrupted.",
    ),
    (
        "trace",
        "inspect",
        "Trace a request's need for keys from node to manager, to satellite or UAV, and back.",
    ),
    (
        "chaos",
        "inject",
        "Disturb a live run on purpose, and test a hypothesis about it.",
    ),
    ("skr", "skr", "Compute a secret key rate."),
    (
        "rates",
        "skr",
        "Draw the secret key rates of all protocols over distance, with the PLOB bound.",
    ),
    (
        "validate",
        "validate",
        "Compute every published result that the physics is held to, and compare.",
    ),
)
"""Every command with its module and its summary, in the order of `qsagin --help`.

A summary is the first line of the command's docstring.  Only the module of the given command is loaded.
"""


_RUN_FLAGS = ("--page", "--keys", "--json", "--share", "--attached")
_RUN_OWN = ("--engine", "--seed", "--hosts", "--policy")  # of the run that is resumed


def app_for(given: str) -> typer.Typer:
    """Return the command line with the given command, and all others by name and summary."""
    app = typer.Typer(
        name="qsagin",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="Emulate the control plane of a quantum-secured space-air-ground integrated network.",
    )
    for name, module, summary in COMMANDS:
        if name == given:
            app.command()(getattr(import_module(f"emulator.commands.{module}"), name))
        else:
            app.command(name, help=summary)(_elsewhere)
    return app


class Resumption:
    """How a run that was lost is continued: resumed, or started over if it had not begun.

    What such a beginning has left is removed, if there was nothing in the run's folder before.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words, self._folder = words, out_of(words)
        self._was_empty = not (self._folder and any(Path(self._folder).glob("*")))

    def __call__(self) -> list[str] | None:
        """Return the words that continue the run; None if nothing can."""
        again = resuming(self._words)
        if again is not None or not self._was_empty or "--volatile" in self._words:
            return again
        for path in Path(self._folder).glob("*") if self._folder else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return list(self._words)


def out_of(words: Sequence[str]) -> str:
    """Return the folder that words name for the results of a new run; empty if they name none."""
    for place, word in enumerate(words):
        if word == "--out":
            return next(iter(words[place + 1 :]), "")
        if word.startswith("--out="):
            return word.partition("=")[2]
    return ""


def resuming(words: Sequence[str]) -> list[str] | None:
    """Return the words that resume a run which other words have begun; None if nothing was done yet."""
    kept, folder, rest = list[str](), "", iter(words[words.index("run") + 1 :])
    for word in rest:
        name, equals, value = word.partition("=")
        if not name.startswith("--") or name == "--volatile":
            if name == "--volatile":
                return None
            continue
        if name in _RUN_FLAGS:
            kept.append(word)
            continue
        value = value if equals else next(rest, "")
        if name in ("--out", "--resume"):
            folder = value
        elif name not in _RUN_OWN:
            kept += [name, value]
    from emulator.store import journals

    is_begun = folder and journals.has_begun(Path(folder))
    return ["run", "--resume", folder, *kept] if is_begun else None


def _elsewhere() -> None:
    """Stand for a command that was not given."""


def main() -> None:
    """Run the command line; translate errors into exit statuses."""
    try:
        words = sys.argv[1:]
        given = next((word for word in words if not word.startswith("-")), "")
        if given == "run" and "--help" not in words and not is_supervised():
            sys.exit(supervise(words, Resumption(words)))
        status = app_for(given)(standalone_mode=False)
    except BadInputError as error:
        tell(str(error))
        sys.exit(2)
    except OSError as error:
        tell(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        sys.exit(1)
    except sqlite3.Error as error:  # a read-only folder, or a full disk
        tell(f"a database of the run cannot be used: {error}")
        sys.exit(1)
    except typer.TyperException as error:  # unknown commands and options, or values that do not fit
        if problem := error.format_message().replace("Value error, ", "").rstrip("."):
            tell(f"{problem}; see `qsagin --help`")
        sys.exit(2)
    sys.exit(status)
