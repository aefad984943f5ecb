"""What other users of the machine can do to a run: nothing, unless its owner shares the results."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from patience import patient

pytestmark = pytest.mark.cluster
NOBODY = 65534
OTHERS = stat.S_IRWXG | stat.S_IRWXO
BEGIN = """
import sys
from pathlib import Path
from emulator import launch
import ray  # noqa: E402 - Ray reads its environment when it is imported
with launch.ray_instance(1, None, Path()):
    print(ray.get_runtime_context().gcs_address, ray._private.worker._global_node.get_temp_dir_path(),
        flush=True, file=sys.__stdout__)
    sys.stdin.readline()
"""
ASK = """
import os, sys
os.environ["RAY_AUTH_MODE"] = sys.argv[2]
import ray  # noqa: E402 - Ray reads its environment when it is imported
from ray._raylet import GcsClient
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
try:
    GcsClient(address=sys.argv[1]).internal_kv_put(b"code", b"theirs", True, b"fun", timeout=5)
except ray.exceptions.AuthenticationError:
    print("refused")
"""


def _open_to_others(folder: Path) -> Iterator[str]:
    """Yield what other users could enter, read or change, below the first folder that they can enter."""
    for path in (folder, *folder.rglob("*")):
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & OTHERS:
            yield f"{path} {mode:o}"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("mode", ["disabled", "token"])
def test_another_user_cannot_speak_to_the_ray_of_a_run(mode: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", BEGIN]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdin is not None
        address, temporary = owner.stdout.readline().split()
        outer = Path(temporary).parent
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        environment["HOME"] = str(tmp_path)
        asked = subprocess.run(
            [sys.executable, "-c", ASK, address, mode],
            capture_output=True,
            text=True,
            env=environment | ({"RAY_AUTH_TOKEN": "0" * 64} if mode == "token" else {}),
            cwd="/",
            timeout=patient(60),
            check=False,
        )
        entered = subprocess.run(["ls", str(outer)], user=NOBODY, capture_output=True, check=False)
        owner.communicate("\n", timeout=patient(60))
    assert "refused" in asked.stdout, asked.stderr
    assert entered.returncode != 0
    assert not outer.exists()


def test_what_a_run_leaves_is_its_owners_unless_it_is_shared(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "emulator", "run", "tiny", "--hosts", "1", "--json", "--out"]
    for folder, more in ((tmp_path / "mine", []), (tmp_path / "ours", ["--share"])):
        subprocess.run(
            [*command, str(folder), *more], capture_output=True, check=True, timeout=patient(120)
        )
    assert list(_open_to_others(tmp_path / "mine")) == []
    assert (tmp_path / "ours" / "report.html").stat().st_mode & stat.S_IROTH


def test_nobody_reads_the_memory_of_an_actor(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "emulator", "run", "tiny", "--hosts", "1", "--pace", "10"]
    command += ["--out", str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
        assert run.stderr is not None
        run.stderr.readline()  # the address of the metrics: everybody serves
        family = psutil.Process(run.pid).children(recursive=True)
        actors = [item for item in family if "_Server" in " ".join(item.cmdline())]
        dumpable = [item for item in actors if not _is_closed(item.pid)]
        run.terminate()
        run.communicate(timeout=patient(60))
    assert actors
    assert dumpable == []


def _is_closed(pid: int) -> bool:
    """Whether the kernel dumps no core of a process: what it shows of it then belongs to root."""
    if os.getuid() != 0:
        return Path(f"/proc/{pid}/environ").stat().st_uid == 0
    words = ["test", "-r", f"/proc/{pid}/mem"]
    return subprocess.run(words, user=NOBODY, check=False).returncode != 0
