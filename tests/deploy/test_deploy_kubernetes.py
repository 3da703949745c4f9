"""The manifests, as kustomize puts them together: selectors find their pods, ports and probes exist, nobody runs as root."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.app.duties import Duty
from gateway.telemetry import Metrics
from gateway.web.routes import API

ROLES = {duty.value for duty in Duty}
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
FOLDER = DEPLOY / "kubernetes"
KINDS = {
    "v1": {"Namespace", "Service", "ServiceAccount", "ConfigMap"},
    "apps/v1": {"Deployment", "StatefulSet"},
    "batch/v1": {"Job"},
    "policy/v1": {"PodDisruptionBudget"},
    "autoscaling/v2": {"HorizontalPodAutoscaler"},
    "networking.k8s.io/v1": {"NetworkPolicy"},
}
Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    """What `kubectl apply -k` would send."""
    words = next((each for each in (["kubectl", "kustomize"], ["kustomize", "build"]) if shutil.which(each[0])), None)
    if words is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run([*words, str(FOLDER)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def of(manifests: list[Manifest], *kinds: str) -> Iterator[Manifest]:
    return (manifest for manifest in manifests if manifest["kind"] in kinds)


def workloads(manifests: list[Manifest]) -> list[Manifest]:
    return list(of(manifests, "Deployment", "StatefulSet", "Job"))


def labels(workload: Manifest) -> dict[str, str]:
    found: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return found


def container(workload: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = workload["spec"]["template"]["spec"]["containers"][0]
    return found


def test_every_file_of_the_folder_is_used() -> None:
    resources = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"} == set(resources) - {"../config"}


def test_kinds_versions_and_namespaces(manifests: list[Manifest]) -> None:
    for manifest in manifests:
        assert manifest["kind"] in KINDS[manifest["apiVersion"]]
        assert manifest["kind"] == "Namespace" or manifest["metadata"]["namespace"] == "tongluo"
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    assert len(names) == len(set(names))


def test_every_role_is_there_twice_with_a_budget(manifests: list[Manifest]) -> None:
    running = {each["metadata"]["name"]: each for each in of(manifests, "Deployment", "StatefulSet")}
    assert set(running) == ROLES
    for role, workload in running.items():
        args = container(workload)["args"]
        assert args[args.index("--role") + 1] == role
        assert workload["spec"]["replicas"] >= 2
    assert {each["metadata"]["name"] for each in of(manifests, "PodDisruptionBudget")} == ROLES


def test_selectors_find_their_pods_and_no_others(manifests: list[Manifest]) -> None:
    for manifest in of(manifests, "Deployment", "StatefulSet", "PodDisruptionBudget"):
        wanted = manifest["spec"]["selector"]["matchLabels"]
        assert names_matching(manifests, wanted) == [manifest["metadata"]["name"]]
    for service in of(manifests, "Service"):
        assert names_matching(manifests, service["spec"]["selector"]) == [service["metadata"]["name"]]
    for policy in of(manifests, "NetworkPolicy"):
        selector = policy["spec"]["podSelector"]
        values = {value for each in selector.get("matchExpressions", []) for value in each["values"]}
        assert names_matching(manifests, selector.get("matchLabels", {})), policy["metadata"]["name"]
        assert values <= ROLES
    everybody = next(each for each in of(manifests, "NetworkPolicy") if each["metadata"]["name"] == "gateway")
    assert len(names_matching(manifests, everybody["spec"]["podSelector"]["matchLabels"])) == len(workloads(manifests))


def names_matching(manifests: list[Manifest], wanted: dict[str, str]) -> list[str]:
    return [each["metadata"]["name"] for each in workloads(manifests) if wanted.items() <= labels(each).items()]


def test_ports_and_probes_are_those_of_the_program(manifests: list[Manifest]) -> None:
    paths = {route.address for route in API}
    for workload in of(manifests, "Deployment", "StatefulSet"):
        pod = container(workload)
        ports = {port["name"]: port["containerPort"] for port in pod["ports"]}
        assert str(ports["http"]) == pod["args"][pod["args"].index("--port") + 1]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert pod[probe]["httpGet"]["path"] in paths
            assert pod[probe]["httpGet"]["port"] in ports
        assert pod["livenessProbe"]["httpGet"]["path"] == "/healthz", "a store that is away must not restart the pods"
        assert pod["readinessProbe"]["httpGet"]["path"] == "/readyz"
        notes = workload["spec"]["template"]["metadata"]["annotations"]
        assert (notes["prometheus.io/path"], notes["prometheus.io/port"]) == ("/metrics", str(ports["http"]))
        assert pod["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "5"]
    for service in of(manifests, "Service"):
        assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"]


def test_nobody_is_root_or_writes_where_he_should_not(manifests: list[Manifest]) -> None:
    for workload in workloads(manifests):
        spec, pod = workload["spec"]["template"]["spec"], container(workload)
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        rights = pod["securityContext"]
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert pod["resources"]["limits"]["memory"]


def test_what_is_mounted_and_referred_to_is_there(manifests: list[Manifest]) -> None:
    maps = {each["metadata"]["name"]: each["data"] for each in of(manifests, "ConfigMap")}
    for workload in workloads(manifests):
        spec, pod = workload["spec"]["template"]["spec"], container(workload)
        volumes = {each["name"] for each in spec["volumes"]}
        volumes |= {each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", [])}
        assert {each["name"] for each in pod["volumeMounts"]} == volumes
        named = [each["configMap"]["name"] for each in spec["volumes"] if "configMap" in each]
        assert named
        assert set(named) <= set(maps)
        config = Path(pod["args"][pod["args"].index("--config") + 1])
        assert config.name in maps[named[0]]
        assert {each["mountPath"] for each in pod["volumeMounts"]} >= {str(config.parent)}


def test_scaling_asks_for_a_metric_that_exists_and_for_workloads_that_exist(manifests: list[Manifest]) -> None:
    known = {(each["kind"], each["metadata"]["name"]) for each in workloads(manifests)}
    families = {family.name for family in Metrics().registry.collect()}
    asked = set()
    for scaler in of(manifests, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) in known
        assert scaler["spec"]["minReplicas"] >= 2
        asked |= {
            each["external"]["metric"]["name"] for each in scaler["spec"]["metrics"] if each["type"] == "External"
        }
    assert asked == {"tongluo_queue_depth"}
    assert asked <= families


def test_secrets_are_referred_to_never_written(manifests: list[Manifest]) -> None:
    assert not list(of(manifests, "Secret"))
    page = (DEPLOY.parent / "docs" / "deploying.md").read_text("utf-8")
    given = {each["value"] for workload in workloads(manifests) for each in container(workload)["env"]}
    for path in (value for value in given if value.startswith("/run/secrets/")):
        assert f"--from-file={Path(path).name}" in page
