"""The world, and what starts it: physics, experiments, processes, time, results.

The top layer: it may import everything, and nothing imports it.  `import emulator as qsagin` also offers
what a notebook wants (see `emulator.interface`), which is loaded when it is first asked for.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.build.loading import ExperimentError
    from emulator.interface import Experiment, Run, RunError, define, load, open_run

__all__ = ["Experiment", "ExperimentError", "Run", "RunError", "define", "load", "open_run"]

# gRPC reads this when it is first imported.  What goes wrong is told in words of our own.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def __getattr__(name: str) -> Any:
    if name == "ExperimentError":
        return getattr(import_module("emulator.build.loading"), name)
    if name in __all__:
        return getattr(import_module("emulator.interface"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
