"""The command line.  Every error ends here, as one line a fault on stderr and an exit status.

0: done.  1: the run, audit or hypothesis failed.  2: bad usage or bad input; nothing was started or
written.  130 and 143: ended by SIGINT and SIGTERM, with partial results.  `--json` prints one JSON
document on stdout and nothing else there.
"""

from __future__ import annotations

import sqlite3
import sys

import typer

from emulator.build.loading import ExperimentError
from emulator.commands import inject, inspect, plan, run, skr, sweep
from emulator.commands.options import UsageError
from emulator.commands.terminal import tell
from emulator.input_checks import ParameterError
from emulator.store.files import FormatError
from emulator.store.journal import JournalError

app = typer.Typer(
    name="qsagin",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Emulate the control plane of a quantum-secured space-air-ground integrated network.",
)
for _command in (  # in the order of `qsagin --help`
    plan.experiments,
    plan.schema,
    plan.check,
    plan.plan,
    plan.compare,
    plan.figures,
    run.run,
    sweep.sweep,
    inspect.audit,
    inspect.status,
    inject.inject,
    inspect.page,
    inspect.trace,
    inject.chaos,
    skr.skr,
    skr.rates,
):
    app.command()(_command)

_BAD_INPUT = (ExperimentError, FormatError, ParameterError, JournalError, UsageError)


def main() -> None:
    """Run the command line; translate errors into exit statuses."""
    try:
        status = app(standalone_mode=False)
    except _BAD_INPUT as error:
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
