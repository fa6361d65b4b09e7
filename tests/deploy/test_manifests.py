"""All overlays render, are valid for Kubernetes' schemas and consistent; the checks detect broken manifests."""

from __future__ import annotations

import copy
import functools
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import (
    APPLIED,
    DEPLOY,
    FILL,
    VERSIONS,
    Manifest,
    file_of,
    folders,
    kubectl,
    only,
    pod_template,
    problems,
    render,
)

CPU = DEPLOY / "kubernetes/overlays/cpu"
COMPLETE = DEPLOY / "kubernetes/examples/complete"
KSERVE = DEPLOY / "kserve/base"
KUBERNETES = [folder for folder in folders() if folder.parts[-3] == "kubernetes"]
DRAIN, STOP = "FASTMAR_DRAIN_TIMEOUT", 10  # seconds for Java to end: END_TIMEOUT in torchserve/process.py
by_name = functools.partial(pytest.mark.parametrize, ids=lambda folder: str(folder.relative_to(DEPLOY)))


def test_finds_all_kustomizations() -> None:
    names = {str(folder.relative_to(DEPLOY)) for folder in folders()}
    assert {f"kubernetes/overlays/{name}" for name in ("asgi", "cpu", "gpu", "without-key")} <= names
    assert {"kubernetes/examples/volume", "kubernetes/examples/init-container", "kserve/base"} <= names
    assert "kserve/asgi" in names
    assert len(VERSIONS) > 1


@by_name("folder", folders())
def test_valid_in_all_kubernetes_versions(folder: Path) -> None:
    manifests = render(folder)
    assert manifests
    found = [
        f"Kubernetes {version}, {manifest['kind']}: {problem}"
        for version in VERSIONS
        for manifest in manifests
        for problem in problems(manifest, version)
    ]
    assert not found


def test_render_writes_what_kubectl_would_apply(tmp_path: Path) -> None:
    kubectl()  # skips without it
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "removed-overlay.yaml").touch()
    done = subprocess.run([DEPLOY / "render.sh", folder], capture_output=True, text=True, check=True)
    assert set(done.stdout.splitlines()) == {str(folder / file_of(overlay)) for overlay in APPLIED}
    for overlay in APPLIED:
        assert list(yaml.safe_load_all((folder / file_of(overlay)).read_text("utf-8"))) == render(overlay)
    assert {path.name for path in folder.iterdir()} == set(map(file_of, APPLIED))


def test_an_ingress_passes_only_what_callers_need() -> None:
    manifests = render(DEPLOY / "kubernetes/examples/ingress")
    ingress, account = only(manifests, "Ingress"), only(manifests, "ServiceAccount")
    [rule] = ingress["spec"]["rules"]
    assert [(path["path"], path["pathType"]) for path in rule["http"]["paths"]] == [
        ("/predictions/", "Prefix"),
        ("/ping", "Exact"),
    ]
    services = [path["backend"]["service"] for path in rule["http"]["paths"]]
    service = only(manifests, "Service")
    assert {each["name"] for each in services} == {service["metadata"]["name"]}
    assert {each["port"]["name"] for each in services} <= {port["name"] for port in service["spec"]["ports"]}
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
    assert account["imagePullSecrets"] == [{"name": "registry"}]


def test_pod_that_fills_a_volume_is_valid() -> None:
    [pod] = yaml.safe_load_all(FILL.read_text("utf-8"))
    assert not [problem for version in VERSIONS for problem in problems(pod, version)]


def change(path: str, value: Any) -> Callable[[Manifest], None]:
    """A function that sets one field, `spec.containers.0.name`, of a manifest."""

    def apply(manifest: Manifest) -> None:
        *parents, last = path.split(".")
        node: Any = manifest
        for part in parents:
            node = node[int(part)] if part.isdecimal() else node[part]
        node[last] = value

    return apply


