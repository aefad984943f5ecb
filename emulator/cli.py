"""The command line.  Every error ends here, as one line per mistake on stderr and an exit status.

0: done.  1: the run, audit or hypothesis failed.  2: bad usage or bad input; nothing was started or
written.  130 and 143: ended by SIGINT and SIGTERM, with partial results.  `--json` prints one JSON
document on stdout and nothing else there.
"""

from __future__ import annotations

import atexit
import signal
import sqlite3
import sys
from importlib import import_module

import typer

from emulator.commands.continuation import Continuation
from emulator.commands.supervisor import is_supervised, supervise
from emulator.commands.terminal import tell
from emulator.input_checks import BadInputError
from emulator.net.heartbeat import DONE, beat

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
    (
        "compare",
        "plan",
        "Compare all policies on the same instance and scenarios, or in the same emulated worlds.",
    ),
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
        "Issue a certificate to an SAE or an operator of a live run, and print a call that works.",
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
        "backtest",
        "backtest",
        "Score forecasters of demand on a rolling origin of a history.",
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


def _elsewhere() -> None:
    """Stand for a command that was not given."""


def main() -> None:
    """Run the command line; translate errors into exit statuses."""
    if is_supervised():
        atexit.register(beat, DONE)
    try:
        words = sys.argv[1:]
        given = next((word for word in words if not word.startswith("-")), "")
        if given == "run" and "--help" not in words and not is_supervised():
            sys.exit(supervise(words, Continuation(words)))
        app = app_for(given)
        if not is_supervised() and signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        status = app(standalone_mode=False)
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
