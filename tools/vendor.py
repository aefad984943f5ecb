"""Copies the page's libraries and map data from npm packages into emulator/report/vendor; --check compares.

The versions are those of emulator/report/vendor/package.json.  Licences are copied too.  Needs npm.
"""

from __future__ import annotations

import filecmp
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "emulator" / "report" / "vendor"
FILES = (
    "d3-array/dist/d3-array.min.js",  # has internmap inside
    "d3-geo/dist/d3-geo.min.js",
    "topojson-client/dist/topojson-client.min.js",
    "uplot/dist/uPlot.iife.min.js",
    "uplot/dist/uPlot.min.css",
    "us-atlas/states-10m.json",
    "world-atlas/countries-110m.json",
)
PACKAGES = ("internmap", *sorted({name.partition("/")[0] for name in FILES}))


def main() -> int:
    """Install the packages in a temporary folder, then copy or compare."""
    with tempfile.TemporaryDirectory() as temporary:
        shutil.copy(FOLDER / "package.json", temporary)
        subprocess.run(
            ["npm", "install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund"],  # noqa: S607
            cwd=temporary,
            check=True,
            stdout=sys.stderr,
        )
        modules = Path(temporary) / "node_modules"
        pairs = [(modules / name, FOLDER / Path(name).name) for name in FILES]
        pairs += [(modules / p / "LICENSE", FOLDER / "licences" / f"{p}.txt") for p in PACKAGES]
        if "--check" in sys.argv:
            wrong = [own for new, own in pairs if not filecmp.cmp(new, own, shallow=False)]
            print("\n".join(f"{own.name} differs from its package" for own in wrong))
            return bool(wrong)
        for new, own in pairs:
            shutil.copyfile(new, own)
    return 0


if __name__ == "__main__":
    sys.exit(main())
