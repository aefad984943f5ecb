"""A machine of a cluster is lost: how soon its actors are elsewhere, and keys are served again.

`python benchmarks/host_loss.py` runs the tests of tests/system/test_clusters.py that lose a machine (Ray's
part of it, all its processes, its network) on machines that are network namespaces, and tells what they
saw.  Needs root and iproute2.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bars import Row, at_most, tell

_TESTS = Path(__file__).parent.parent / "tests" / "system" / "test_clusters.py"
_SEEN = re.compile(r"(\w+): moved ([\d.]+) s, keys again ([\d.]+) s")
_LIMIT_S = 10


def rows() -> Iterator[Row]:
    """Lose machines."""
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-m", "system", str(_TESTS)]
    done = subprocess.run(
        [*command, "-k", "lost_machine"], stdout=subprocess.PIPE, text=True, check=False
    )
    found = _SEEN.findall(done.stdout)
    if done.returncode or not found:
        sys.exit(done.stdout)
    for loss, moved_s, served_s in found:
        note = f"actors elsewhere after {moved_s} s"
        yield at_most(f"machine lost ({loss}) to keys again", float(served_s), "s", _LIMIT_S, note)


if __name__ == "__main__":
    tell(rows())