POD = "spec.template.spec"
BROKEN = {
    "a text where a number belongs": ("Deployment", change("spec.minReadySeconds", "5")),
    "a misspelt field": ("Deployment", change(f"{POD}.containers.0.readinesProbe", {})),
    "a field that is not there yet": ("Deployment", change(f"{POD}.resourcess", {})),
    "an env value that is no text": ("Deployment", change(f"{POD}.containers.0.env.0.value", 5)),
    "a field of an older API": ("HorizontalPodAutoscaler", change("spec.targetCPUUtilizationPercentage", 70)),
    "an API that is gone": ("PodDisruptionBudget", change("apiVersion", "policy/v1beta1")),
    "a port that is a list": ("Service", change("spec.ports.0.port", [8080])),
    "an endpoint of no such field": ("ServiceMonitor", change("spec.endpoints.0.paths", "/metrics")),
    "an interval that is a number": ("ServiceMonitor", change("spec.endpoints.0.interval", 15)),
    "a predictor of no such field": ("InferenceService", change("spec.predictor.maxReplica", 10)),
    "a number of replicas that is text": ("InferenceService", change("spec.predictor.minReplicas", "2")),
    "a container of no such field": ("InferenceService", change("spec.predictor.containers.0.ressources", {})),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[-1]])
def test_detects_a_broken_manifest(case: str, version: str) -> None:
    kind, break_it = BROKEN[case]
    manifest = copy.deepcopy(only(render(KSERVE if kind == "InferenceService" else COMPLETE), kind))
    assert not problems(manifest, version)
    break_it(manifest)
    assert problems(manifest, version)


