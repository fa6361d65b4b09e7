"""Generate the JSON Schemas of kinds that are not part of Kubernetes, from published packages, in `schemas/`.

    python -m venv .build/schemas
    .build/schemas/bin/pip install cloudcoil-models-prometheus-operator==0.80.1.0
    .build/schemas/bin/pip install --no-deps kserve==0.21.0
    .build/schemas/bin/python tests/deploy/make_schemas.py

ServiceMonitor comes from the Prometheus operator's CRD, as models for Python carry it. InferenceService comes from
KServe's own SDK: its generated models name each field with its type. Where they name a type of Kubernetes, the schema
points at the definitions of the Kubernetes version that is checked against. Descriptions are left out.
"""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).parent / "schemas"
DEFINITIONS = "https://kubernetes.io/api/_definitions.json#/$defs/"  # as kubernetes-validate names them
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
ELSEWHERE = {
    "V1ObjectMeta": META + "ObjectMeta",
    "V1LabelSelector": META + "LabelSelector",
    "ResourceQuantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "K8sIoApiAppsV1DeploymentStrategy": "io.k8s.api.apps.v1.DeploymentStrategy",
}
SIMPLE = {"str": "string", "int": "integer", "bool": "boolean", "float": "number"}
ANYTHING: dict[str, Any] = {}
KSERVE_ROOT = "V1beta1InferenceService"
COMMENT = "Made by tests/deploy/make_schemas.py from {}, Apache-2.0. Do not edit."


def main() -> None:
    """Write both files."""
    write("servicemonitor", "cloudcoil.models.prometheus_operator", service_monitor())
    write("inferenceservice", "kserve", inference_service())


def write(name: str, package: str, schema: dict[str, Any]) -> None:
    """Write one schema with a note of its origin."""
    source = f"{package} {importlib.metadata.version(package)}"
    text = json.dumps({"$comment": COMMENT.format(source), **schema}, indent=1, sort_keys=True)
    (SCHEMAS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def service_monitor() -> dict[str, Any]:
    """The schema of the package's models, without additional fields."""
    from cloudcoil.models.prometheus_operator.v1 import ServiceMonitor  # type: ignore[import-not-found]

    schema: dict[str, Any] = closed(ServiceMonitor.model_json_schema(by_alias=True))
    schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
    return schema


def closed(node: Any) -> Any:
    """The schema without descriptions, and without additional fields of objects."""
    if isinstance(node, list):
        return [closed(part) for part in node]
    if not isinstance(node, dict):
        return node
    kept = {name: value for name, value in node.items() if name not in ("title", "description", "default")}
    if "properties" in node:
        kept["properties"] = {name: closed(part) for name, part in node["properties"].items()}
        kept["additionalProperties"] = False
    return {name: part if name == "properties" else closed(part) for name, part in kept.items()}


def inference_service() -> dict[str, Any]:
    """Definitions of all types in an InferenceService."""
    spec = find_spec("kserve")  # found, not imported: it would need much of KServe
    assert spec is not None
    assert spec.origin is not None
    models = read_models(Path(spec.origin).parent / "models")
    models[KSERVE_ROOT][0].pop("status")  # written by KServe, never by a manifest
    definitions: dict[str, Any] = {}
    pending = [KSERVE_ROOT]
    while pending:
        name = pending.pop()
        if name in definitions:
            continue
        fields, required = models[name]
        definitions[name] = {
            "type": ["object", "null"],
            "properties": {field: of_type(text, models) for field, text in fields.items()},
            "required": required,
            "additionalProperties": False,
        }
        pending += {word for text in fields.values() for word in re.findall(r"\w+", text) if word in models}
    root = definitions[KSERVE_ROOT]
    root["required"] = ["apiVersion", "kind", "metadata", "spec"]
    root["properties"] |= {"apiVersion": {"const": "serving.kserve.io/v1beta1"}, "kind": {"const": "InferenceService"}}
    return {"$defs": definitions, "$ref": f"#/$defs/{KSERVE_ROOT}"}


def read_models(folder: Path) -> dict[str, tuple[dict[str, str], list[str]]]:
    """For each class: the types of its fields by JSON name, and the required fields."""
    models = {}
    for path in folder.glob("*.py"):
        source = path.read_text("utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef):
                tables = {t.id: ast.literal_eval(s.value) for s in node.body for t in assigned(s) if t.id in TABLES}
                if len(tables) == len(TABLES):
                    types, names = (tables[table] for table in TABLES)
                    required = re.findall(r"Invalid value for `(\w+)`, must not be `None`", source)
                    models[node.name] = (
                        {names[field]: text for field, text in types.items()},
                        sorted({names[field] for field in required}),
                    )
    return models


TABLES = ("openapi_types", "attribute_map")


def assigned(statement: ast.stmt) -> list[ast.Name]:
    """The names that an assignment in a class body binds."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return [target for target in targets if isinstance(target, ast.Name)]


def of_type(text: str, models: dict[str, Any]) -> dict[str, Any]:
    """A schema for a type as the models write it: `str`, `list[V1Container]`, `dict(str, str)`, `V1beta1Batcher`."""
    if match := re.fullmatch(r"list\[(.+)\]", text):
        return {"type": ["array", "null"], "items": of_type(match[1], models)}
    if match := re.fullmatch(r"dict\(str, (.+)\)", text):
        return {"type": ["object", "null"], "additionalProperties": of_type(match[1], models)}
    if text in SIMPLE:
        return {"type": [SIMPLE[text], "null"]}
    if text in models:
        return {"$ref": f"#/$defs/{text}"}
    if text in ELSEWHERE:
        return {"$ref": DEFINITIONS + ELSEWHERE[text]}
    if match := re.fullmatch(r"V1([A-Z]\w+)", text):
        return {"$ref": f"{DEFINITIONS}io.k8s.api.core.v1.{match[1]}"}
    return ANYTHING


if __name__ == "__main__":
    main()
