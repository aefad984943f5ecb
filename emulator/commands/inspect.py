"""Commands that look at the folder of a run, live or ended; `report` alone changes anything in it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.commands.options import Attached, Json, UsageError, require_free_port
from emulator.commands.terminal import OUT, answer, fail, print_fields, print_table
from emulator.input_checks import BadInputError
from emulator.store.files import EXPERIMENT, REPORT, check_format, is_live, read_summary

if TYPE_CHECKING:
    from emulator.build.assembly import Assembly
    from emulator.build.setup import Setup


def audit(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    json_: Json = False,
) -> None:
    """Re-add a run's journals and compare its results, independently of its own counters.

    A run that is still live, or was cut off, is said to be so; what is merely under way is no fault.
    """
    check_format(folder)
    with _damage_explained(folder):
        fields = _audited(folder)
    answer(json_, fields, lambda: _show_audit(fields))
    if not fields["ok"]:
        raise typer.Exit(1)


def _audited(folder: Path) -> dict[str, Any]:
    from emulator.build.loading import read
    from emulator.report.retelling import differences
    from emulator.results.audit import audit as audit_run
    from emulator.results.claims import problems
    from emulator.store import journals

    live = is_live(folder)
    summary = None if live else read_summary(folder)
    is_partial = summary is None or (not summary["complete"] and bool(journals.unfinished(folder)))
    cut_off = is_partial or bool(summary and summary.get("failure"))
    result = audit_run(folder, cut_off=cut_off)
    if not live:
        setup = read(str(folder / EXPERIMENT))
        result.problems += problems(folder, setup, summary, result.fields())
    if summary is not None and not result.problems:
        result.problems += differences(folder, setup, _assembled(folder, setup), summary, result)
    return result.fields() | {"live": live, "cut_off": cut_off and not live}


def _assembled(folder: Path, setup: Setup) -> Assembly:
    """Return what a run was made of, as it was before anything was injected."""
    from emulator.build.assembly import assemble
    from emulator.runtime.injection import as_begun

    return assemble(setup.with_experiment(as_begun(folder, setup.experiment)))


@contextmanager
def _damage_explained(folder: Path) -> Iterator[None]:
    """Say which journals are damaged if they cannot be understood.  Raises `JournalError`."""
    from emulator.store import journals
    from emulator.store.journal import JournalError

    try:
        yield
    except (BadInputError, OSError, typer.TyperException):
        raise
    except Exception as error:
        if faults := journals.faults(folder):
            raise JournalError(*faults[0].split(": ", 1)) from error
        raise


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    json_: Json = False,
) -> None:
    """Draw the report of a run that has ended again."""
    from emulator.build.loading import read
    from emulator.report.summary import draw_again

    check_format(folder)
    if is_live(folder):
        raise UsageError(str(folder), "is still running; it draws its report when it ends")
    setup = read(str(folder / EXPERIMENT))
    assembly = _assembled(folder, setup)
    try:
        drawn = str(draw_again(folder, setup, assembly))
    except (BadInputError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a drawing library raises
        fail(f"{folder / REPORT} cannot be drawn: {type(error).__name__}: {error}")
    answer(json_, {"file": drawn}, lambda: OUT.print(drawn, soft_wrap=True, markup=False))


def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    json_: Json = False,
) -> None:
    """Show the state of a run, live or ended; --json adds every key store."""
    from emulator.results.status import status_of, stores_of

    check_format(folder)
    with _damage_explained(folder):
        found, stores = status_of(folder), stores_of(folder)
    answer(json_, found | {"stores": stores}, lambda: print_fields(found))


def page(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0: any.")] = 0,
    attached: Attached = False,
    json_: Json = False,
) -> None:
    """Serve a page about a run, live or ended, to browsers on this machine, until interrupted."""
    from emulator.live_page.server import serve

    check_format(folder)
    require_free_port(port, "--port")

    def announce(url: str) -> None:
        print(json.dumps({"url": url}) if json_ or attached else url, flush=True)  # noqa: T201

    try:
        serve(folder, port, announce, attached=attached)
    except KeyboardInterrupt:
        raise typer.Exit(128 + signal.SIGINT) from None


def trace(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    request: Annotated[str, typer.Option(help="The request to trace.")],
    period: Annotated[
        int | None, typer.Option(min=0, help="The period; default: its reservation.")
    ] = None,
    otlp: Annotated[
        Path | None,
        typer.Option(help="A new file of OTLP spans, for Jaeger, Tempo or a collector."),
    ] = None,
    json_: Json = False,
) -> None:
    """Trace a request's need for keys from node to manager, to satellite or UAV, and back."""
    from emulator.results.tracing import TraceError, story, write_traces

    if otlp is not None and (otlp.exists() or not otlp.absolute().parent.is_dir()):
        raise UsageError("--otlp", f"{otlp} must be a new file in an existing folder")
    check_format(folder)
    try:
        with _damage_explained(folder):
            steps = story(folder, request, period)
    except TraceError as error:
        raise UsageError(str(folder), str(error)) from error
    rows = [step.fields() for step in steps]
    if otlp is not None:
        write_traces(otlp, steps, f"{request}, period {period}" if period is not None else request)
    answer(json_, rows, lambda: print_table(["at_s", "who", "what"], rows))


def _show_audit(fields: dict[str, Any]) -> None:
    management = {f"management_{name}": value for name, value in fields["management"].items()}
    plain = {k: v for k, v in fields.items() if k not in ("totals", "management")}
    print_fields(plain | fields["totals"] | management)
