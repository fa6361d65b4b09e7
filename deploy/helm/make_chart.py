"""Writes the Helm chart to .build/chart/fastmar: the rendered kustomize overlays, with expressions for the values.

    python deploy/helm/make_chart.py [FOLDER]

The chart has no manifests of its own, so that it can't differ from `kubectl apply --kustomize`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/chart"
OVERLAYS = ROOT / "deploy/kubernetes/overlays"
NO_IMAGE = "image: the image that contains your archives, such as registry.example.com/flights:1.0"

Manifest = dict[str, Any]


class Expressions:
    """Expressions of Helm, and the marks that stand for them in YAML: YAML would quote the expressions themselves."""

    def __init__(self) -> None:
        self._all: list[str] = []

    def mark(self, expression: str) -> str:
        """A mark for an expression."""
        self._all.append(expression)
        return f"expression-{len(self._all) - 1}-end"

    def fill(self, text: str) -> str:
        """Replace the marks in `text` by their expressions."""
        for number, expression in enumerate(self._all):
            text = text.replace(f"expression-{number}-end", f"{{{{ {expression} }}}}")
        return text


def template(overlay: str, manifests: list[Manifest]) -> str:
    """The template of an overlay: its manifests, which are rendered if the value `overlay` names it."""
    expressions = Expressions()
    for manifest in manifests:
        insert_values(manifest, expressions.mark)
    text = expressions.fill(yaml.safe_dump_all(manifests, sort_keys=False, width=1000))
    return f'{{{{- if eq .Values.overlay "{overlay}" }}}}\n{text}{{{{- end }}}}\n'


def insert_values(manifest: Manifest, mark: Callable[[str], str]) -> None:
    """Replace what values.yaml can set; the manifest's own content is the default."""
    spec = manifest.get("spec", {})
    if manifest["kind"] == "HorizontalPodAutoscaler":
        spec["minReplicas"] = mark(f".Values.minReplicas | default {spec['minReplicas']}")
        spec["maxReplicas"] = mark(f".Values.maxReplicas | default {spec['maxReplicas']}")
    if manifest["kind"] != "Deployment":
        return
    if "replicas" in spec:
        spec["replicas"] = mark(f".Values.minReplicas | default {spec['replicas']}")
    pod = spec["template"]["spec"]
    for container in pod["containers"]:
        container["image"] = mark(f'required "{NO_IMAGE}" .Values.image | quote')
        container["resources"] = mark(f".Values.resources | default ({_constant(container['resources'])}) | toJson")
        container["env"] = mark(f"concat ({_constant(container['env'])}).list .Values.env | toJson")
    for volume in pod["volumes"]:
        if "secret" in volume:
            volume["secret"]["secretName"] = mark(".Values.keySecret | quote")


def _constant(value: Any) -> str:
    """An expression for a constant; that of a list has it as `list`."""
    return f"fromJson {json.dumps(json.dumps({'list': value} if isinstance(value, list) else value))}"


def rendered(overlay: Path) -> Iterator[Manifest]:
    """The manifests of an overlay."""
    beside = shutil.which("kubectl", path=Path(sys.executable).parent)
    command = [beside or "kubectl", "kustomize", overlay]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed arguments
    if done.returncode:
        raise SystemExit(f"{overlay} can't be rendered: {done.stderr}")
    yield from yaml.safe_load_all(done.stdout)


def main(folder: Path) -> None:
    """Write the chart to `folder`, which is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(CHART, folder)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    description = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    description |= {"version": version, "appVersion": version}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(description, sort_keys=False), "utf-8")
    for overlay in sorted(path for path in OVERLAYS.iterdir() if path.is_dir()):
        text = template(overlay.name, list(rendered(overlay)))
        (folder / "templates" / f"{overlay.name}.yaml").write_text(text, "utf-8")
    print(f"{folder}: install it with helm install fastmar {folder} --set image=REGISTRY/NAME:TAG")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".build/chart/fastmar")
