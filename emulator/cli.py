"""The command line.  Every error ends here, as one line a fault on stderr and an exit status.

0: done.  1: the run, audit or hypothesis failed.  2: bad usage or bad input; nothing was started or
written.  130 and 143: ended by SIGINT and SIGTERM, with partial results.  `--json` prints one JSON
document on stdout and nothing else there.
"""

from __future__ import annotations

import sqlite3
import sys
from importlib import import_module

import typer

from emulator.commands.terminal import tell
from emulator.input_checks import BadInputError

COMMANDS = (
    ("experiments", "plan", "List the built-in experiments."),
    ("schema", "plan", "Print the JSON schema of experiment files."),
    ("check", "plan", "Validate an experiment; start nothing."),
    ("topology", "topology", "Show what is read of a network file; draw it, or write it as CSV."),
    ("plan", "plan", "Solve the provisioning program; start no actor."),
    ("compare", "plan", "Compare all policies on the same instance and scenarios."),
    ("figures", "plan", "Draw the paper's figures 4a and 4b."),
    ("run", "run", "Run the whole emulation: reserve, transmit, buy recourse, account."),
    (
        "sweep",
        "sweep",
        "Run an experiment with fields varied, in parallel; one table and one figure at the end.",
    ),
    ("audit", "inspect", "Add up a run's journals again, independently of the run's own counters."),
    ("status", "inspect", "Look at a run, live or ended; with --json also at every key store."),
    (
        "inject",
        "inject",
        "Have a live run suffer a fault or weather, from the next window on; it belongs to the run then.",
    ),
    (
        "page",
        "inspect",
        "Show a run, live or ended, to a browser on this machine, until interrupted.",
    ),
    (
        "trace",
        "inspect",
        "Follow one need for keys from node to manager, to satellite or UAV, and back.",
    ),
    (
        "chaos",
        "inject",
        "Disturb a live run on purpose, and see whether a hypothesis about it holds.",
    ),
    ("skr", "skr", "Compute one secret key rate."),
    (
        "rates",
        "skr",
        "Draw the secret key rates of all protocols against distance, under the PLOB bound.",
    ),
)
"""Every command with its module and its help in a line, in the order of `qsagin --help`.

Only the module of the command that is given is loaded.
"""


def app_for(given: str) -> typer.Typer:
    """Return the command line with one command that works, and all others by name."""
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


def _elsewhere() -> None:
    """Stand for a command that was not given."""


def main() -> None:
    """Run the command line; translate errors into exit statuses."""
    try:
        given = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
        status = app_for(given)(standalone_mode=False)
    except BadInputError as error:
        tell(str(error))
        sys.exit(2)
    except OSError as error:
        tell(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        sys.exit(1)
    except sqlite3.Error as error:  # of a folder that may only be read, or a full disk
        tell(f"a database of the run cannot be used: {error}")
        sys.exit(1)
    except typer.TyperException as error:  # unknown commands and options, or values that do not fit
        if problem := error.format_message().replace("Value error, ", "").rstrip("."):
            tell(f"{problem}; see `qsagin --help`")
        sys.exit(2)
    sys.exit(status)
