"""deploy/kubernetes as kustomize builds it, against the schemas of Kubernetes and KubeRay.

`kuberay/` holds the CRDs as KubeRay publishes them (helm-chart/kuberay-operator/crds).  The monitors are
checked for what they select only: the CRDs of the Prometheus operator are not here.  Debian has no kubectl
that is new enough, so these tests are skipped where there is none.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

pytestmark = pytest.mark.system
HERE = Path(__file__).parent
OVERLAYS = HERE.parent.parent / "deploy" / "kubernetes" / "overlays"
FOREIGN = ("RayCluster", "RayJob", "PodMonitor", "ServiceMonitor")


@cache
def _build(overlay: str) -> str:
    if shutil.which("kubectl") is None:
        pytest.skip("needs kubectl 1.27 or later")
    words = ["kubectl", "kustomize", str(OVERLAYS / overlay)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def _objects(overlay: str) -> dict[str, dict[str, Any]]:
    return {item["kind"]: item for item in yaml.safe_load_all(_build(overlay))}


@cache
def _schema(kind: str) -> dict[str, Any]:
    path = HERE / "kuberay" / f"ray.io_{kind.lower()}s.yaml"
    definition = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    (version,) = [item for item in definition["spec"]["versions"] if item["name"] == "v1"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    schema["properties"]["metadata"] = {"type": "object"}
    _close(schema)
    return schema


def _close(schema: Any) -> None:
    """Have a schema refuse fields that it does not know, as the API server does when it is strict."""
    if isinstance(schema, list):
        for item in schema:
            _close(item)
    if isinstance(schema, dict):
        is_open = schema.get("x-kubernetes-preserve-unknown-fields", False)
        if isinstance(schema.get("properties"), dict) and not is_open:
            schema.setdefault("additionalProperties", False)
        for item in schema.values():
            _close(item)


@pytest.mark.parametrize("overlay", ["small", "large"])
@pytest.mark.parametrize("kind", ["RayCluster", "RayJob"])
def test_kuberay_takes_it(overlay: str, kind: str) -> None:
    found = [
        f"{'/'.join(map(str, error.path))}: {error.message}"
        for error in Draft7Validator(_schema(kind)).iter_errors(_objects(overlay)[kind])
    ]
    assert found == []


def test_a_field_that_kuberay_does_not_know_is_found() -> None:
    cluster = _objects("small")["RayCluster"]
    cluster["spec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]["imag"] = "x"
    assert list(Draft7Validator(_schema("RayCluster")).iter_errors(cluster))


@pytest.mark.parametrize("overlay", ["small", "large"])
def test_kubernetes_takes_the_rest(overlay: str, tmp_path: Path) -> None:
    own = [item for kind, item in _objects(overlay).items() if kind not in FOREIGN]
    path = tmp_path / "objects.yaml"
    path.write_text(yaml.safe_dump_all(own))
    tool = str(Path(sys.executable).with_name("kubernetes-validate"))
    done = subprocess.run(
        [tool, "--strict", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count("passed") == len(own) == 3


@pytest.mark.parametrize("overlay", ["small", "large"])
def test_pods_may_do_no_more_than_they_need_and_share_the_run_folders(overlay: str) -> None:
    spec = _objects(overlay)["RayCluster"]["spec"]
    assert spec["authOptions"] == {"mode": "token"}
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["image"] == "qsagin:0.1.0"
        assert "/runs" in [item["mountPath"] for item in container["volumeMounts"]]


def test_monitors_select_ports_that_pods_have() -> None:
    found = _objects("small")
    head = found["RayCluster"]["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    ports = {item["name"]: item["containerPort"] for item in head["ports"]}
    (service,) = found["Service"]["spec"]["ports"]
    (endpoint,) = found["ServiceMonitor"]["spec"]["endpoints"]
    (pods,) = found["PodMonitor"]["spec"]["podMetricsEndpoints"]
    assert ports[service["targetPort"]] == service["port"]
    assert endpoint["port"] == service["name"]
    assert pods["port"] in ports
    assert f"--metrics-port {service['port']}" in found["RayJob"]["spec"]["entrypoint"]


def test_overlays_differ_in_size() -> None:
    sizes = [
        _objects(name)["RayCluster"]["spec"]["workerGroupSpecs"][0]["replicas"]
        for name in ("small", "large")
    ]
    assert sizes == [1, 8]
