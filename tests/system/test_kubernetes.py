"""deploy/kubernetes as kustomize builds it, against the schemas of Kubernetes and KubeRay.

`kuberay/` says which schemas these are.  The newest is a CRD as KubeRay publishes it; the oldest is the
same less every field that KubeRay 1.5.1 may not have.  Pods are held to Kubernetes' own schemas besides,
from the oldest to the newest that kubernetes-validate has.  The monitors are checked for what they select
only: the CRDs of the Prometheus operator are not here.  kubectl comes from the environment, as the other
tools do.
"""

from __future__ import annotations

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
KUBERAY = HERE / "kuberay"
OLDEST, NEWEST = "1.5.1", "1.7.0"  # of KubeRay, as docs/deploy.md names them
OLDEST_PODS, NEWEST_PODS = "1.25", "1.37"  # of Kubernetes
FOREIGN = ("RayCluster", "RayJob", "PodMonitor", "ServiceMonitor")


def _tool(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name(name)), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@cache
def _build(overlay: str) -> str:
    done = _tool("kubectl", "kustomize", str(OVERLAYS / overlay))
    assert done.returncode == 0, done.stderr
    return done.stdout


def _objects(overlay: str) -> dict[str, dict[str, Any]]:
    return {item["kind"]: item for item in yaml.safe_load_all(_build(overlay))}


@cache
def _schema(kind: str, version: str) -> dict[str, Any]:
    path = KUBERAY / f"ray.io_{kind.lower()}s.yaml"
    definition = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    (served,) = [item for item in definition["spec"]["versions"] if item["name"] == "v1"]
    schema: dict[str, Any] = served["schema"]["openAPIV3Schema"]
    schema["properties"]["metadata"] = {"type": "object"}
    if version == OLDEST:
        for dotted, known in _oldest_fields()[kind].items():
            _restrict(schema, dotted.split("."), known)
    _close(schema)
    return schema


def _oldest_fields() -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = yaml.safe_load(
        (KUBERAY / f"fields-{OLDEST}.yaml").read_text()
    )
    return found


def _restrict(schema: dict[str, Any], path: list[str], known: list[str]) -> None:
    """Have the object at a path, or the items there, keep the fields that are known and no others."""
    for name in path:
        schema = schema["properties"][name]
        schema = schema.get("items", schema)
    schema["properties"] = {name: schema["properties"][name] for name in known}


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


def _faults(kind: str, version: str, item: dict[str, Any]) -> list[str]:
    found = Draft7Validator(_schema(kind, version)).iter_errors(item)
    return [f"{'/'.join(map(str, error.path))}: {error.message}" for error in found]


@pytest.mark.parametrize("overlay", ["small", "large"])
@pytest.mark.parametrize("kind", ["RayCluster", "RayJob"])
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kuberay_takes_it(overlay: str, kind: str, version: str) -> None:
    assert _faults(kind, version, _objects(overlay)[kind]) == []


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_a_field_that_kuberay_does_not_know_is_found(version: str) -> None:
    cluster = _objects("small")["RayCluster"]
    cluster["spec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]["imag"] = "x"
    (fault,) = _faults("RayCluster", version, cluster)
    assert "'imag' was unexpected" in fault


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [("spec", "tlsOptions", {"enabled": True}), ("authOptions", "secretName", "token")],
)
def test_a_field_that_came_after_the_oldest_version_is_found(
    section: str, field: str, value: object
) -> None:
    cluster = _objects("small")["RayCluster"]
    spec = cluster["spec"]
    (spec if section == "spec" else spec[section])[field] = value
    assert _faults("RayCluster", NEWEST, cluster) == []
    (fault,) = _faults("RayCluster", OLDEST, cluster)
    assert f"'{field}' was unexpected" in fault


def test_the_docs_name_the_versions_that_are_tested() -> None:
    text = (OVERLAYS.parents[2] / "docs" / "deploy.md").read_text()
    assert f"KubeRay {OLDEST} to {NEWEST}" in text


def _validate(items: list[dict[str, Any]], version: str, path: Path) -> None:
    path.write_text(yaml.safe_dump_all(items))
    done = _tool("kubernetes-validate", "--strict", "-k", version, str(path))
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert told.count("passed") == len(items)


@pytest.mark.parametrize("overlay", ["small", "large"])
@pytest.mark.parametrize("version", [OLDEST_PODS, NEWEST_PODS])
def test_kubernetes_takes_the_rest(overlay: str, version: str, tmp_path: Path) -> None:
    own = [item for kind, item in _objects(overlay).items() if kind not in FOREIGN]
    assert len(own) == 3
    _validate(own, version, tmp_path / "objects.yaml")


@pytest.mark.parametrize("overlay", ["small", "large"])
@pytest.mark.parametrize("version", [OLDEST_PODS, NEWEST_PODS])
def test_kubernetes_takes_the_pods(overlay: str, version: str, tmp_path: Path) -> None:
    spec = _objects(overlay)["RayCluster"]["spec"]
    groups = (spec["headGroupSpec"], *spec["workerGroupSpecs"])
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}} | group["template"]
        for group in groups
    ]
    _validate(pods, version, tmp_path / "pods.yaml")


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
