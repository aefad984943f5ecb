"""Matplotlib, set up so that it writes nothing into the user's home, and the look of all pictures.

Everybody takes it from here.  Its font cache lies in the Python environment, or in a temporary folder if
that cannot be written.  Colours are those of Okabe and Ito, which colour-blind readers can tell apart.
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

from matplotlib import colormaps, rc  # noqa: E402 - reads its environment when it is imported
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.cm import ScalarMappable  # noqa: E402
from matplotlib.collections import LineCollection, PolyCollection  # noqa: E402
from matplotlib.colors import ListedColormap, Normalize  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.font_manager import FontProperties, findfont, get_font  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402

__all__ = [
    "COLOURS",
    "INK",
    "MUTED",
    "Axes",
    "Figure",
    "Line2D",
    "LineCollection",
    "ListedColormap",
    "Normalize",
    "PolyCollection",
    "ScalarMappable",
    "colormaps",
    "drawable",
]

COLOURS = {
    "fiber": "#0072B2",
    "satellite": "#E69F00",
    "uav": "#009E73",
    "shortfall": "#D55E00",
    "plan": "#CC79A7",
}
INK, MUTED = "#1b2733", "#5b6875"

rc("font", size=9)
rc("axes", labelcolor=INK, edgecolor="#8a959f", titlesize=10)
rc("svg", hashsalt="qsagin")  # equal pictures are equal files
rc("text", parse_math=False)  # names may have dollars

_MISSING = "\N{REPLACEMENT CHARACTER}"


def drawable(text: str) -> str:
    """Return a text with a sign in place of each letter that the font of pictures does not have."""
    font = get_font(findfont(FontProperties()))
    return "".join(letter if font.get_char_index(ord(letter)) else _MISSING for letter in text)
