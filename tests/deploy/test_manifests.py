"""Every overlay renders, is what Kubernetes' schemas allow, and its parts fit each other; a broken one is caught."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import DEPLOY, FILL, VERSIONS, Manifest, folders, only, pod_template, problems, render

CPU = DEPLOY / "kubernetes/overlays/cpu"
COMPLETE = DEPLOY / "kubernetes/examples/complete"
KSERVE = DEPLOY / "kserve/base"
KUBERNETES = [folder for folder in folders() if folder.parts[-3] == "kubernetes"]
DRAIN, STOP = "FASTMAR_DRAIN_TIMEOUT", 10  # seconds that Java is given to end: ENDS_WITHIN in server/process.py
by_name = functools.partial(pytest.mark.parametrize, ids=lambda folder: str(folder.relative_to(DEPLOY)))


def test_there_is_something_to_check() -> None:
    names = {str(folder.relative_to(DEPLOY)) for folder in folders()}
    assert {f"kubernetes/overlays/{name}" for name in ("cpu", "gpu", "without-key")} <= names
    assert {"kubernetes/examples/volume", "kubernetes/examples/init-container", "kserve/base"} <= names
    assert len(VERSIONS) > 1


@by_name("folder", folders())
def test_it_is_valid_in_every_version(folder: Path) -> None:
    manifests = render(folder)
    assert manifests
    found = [
        f"Kubernetes {version}, {manifest['kind']}: {problem}"
        for version in VERSIONS
        for manifest in manifests
        for problem in problems(manifest, version)
    ]
    assert not found


def test_the_pod_that_fills_a_volume_is_valid() -> None:
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
def test_a_broken_manifest_is_caught(case: str, version: str) -> None:
    kind, break_it = BROKEN[case]
    manifest = copy.deepcopy(only(render(KSERVE if kind == "InferenceService" else COMPLETE), kind))
    assert not problems(manifest, version)
    break_it(manifest)
    assert problems(manifest, version)


@by_name("folder", KUBERNETES)
def test_every_selector_finds_the_pods_and_names_lead_somewhere(folder: Path) -> None:
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
        assert container["image"].startswith("registry.example.com/")  # not one that an overlay forgot to name


def test_names_are_asked_of_the_clusters_own_servers() -> None:
    """kustomize's includeSelectors would put our label on that selector too, and cut the pods off."""
    [rule] = only(render(CPU), "NetworkPolicy")["spec"]["egress"]
    assert rule["to"][0]["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}


def test_ports_probes_and_services_speak_of_the_same() -> None:
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
def test_a_pod_has_the_time_to_drain(folder: Path) -> None:
    for manifest in [m for m in render(folder) if m["kind"] in ("Deployment", "InferenceService")]:
        spec = pod_template(manifest)["spec"]
        [container] = spec["containers"]
        env = {variable["name"]: variable["value"] for variable in container["env"]}
        first, *rest = container["lifecycle"]["preStop"]["exec"]["command"]
        assert first == "sleep"
        assert spec["terminationGracePeriodSeconds"] >= int(rest[0]) + int(env[DRAIN]) + STOP
        startup = container["startupProbe"]
        given = int(env.get("FASTMAR_READY_TIMEOUT", "120"))  # by itself the server then ends, and says why
        assert startup["periodSeconds"] * startup["failureThreshold"] > given


@by_name("folder", folders())
def test_no_variable_of_a_service_reaches_the_server(folder: Path) -> None:
    """A Service of the name fastmar would set FASTMAR_PORT=tcp://..., and that is an option of `fastmar serve`."""
    for manifest in [m for m in render(folder) if m["kind"] in ("Deployment", "InferenceService")]:
        assert pod_template(manifest)["spec"]["enableServiceLinks"] is False


@by_name("folder", [folder for folder in KUBERNETES if folder.name != "without-key"])
def test_callers_need_a_key_from_a_file_that_only_the_server_reads(folder: Path) -> None:
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
    assert not [m for m in manifests if m["kind"] == "Secret"]  # none in a file


def test_the_key_can_be_turned_off() -> None:
    spec = pod_template(only(render(DEPLOY / "kubernetes/overlays/without-key"), "Deployment"))["spec"]
    [container] = spec["containers"]
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    assert env["FASTMAR_TOKEN"] == "no"
    assert "FASTMAR_KEY_FILE" not in env
    assert "key" not in {each["name"] for each in [*container["volumeMounts"], *spec["volumes"]]}


GIBIBYTES = {"Gi": 1.0, "Mi": 2.0**-10}


@by_name("folder", KUBERNETES)
def test_ephemeral_storage_is_limited_and_holds_the_volumes_on_disk(folder: Path) -> None:
    spec = pod_template(only(render(folder), "Deployment"))["spec"]
    volumes = [volume["emptyDir"] for volume in spec["volumes"] if "emptyDir" in volume]
    on_disk = [volume["sizeLimit"] for volume in volumes if volume.get("medium") != "Memory"]
    [container] = spec["containers"]
    limit = container["resources"]["limits"]["ephemeral-storage"]
    assert container["resources"]["requests"]["ephemeral-storage"]
    assert sum(map(gibibytes, on_disk)) < gibibytes(limit)


def gibibytes(quantity: str) -> float:
    return int(quantity[:-2]) * GIBIBYTES[quantity[-2:]]


def test_a_graphics_card_is_asked_for_and_the_autoscaler_gone() -> None:
    manifests = render(DEPLOY / "kubernetes/overlays/gpu")
    [container] = pod_template(only(manifests, "Deployment"))["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert container["resources"]["limits"]["memory"]  # the base's limits are still there
    assert "HorizontalPodAutoscaler" not in {manifest["kind"] for manifest in manifests}


# What a Knative Service takes: Knative's published field masks (pkg/apis/serving/fieldmask.go), with its own defaults.
KNATIVE_POD = {"containers", "volumes", "serviceAccountName", "imagePullSecrets", "enableServiceLinks"}
KNATIVE_REFUSES = {"lifecycle", "stdin", "stdinOnce", "tty", "volumeDevices"}


def test_knative_is_told_nothing_that_it_refuses() -> None:
    predictor = only(render(DEPLOY / "kserve/knative"), "InferenceService")["spec"]["predictor"]
    of_kserve = {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "timeout"}
    assert set(predictor) <= KNATIVE_POD | of_kserve
    assert not set(predictor["containers"][0]) & KNATIVE_REFUSES
    refused = set(only(render(KSERVE), "InferenceService")["spec"]["predictor"]["containers"][0]) & KNATIVE_REFUSES
    assert refused == {"lifecycle"}  # the others have something to be told apart by
    assert predictor["minReplicas"] == 0, "it says that it scales to none"
