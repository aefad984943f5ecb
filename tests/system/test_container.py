"""The container image, really built and run, with podman in a storage of its own.

The base image is a minimal Debian with Python, made by debootstrap: public images may be out of reach.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]
ROOT = Path(__file__).parent.parent.parent
TOOLS = ("podman", "runc", "debootstrap")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
LIMITS = ["--ulimit", "nofile=20000:20000", "--ulimit", "nproc=4096:4096"]
LARGEST_BYTES = 720 * 2**20


class Podman:
    """Images and containers that nobody else sees."""

    def __init__(self, folder: Path) -> None:
        places = ["--root", str(folder / "images"), "--runroot", str(folder / "state")]
        self._command = ["podman", *places, "--cgroup-manager", "cgroupfs", "--runtime", "runc"]

    def __call__(self, *words: str, **options: object) -> str:
        done = subprocess.run(
            [*self._command, *words],
            capture_output=True,
            text=True,
            check=False,
            **options,  # type: ignore[call-overload]
        )
        assert done.returncode == 0, done.stderr[-3000:]
        out: str = done.stdout
        return out.strip()

    def can_run(self, image: str) -> bool:
        """Return whether containers can be run on this machine."""
        words = ["run", "--rm", "--network=host", *LIMITS, image, "/bin/true"]
        return not subprocess.run(
            [*self._command, *words], capture_output=True, check=False
        ).returncode

    def run(self, *words: str, entrypoint: str = "qsagin") -> str:
        hardened = ["--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=host"]
        return self(
            "run",
            "--rm",
            *hardened,
            *LIMITS,
            "--shm-size=256m",
            f"--entrypoint={entrypoint}",
            "qsagin",
            *words,
        )


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """The image `qsagin`, built on a Debian made here."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        problem = f"needs root and the Debian packages {', '.join(TOOLS)}"
        if os.environ.get("CI") == "true":
            pytest.fail(problem)
        pytest.skip(problem)
    folder = tmp_path_factory.mktemp("podman")
    system = folder / "system"
    packages = "python3,python3-venv,ca-certificates"
    words = [
        "debootstrap",
        "--variant=minbase",
        f"--include={packages}",
        "bookworm",
        str(system),
    ]
    made = subprocess.run(words, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout[-3000:]
    podman = Podman(folder)
    with subprocess.Popen(["tar", "-C", str(system), "-c", "."], stdout=subprocess.PIPE) as archive:
        podman("import", "-", "base", stdin=archive.stdout)
    if not podman.can_run("base"):
        pytest.skip("no container can be run here")
    words = ["--isolation=chroot", "--format=docker", "--build-arg=BASE=base", *LIMITS]
    if CERTIFICATES.exists():  # those that this machine trusts, perhaps for a mirror
        inside = "/etc/ssl/certs/here.crt"
        words += [f"--build-arg=PIP_CERT={inside}", f"--volume={CERTIFICATES}:{inside}:ro"]
    podman("build", *words, "-t", "qsagin", "-f", "deploy/Dockerfile", ".", cwd=ROOT)
    yield podman
    podman("rmi", "--all", "--force")
    shutil.rmtree(folder, ignore_errors=True)


def test_a_run_in_the_image_has_the_digest_of_one_outside(podman: Podman, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "emulator", "run", "tiny", "--hosts", "1", "--json"]
    outside = subprocess.run(
        [*command, "--out", str(tmp_path / "run")], capture_output=True, text=True, check=True
    )
    inside = podman.run("run", "tiny", "--hosts", "1", "--out", "/runs/a", "--json")
    assert json.loads(inside)["digest"] == json.loads(outside.stdout)["digest"]


def test_nobody_in_the_image_is_root(podman: Podman) -> None:
    assert podman.run("-u", entrypoint="id") == "10001"


def test_a_login_shell_finds_what_ray_starts(podman: Podman) -> None:
    found = podman.run("-lc", "command -v ray qsagin", entrypoint="bash")
    assert found.split() == ["/usr/local/bin/ray", "/usr/local/bin/qsagin"]


def test_the_image_is_compiled_and_has_no_more_than_it_needs(podman: Podman) -> None:
    site = "/opt/qsagin/lib/python3.11/site-packages"
    assert "clock.cpython-311.pyc" in podman.run(
        f"{site}/emulator/runtime/__pycache__", entrypoint="ls"
    )
    assert "pip" not in podman.run(site, entrypoint="ls").split()
    sizes = [int(podman("inspect", "--format={{.Size}}", name)) for name in ("qsagin", "base")]
    assert sizes[0] - sizes[1] < LARGEST_BYTES
