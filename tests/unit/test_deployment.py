"""The files in deploy/ against the schemas of those who read them; no container is started."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"


def _tool(name: str, *words: str) -> str:
    command = [str(Path(sys.executable).with_name(name)), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def _pins(lock: Path) -> dict[str, set[str]]:
    pins: dict[str, set[str]] = {}
    for name, number in re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text(), re.MULTILINE):
        pins.setdefault(name, set()).add(number)
    return pins


def test_the_dockerfile_has_no_known_mistake() -> None:
    assert _tool("hadolint", "deploy/Dockerfile") == ""


def test_compose_can_be_read() -> None:
    _tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml")


def test_every_machine_of_compose_has_the_least_rights_and_its_orphans_reaped() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for name in ("head", "worker", "job"):
        assert services[name]["init"] is True
    for name in ("head", "worker", "job", "alerts"):
        service = services[name]
        assert service["cap_drop"] == ["ALL"]
        assert service["user"] == "10001:10001"
    opened = [port for service in services.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in opened)


def test_rays_launcher_takes_the_cluster() -> None:
    config = yaml.safe_load((DEPLOY / "ray" / "cluster.yaml").read_text())
    prepared = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    workers = prepared["available_node_types"]["local.cluster.node"]
    assert workers["max_workers"] == len(config["provider"]["worker_ips"])


@pytest.mark.parametrize("lock", [DEPLOY / "requirements.lock", ROOT / "requirements.lock"])
def test_image_and_runs_have_the_versions_of_the_tests_and_all_that_is_needed(lock: Path) -> None:
    found, tested = _pins(lock), _pins(ROOT / "requirements-dev.lock")
    assert {name: found[name] for name in found.keys() & tested.keys()} == {
        name: tested[name] for name in found.keys() & tested.keys()
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[>=\[]", item)[0] for item in project["dependencies"]}
    assert needed <= found.keys()
    assert (
        not {"pytest", "mypy", "playwright", "scipy", "pandas", "kubernetes-validate"}
        & found.keys()
    )


def test_no_lock_names_a_registry() -> None:
    judges = sorted((ROOT / "tests" / "system" / "pins").glob("*.txt"))
    assert len(judges) == 4
    own = [DEPLOY / "requirements.lock", *ROOT.glob("requirements*.lock")]
    assert len(own) == 3
    for lock in (*own, *judges):
        assert "://" not in lock.read_text()


def test_what_compose_mounts_is_there() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    mounts = [volume for service in services.values() for volume in service.get("volumes", ())]
    folders = [volume.split(":")[0] for volume in mounts if volume.startswith("./")]
    assert len(folders) == 7
    assert [folder for folder in folders if not (DEPLOY / folder).is_dir()] == []
