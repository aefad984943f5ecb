"""Matplotlib, set up so that it writes nothing into the user's home.

Its font cache lies in the Python environment, or in a temporary folder if that cannot be written.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


def _cache_folder() -> str:
    folder = Path(sys.prefix) / "var" / "qsagin" / "matplotlib"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return tempfile.mkdtemp(prefix="qsagin-matplotlib-")
    return str(folder)


os.environ.setdefault("MPLCONFIGDIR", _cache_folder())

from matplotlib.axes import Axes  # noqa: E402 - reads its environment when it is imported
from matplotlib.figure import Figure  # noqa: E402

__all__ = ["Axes", "Figure"]
