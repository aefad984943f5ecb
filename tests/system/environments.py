"""Packages that may not be installed beside the project, or of which it needs no more than a few files.

They are pinned by hash in `pins/NAME.txt`, which `make lock` writes from `NAME.in`.  pip gets them
into a folder of the test; nothing of the project's own environment changes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PINS = Path(__file__).parent / "pins"


def wheel(name: str, folder: Path) -> Path:
    """Return the one wheel of an environment; nothing is installed."""
    _pip("download", "--no-deps", "--dest", str(folder), *_pinned(name))
    (found,) = folder.glob("*.whl")
    return found


def interpreter(name: str, folder: Path) -> Path:
    """Return a Python that has an environment, and nothing else."""
    made = folder / name
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made)], check=True)
    python = made / "bin" / "python"
    _pip("--python", str(python), "install", "--no-compile", *_pinned(name))
    return python


def _pinned(name: str) -> tuple[str, ...]:
    return ("--require-hashes", "--requirement", str(PINS / f"{name}.txt"))


def _pip(*words: str) -> None:
    """Run pip; if it cannot get a package the test is skipped, or fails if CI is true."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(done.stderr[-2000:])
