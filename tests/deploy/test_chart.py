"""The Helm chart: Helm itself creates from it what kustomize renders."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.helm import Helm, HelmFailed
from tests.deploy.manifests import DEPLOY, Manifest, render

OVERLAYS = sorted(path.name for path in (DEPLOY / "kubernetes/overlays").iterdir())
IMAGE = "registry.example.com/flights:1.0"


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    render(DEPLOY / "kubernetes/overlays/cpu")  # skips without kubectl
    folder = tmp_path_factory.mktemp("chart") / "fastmar"
    runpy.run_path(str(DEPLOY / "helm/make_chart.py"))["main"](folder)
    return folder


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    return Helm(tmp_path / "kubeconfig")


def without_marks_of_helm(manifest: Manifest) -> Manifest:
    """The manifest without what Helm adds to each object."""
    metadata = dict(manifest["metadata"])
    labels = {key: text for key, text in metadata.get("labels", {}).items() if key != "app.kubernetes.io/managed-by"}
    annotations = {
        key: text for key, text in metadata.get("annotations", {}).items() if not key.startswith("meta.helm.sh/")
    }
    for name, kept in (("labels", labels), ("annotations", annotations)):
        metadata.pop(name, None)
        if kept:
            metadata[name] = kept
    if metadata.get("namespace") == "models":
        del metadata["namespace"]
    return manifest | {"metadata": metadata}


def by_kind(manifests: list[Manifest]) -> dict[str, Manifest]:
    return {manifest["kind"]: without_marks_of_helm(manifest) for manifest in manifests}


def container(manifests: list[Manifest]) -> Any:
    return by_kind(manifests)["Deployment"]["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_installs_what_kustomize_renders(chart: Path, helm: Helm, overlay: str) -> None:
    expected = render(DEPLOY / "kubernetes/overlays" / overlay)
    created = helm.install(chart, {"overlay": overlay, "image": container(expected)["image"]})
    assert by_kind(created) == by_kind(expected)
    assert len(created) == len(expected)


def test_values_replace_what_the_overlay_has(chart: Path, helm: Helm) -> None:
    resources = {"requests": {"cpu": "3", "memory": "1Gi"}}
    workers = {"name": "FASTMAR_WORKERS", "value": "3"}
    created = helm.install(
        chart,
        {
            "image": "registry.example.com/other@sha256:0",
            "resources": resources,
            "env": [workers],
            "minReplicas": 4,
            "maxReplicas": 5,
            "keySecret": "other-key",
        },
    )
    found = container(created)
    assert found["image"] == "registry.example.com/other@sha256:0"
    assert found["resources"] == resources
    assert found["env"] == [*container(render(DEPLOY / "kubernetes/overlays/cpu"))["env"], workers]
    scaler = by_kind(created)["HorizontalPodAutoscaler"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (4, 5)
    volumes = by_kind(created)["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert [volume["secret"]["secretName"] for volume in volumes if "secret" in volume] == ["other-key"]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "image: the image that contains your archives"),
        ({"image": IMAGE, "overlay": "tpu"}, "/overlay"),
        ({"image": IMAGE, "minReplicas": 0}, "/minReplicas"),
        ({"image": IMAGE, "replicas": 2}, "'replicas'"),
    ],
)
def test_wrong_values_are_refused(chart: Path, helm: Helm, values: dict[str, Any], named: str) -> None:
    with pytest.raises(HelmFailed, match=named):
        helm.install(chart, values)


def test_lint_finds_nothing(chart: Path, helm: Helm) -> None:
    assert helm.lint(chart) == []


def test_version_is_that_of_fastmar(chart: Path) -> None:
    from fastmar_runtime import __version__

    description = yaml.safe_load((chart / "Chart.yaml").read_text("utf-8"))
    assert (description["version"], description["appVersion"]) == (__version__, __version__)
