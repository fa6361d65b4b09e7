"""checkov's security policies hold for the pods, and fail for copies with weaker settings.

Its settings, and why some of its checks are left out, are in deploy/checkov.yaml.
"""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import APPLIED, DEPLOY, FILL, Manifest, file_of, only, pod_template, render

IN_BUILD = DEPLOY.parent / ".build/checkov/bin"  # in a separate environment, since checkov pins many packages
OVERLAY = DEPLOY / "kubernetes/overlays/cpu"

Opened = dict[str, tuple[str, Callable[[Manifest], Any]]]
# Changes of a pod's specification, with the check that must detect them.
OPENED: Opened = {
    "root is allowed": ("CKV_K8S_23", lambda pod: pod.update(securityContext={"runAsNonRoot": False, "runAsUser": 0})),
    "a user of the node's": ("CKV_K8S_40", lambda pod: pod["securityContext"].update(runAsUser=1000)),
    "no seccomp profile": ("CKV_K8S_31", lambda pod: pod["securityContext"].pop("seccompProfile")),
    "the node's network": ("CKV_K8S_19", lambda pod: pod.update(hostNetwork=True)),
    "the node's processes": ("CKV_K8S_17", lambda pod: pod.update(hostPID=True)),
    "an account's token": ("CKV_K8S_38", lambda pod: pod.update(automountServiceAccountToken=True)),
    "a root file system to write to": ("CKV_K8S_22", lambda pod: closed_in(pod).update(readOnlyRootFilesystem=False)),
    "a way to more rights": ("CKV_K8S_20", lambda pod: closed_in(pod).update(allowPrivilegeEscalation=True)),
    "all rights": ("CKV_K8S_16", lambda pod: closed_in(pod).update(privileged=True)),
    "capabilities kept": ("CKV_K8S_37", lambda pod: closed_in(pod).pop("capabilities")),
    "no limit of memory": ("CKV_K8S_13", lambda pod: pod["containers"][0]["resources"]["limits"].pop("memory")),
    "no readiness": ("CKV_K8S_9", lambda pod: pod["containers"][0].pop("readinessProbe")),
    "no liveness": ("CKV_K8S_8", lambda pod: pod["containers"][0].pop("livenessProbe")),
    "any image": ("CKV_K8S_14", lambda pod: pod["containers"][0].update(image="registry.example.com/flights:latest")),
    "a key in the environment": ("CKV_K8S_35", lambda pod: pod["containers"][0]["env"].append(KEY_IN_ENVIRONMENT)),
}
KEY_IN_ENVIRONMENT = {"name": "FASTMAR_KEY", "valueFrom": {"secretKeyRef": {"name": "fastmar-key", "key": "key"}}}


def closed_in(pod: Manifest) -> Manifest:
    """The security settings of the first container."""
    settings: Manifest = pod["containers"][0]["securityContext"]
    return settings


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The failed checks by file. One run for all files, since its start is slow."""
    checkov = shutil.which("checkov", path=IN_BUILD) or shutil.which("checkov")
    if checkov is None:
        pytest.skip("no checkov: `make manifests` installs it")
    folder = tmp_path_factory.mktemp("rendered")
    for overlay in APPLIED:
        write(folder / file_of(overlay), [as_pod(manifest) for manifest in render(overlay)])
    shutil.copy(FILL, folder / "fill.yaml")
    for case, (_, open_it) in OPENED.items():
        manifests = copy.deepcopy(render(OVERLAY))
        open_it(only(manifests, "Deployment")["spec"]["template"]["spec"])
        write(folder / f"{case}.yaml", manifests)
    command = [checkov, "--directory", folder, "--config-file", DEPLOY / "checkov.yaml", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 100
    found: dict[str, set[str]] = {path.name: set() for path in folder.iterdir()}
    for check in report["results"]["failed_checks"]:
        found[Path(check["file_path"]).name].add(check["check_id"])
    return found


def write(path: Path, manifests: list[Manifest]) -> None:
    path.write_text(yaml.safe_dump_all(manifests), encoding="utf-8")


def as_pod(manifest: Manifest) -> Manifest:
    """The pod of an InferenceService, since checkov does not know that kind; other manifests unchanged."""
    if manifest["kind"] != "InferenceService":
        return manifest
    return {"apiVersion": "v1", "kind": "Pod", **pod_template(manifest)}


# What is the cluster's to give to a pod that KServe makes, or Knative: no manifest of ours could.
NOT_OURS = {
    # A NetworkPolicy: the gateway and KServe's own parts come from namespaces of their own. A security context of the
    # pod: it would bind KServe's storage initializer too; the container has all of it.
    "kserve": {"CKV2_K8S_6", "CKV_K8S_29"},
    "knative": {"CKV_K8S_38"},  # the account's token: Knative has no field for it; the account decides
}


@pytest.mark.parametrize("overlay", APPLIED, ids=file_of)
def test_policies_hold(failed: dict[str, set[str]], overlay: Path) -> None:
    excused = set().union(*(checks for part, checks in NOT_OURS.items() if part in overlay.relative_to(DEPLOY).parts))
    assert failed[file_of(overlay)] <= excused


def test_policies_hold_for_the_pod_that_fills_a_volume(failed: dict[str, set[str]]) -> None:
    assert not failed["fill.yaml"]


@pytest.mark.parametrize("case", OPENED)
def test_detects_weaker_settings(failed: dict[str, set[str]], case: str) -> None:
    assert OPENED[case][0] in failed[f"{case}.yaml"]
