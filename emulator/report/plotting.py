"""Matplotlib, set up so that it writes nothing into the user's home, and the style of all pictures.

All modules import it from here.  Its font cache is in the Python environment, or in a temporary folder if
that cannot be written.  Colours are those of Okabe and Ito, which colour-blind readers can tell apart.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO


def _cache_folder() -> str:
    folder = Path(sys.prefix) / "var" / "qsagin" / "matplotlib"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return str(folder)
    except OSError:
        pass  # it cannot be made either
    made = tempfile.mkdtemp(prefix="matplotlib-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


os.environ.setdefault("MPLCONFIGDIR", _cache_folder())

from matplotlib import colormaps, font_manager, rc  # noqa: E402 - reads its environment when it is imported
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
    "save",
]

COLOURS = {
    "fiber": "#0072B2",
    "satellite": "#E69F00",
    "uav": "#009E73",
    "shortfall": "#D55E00",
    "plan": "#CC79A7",
}
INK, MUTED = "#1b2733", "#5b6875"

_NAMES_IN = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Micro Hei", "Droid Sans Fallback")
_INSTALLED = set(font_manager.get_font_names())
_FAMILIES = ["DejaVu Sans", *(font for font in _NAMES_IN if font in _INSTALLED)]
_FONT_FILES = [findfont(FontProperties(family=family)) for family in _FAMILIES]
_MISSING = "\N{REPLACEMENT CHARACTER}"
rc("font", size=9, family=_FAMILIES)
rc("text", parse_math=False)  # a name may have dollar signs
rc("axes", labelcolor=INK, edgecolor="#8a959f", titlesize=10)
rc("svg", hashsalt="qsagin")  # equal pictures are equal files


def drawable(text: str) -> str:
    """Return a text with a sign in place of each letter that the fonts of pictures do not have."""
    return "".join(letter if _can_draw(letter) else _MISSING for letter in text)


@cache
def _can_draw(letter: str) -> bool:
    return any(get_font(path).get_char_index(ord(letter)) for path in _FONT_FILES)


def save(figure: Figure, target: Path | BinaryIO, **how: Any) -> None:
    """Write a figure; a sign that no font has is drawn as a box, and nobody is warned of it.

    It is laid out before: `savefig` would draw all of it once more for that.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        layout = figure.get_layout_engine()
        if layout is not None:
            layout.execute(figure)
            figure.set_layout_engine(None)  # "none" would keep a place for it, and draw twice
        figure.savefig(target, **how)