@by_name("folder", KUBERNETES)
def test_selectors_match_the_pods_and_references_exist(folder: Path) -> None:
    manifests = render(folder)
    deployment = only(manifests, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    pod = deployment["spec"]["template"]["spec"]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        only(manifests, "Service")["spec"]["selector"],
        only(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        only(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(constraint["labelSelector"]["matchLabels"] for constraint in pod["topologySpreadConstraints"]),
    ]
    for selector in selectors:
        assert selector
        assert selector.items() <= labels
    for autoscaler in [manifest for manifest in manifests if manifest["kind"] == "HorizontalPodAutoscaler"]:
        assert autoscaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert pod["serviceAccountName"] == only(manifests, "ServiceAccount")["metadata"]["name"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    for container in pod["containers"] + pod.get("initContainers", []):
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        assert container["image"].startswith("registry.example.com/")  # set by the overlay


def test_network_policy_allows_the_clusters_dns() -> None:
    """kustomize's includeSelectors would add a label to this selector, and block DNS."""
    [rule] = only(render(CPU), "NetworkPolicy")["spec"]["egress"]
    assert rule["to"][0]["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}


def test_ports_of_probes_and_services_are_consistent() -> None:
    [container] = pod_template(only(render(CPU), "Deployment"))["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert {port["targetPort"] for port in only(render(CPU), "Service")["spec"]["ports"]} <= set(ports)
    opened = {rule["ports"][0]["port"]: rule for rule in only(render(CPU), "NetworkPolicy")["spec"]["ingress"]}
    assert "from" not in opened[ports["http"]]
    assert opened[ports["metrics"]]["from"]
    monitor = only(render(COMPLETE), "ServiceMonitor")["spec"]
    service = only(render(COMPLETE), "Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert {e["port"] for e in monitor["endpoints"]} <= {port["name"] for port in service["spec"]["ports"]}


@by_name("folder", [folder for folder in folders() if folder.name != "knative"])
def test_grace_period_is_long_enough_for_the_drain(folder: Path) -> None:
    for manifest in [m for m in render(folder) if m["kind"] in ("Deployment", "InferenceService")]:
        spec = pod_template(manifest)["spec"]
        [container] = spec["containers"]
        env = {variable["name"]: variable["value"] for variable in container["env"]}
        first, *rest = container["lifecycle"]["preStop"]["exec"]["command"]
        assert first == "sleep"
        assert spec["terminationGracePeriodSeconds"] >= int(rest[0]) + int(env[DRAIN]) + STOP
        startup = container["startupProbe"]
        timeout = int(env.get("FASTMAR_READY_TIMEOUT", "120"))  # after that the server exits and logs the reason
        assert startup["periodSeconds"] * startup["failureThreshold"] > timeout


@by_name("folder", folders())
def test_service_links_are_disabled(folder: Path) -> None:
    """A Service named fastmar would set FASTMAR_PORT=tcp://..., which `fastmar serve` reads."""
    for manifest in [m for m in render(folder) if m["kind"] in ("Deployment", "InferenceService")]:
        assert pod_template(manifest)["spec"]["enableServiceLinks"] is False


@by_name("folder", [folder for folder in KUBERNETES if folder.name != "without-key"])
def test_callers_need_a_key_from_a_private_file(folder: Path) -> None:
    manifests = render(folder)
    spec = pod_template(only(manifests, "Deployment"))["spec"]
    [container] = spec["containers"]
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    [mount] = [mount for mount in container["volumeMounts"] if mount["name"] == "key"]
    [volume] = [volume for volume in spec["volumes"] if volume["name"] == "key"]
    assert env["FASTMAR_TOKEN"] == "yes"
    assert Path(env["FASTMAR_KEY_FILE"]).parent == Path(mount["mountPath"])
    assert mount["readOnly"]
    assert volume["secret"]["defaultMode"] == 0o440
    assert not [m for m in manifests if m["kind"] == "Secret"]  # no secrets in manifests


def test_key_can_be_disabled() -> None:
    spec = pod_template(only(render(DEPLOY / "kubernetes/overlays/without-key"), "Deployment"))["spec"]
    [container] = spec["containers"]
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    assert env["FASTMAR_TOKEN"] == "no"
    assert "FASTMAR_KEY_FILE" not in env
    assert "key" not in {each["name"] for each in [*container["volumeMounts"], *spec["volumes"]]}


@pytest.mark.parametrize(("engine", "base"), [("kubernetes/overlays/asgi", CPU), ("kserve/asgi", KSERVE)])
def test_asgi_engine_requests_less_memory(engine: str, base: Path) -> None:
    kind = "InferenceService" if base == KSERVE else "Deployment"
    [of_engine] = pod_template(only(render(DEPLOY / engine), kind))["spec"]["containers"]
    [of_base] = pod_template(only(render(base), kind))["spec"]["containers"]
    assert {"name": "FASTMAR_ENGINE", "value": "asgi"} in of_engine["env"]
    assert of_engine["image"].endswith("-asgi")
    requests = [gibibytes(container["resources"]["requests"]["memory"]) for container in (of_engine, of_base)]
    assert requests[0] < requests[1] < gibibytes(of_base["resources"]["limits"]["memory"])


GIBIBYTES = {"Gi": 1.0, "Mi": 2.0**-10}


@by_name("folder", KUBERNETES)
def test_limit_of_ephemeral_storage_includes_the_volumes_on_disk(folder: Path) -> None:
    spec = pod_template(only(render(folder), "Deployment"))["spec"]
    volumes = [volume["emptyDir"] for volume in spec["volumes"] if "emptyDir" in volume]
    on_disk = [volume["sizeLimit"] for volume in volumes if volume.get("medium") != "Memory"]
    [container] = spec["containers"]
    limit = container["resources"]["limits"]["ephemeral-storage"]
    assert container["resources"]["requests"]["ephemeral-storage"]
    assert sum(map(gibibytes, on_disk)) < gibibytes(limit)


def gibibytes(quantity: str) -> float:
    return int(quantity[:-2]) * GIBIBYTES[quantity[-2:]]


def test_gpu_overlay_requests_a_gpu_without_autoscaler() -> None:
    manifests = render(DEPLOY / "kubernetes/overlays/gpu")
    [container] = pod_template(only(manifests, "Deployment"))["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert container["resources"]["limits"]["memory"]  # the base's limits stay
    assert "HorizontalPodAutoscaler" not in {manifest["kind"] for manifest in manifests}


# Fields that a Knative Service allows: Knative's field masks (pkg/apis/serving/fieldmask.go) with its defaults.
KNATIVE_POD = {"containers", "volumes", "serviceAccountName", "imagePullSecrets", "enableServiceLinks"}
KNATIVE_REFUSES = {"lifecycle", "stdin", "stdinOnce", "tty", "volumeDevices"}


def test_knative_accepts_the_specification() -> None:
    predictor = only(render(DEPLOY / "kserve/knative"), "InferenceService")["spec"]["predictor"]
    of_kserve = {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "timeout"}
    assert set(predictor) <= KNATIVE_POD | of_kserve
    assert not set(predictor["containers"][0]) & KNATIVE_REFUSES
    refused = set(only(render(KSERVE), "InferenceService")["spec"]["predictor"]["containers"][0]) & KNATIVE_REFUSES
    assert refused == {"lifecycle"}  # the other components are not for Knative
    assert predictor["minReplicas"] == 0, "it says that it scales to none"
