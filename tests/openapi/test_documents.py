"""OpenAPI documents: valid in both versions, consistent with answers, simple enough for client generators."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from fastmar_runtime import payload
from fastmar_runtime.documents import documents
from fastmar_runtime.openapi import V30, V31, openapi
from fastmar_runtime.openapi_schemas import declarable, example_record
from fastmar_runtime.operations.kinds import options
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.schema_parts import comment_safe
from fastmar_runtime.spec import Spec
from tests.openapi.models import HOSTILE_NAMES, MODELS, PICTURES, USUAL_NAMES
from tests.runtime import tiny, tiny_pictures, tiny_ratings

VALIDATORS = {V30: OpenAPIV30SpecValidator, V31: OpenAPIV31SpecValidator}
each_model = pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
each_version = pytest.mark.parametrize("version", VALIDATORS)


def document(spec: Spec, version: str = V31) -> Any:
    """The document as a caller reads it."""
    return json.loads(json.dumps(openapi(spec, version)))


def violations(schema_name: str, spec: Spec, value: Any) -> list[str]:
    """Violations of a component schema by a value."""
    schema = {"$ref": f"#/components/schemas/{schema_name}", "components": document(spec)["components"]}
    value = json.loads(payload.orjson.dumps(value))
    return [error.message for error in Draft202012Validator(schema).iter_errors(value)]


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """All objects of a document, except in extensions (`x-`) and examples."""
    if isinstance(node, list):
        for value in node:
            yield from nodes(value)
    elif isinstance(node, dict):
        yield node
        for key, value in node.items():
            if not key.startswith("x-") and key != "example":
                yield from nodes(value)


@each_version
@each_model
def test_documents_are_valid(spec: Spec, version: str) -> None:
    written = document(spec, version)
    assert written["openapi"] == version
    VALIDATORS[version](written).validate()


@each_version
@each_model
def test_no_schema_that_generators_mistranslate(spec: Spec, version: str) -> None:
    for node in nodes(document(spec, version)):
        assert not {"oneOf", "anyOf", "allOf", "not", "patternProperties", "propertyNames", "const"} & {
            key for key, value in node.items() if isinstance(value, list)
        }
        if isinstance(node.get("type"), list):
            assert len(node["type"]) == 2
            assert node["type"][1] == "null"


@each_model
def test_every_path_has_one_kind_of_body(spec: Spec) -> None:
    for item in document(spec)["paths"].values():
        for operation in item.values():
            assert len(operation.get("requestBody", {"content": {"": 0}})["content"]) == 1
            assert list(operation["responses"]["200"]["content"]) == ["application/json"]
            assert {"400", "401", "404", "413", "503"} <= operation["responses"].keys()


@each_model
def test_paths_servers_and_key(spec: Spec) -> None:
    written = document(spec)
    own = [*options(spec), *(["predict_file"] if spec.kind == "vision" else [])]
    assert set(written["paths"]) == {
        f"/predictions/{spec.name}",
        f"/predictions/{spec.name}/1.0",
        f"/v1/models/{spec.name}:predict",
        *(f"/v2/models/{spec.name}{version}{path}" for version in ("", "/versions/1.0") for path in ("", "/infer")),
        *(f"/models/{spec.name}{version}/{name}" for version in ("", "/versions/1.0") for name in own),
    }
    assert written["servers"][0]["url"] == "/"
    assert {} in written["security"], "a server may need no key"
    key = written["components"]["securitySchemes"]["bearerKey"]
    assert (key["type"], key["scheme"]) == ("http", "bearer")
    names = [operation["operationId"] for item in written["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names)) == len(written["paths"])
    without = {name for name in names if not name.endswith("_version")} - {"predict_many"}
    assert set(names) == without | {f"{name}_version" for name in without} | {"predict_many"}


@each_version
def test_labels_are_keys_of_a_map(version: str) -> None:
    answer = document(tiny.spec(), version)["components"]["schemas"]["Answer"]
    assert answer["properties"]["probabilities"] == {
        "type": "object",
        "description": ANY,
        "additionalProperties": {"type": "number", "format": "double"},
        "x-labels": ["<50k", ">=50k"],
    }
    assert answer["properties"]["prediction"]["type"] == "string"


def model_of(spec: Spec) -> Predictor:
    if spec.kind == "vision":
        masks = spec.decode["decoder"] == "segmentation"
        weights = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]] if spec.decode["decoder"] == "points" else None
        network = tiny_pictures.mask_graph() if masks else tiny_pictures.graph(*([weights] if weights else []))
        return Predictor(spec, network)
    if spec.recommender is not None:
        return Predictor(spec, tiny_ratings.graph())
    return Predictor(spec, tiny.graph(tiny.weights_for(spec)))


ANSWERED = [name for name in MODELS if name not in ("date", "120 labels", "mixed", "hostile")]


@pytest.mark.parametrize("name", ANSWERED)
def test_examples_are_answered_and_match_their_schemas(name: str) -> None:
    spec = MODELS[name]
    record = example_record(spec)
    assert violations("InputRecord", spec, record) == []
    [answer] = model_of(spec).predict([record])
    assert "error" not in answer
    assert violations("Answer", spec, answer) == []
    assert violations("ResultList", spec, {"predictions": [answer]}) == []
    assert violations("Answer", spec, {}) != []


@pytest.mark.parametrize("name", ANSWERED)
def test_errors_match_their_schema(name: str) -> None:
    spec = MODELS[name]
    for refused in model_of(spec).predict([None, {}, {"image": "no picture", "name": "a"}]):
        assert violations("ErrorResponse", spec, refused) == []
        assert violations("ResultList", spec, {"predictions": [refused]}) == []
    assert violations("ErrorResponse", spec, {"error": "text"}) != []


@pytest.mark.parametrize("name", ANSWERED)
def test_tensors_of_the_example_are_answered(name: str) -> None:
    spec = MODELS[name]
    content = document(spec)["paths"][f"/v2/models/{spec.name}/infer"]["post"]["requestBody"]["content"]
    example = content["application/json"]["example"]
    assert violations("InferRequest", spec, example) == []
    request = payload.read(json.dumps(example).encode(), "application/json", spec)
    response = payload.write(request, model_of(spec).predict(request.records), spec)
    assert response.status == 200
    assert violations("InferResponse", spec, json.loads(response.body)) == []


def test_the_example_of_the_schema_takes_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastmar_runtime import record_schemas

    monkeypatch.setattr(record_schemas, "record_schema", lambda spec: {"examples": [{"age": 17}]})
    assert example_record(tiny.spec()) == {"age": 17}


class TestColumns:
    def test_usual_names_are_declarable(self) -> None:
        assert declarable(list(USUAL_NAMES))

    @pytest.mark.parametrize(
        "names",
        [
            ["a-b", "a_b"],
            ["Age", "age"],
            ["日本語"],
            [""],
            ["*/"],
            ['a"b'],
            ["a\nb"],
            ["a\\b"],
            ["to_dict"],
            ["_"],
            ["$x"],
        ],
    )
    def test_names_that_are_not_declarable(self, names: list[str]) -> None:
        assert declarable(["other"])
        assert not declarable([*names, "other"])

    def test_a_name_may_not_be_a_method_of_another(self) -> None:
        assert declarable(["has_garage", "set_up"])
        assert not declarable(["garage", "has_garage", "set_up"])

    @each_version
    def test_a_record_with_undeclarable_names_is_a_map(self, version: str) -> None:
        spec = MODELS["hostile"]
        record = document(spec, version)["components"]["schemas"]["InputRecord"]
        assert (record["type"], record["additionalProperties"]) == ("object", True)
        assert not {"properties", "required"} & record.keys()
        assert list(record["x-columns"]) == list(HOSTILE_NAMES)
        assert record["x-columns"]["a-b"]["kind"] in ("number", "category")

    def test_no_example_with_a_column_named_ref(self) -> None:
        """Tools resolve it as a reference, even in an example."""
        fields = (tiny.Field("$ref", "number", default=1.0),)
        assert '"example"' not in json.dumps(document(tiny.spec(fields=fields)))
        assert '"example"' in json.dumps(document(tiny.spec()))

    def test_a_column_has_one_type(self) -> None:
        def types(version: str, name: str) -> Any:
            columns = document(MODELS[name], version)["components"]["schemas"]["InputRecord"]["properties"]
            return {key: (column.get("type"), column.get("nullable")) for key, column in columns.items()}

        assert types(V31, "category") == {
            "workclass": (["string", "null"], None),
            "grade": (["integer", "null"], None),
            "vip": (["boolean", "null"], None),
            "age": (["number", "null"], None),
            "hours": ("number", None),
        }
        assert types(V30, "mixed") == {
            "any": (None, True),
            "half": ("number", True),
            "day": ("string", True),
            "empty": ("string", True),
        }

    def test_columns_with_names_of_keywords(self) -> None:
        for version, expected in ((V30, "number"), (V31, ["number", "null"])):
            fields = tuple(tiny.Field(name, "number") for name in ("nullable", "example", "items", "properties"))
            columns = document(tiny.spec(fields=fields), version)["components"]["schemas"]["InputRecord"]["properties"]
            assert [column["type"] for column in columns.values()] == [expected] * 4

    @settings(max_examples=15)  # a validation takes a quarter of a second
    @given(st.lists(st.text(max_size=8), unique=True, max_size=12))
    def test_any_columns_make_a_valid_document(self, names: list[str]) -> None:
        spec = tiny.spec(fields=tuple(tiny.Field(name, "number", default=0.0) for name in names))
        for version, validator in VALIDATORS.items():
            validator(document(spec, version)).validate()
        assert violations("InputRecord", spec, example_record(spec)) == []


@each_model
def test_no_text_ends_a_comment_of_generated_code(spec: Spec) -> None:
    for node in nodes(document(spec)):
        for key in ("description", "summary", "title"):
            if isinstance(text := node.get(key), str):
                assert not re.search(r'\*/|/\*|\\|"""|[\x00-\x1f\u2028\u2029]', text), text


@given(st.text(alphabet='*/\\"\n\u2028ab', max_size=20))
def test_comment_safe_text(text: str) -> None:
    assert not re.search(r'\*/|/\*|\\|"|\n|\u2028', comment_safe(text))


@each_model
def test_all_documents_are_made(spec: Spec) -> None:
    written = documents(spec)
    assert set(written) == {"schema", "openapi.json", "openapi", "openapi-3.0.json", "docs"}
    for name, (media_type, body) in written.items():
        if name == "docs":
            assert media_type == "text/html; charset=utf-8"
        else:
            assert media_type == "application/json"
            json.loads(body)
    assert json.loads(written["openapi-3.0.json"][1])["openapi"] == "3.0.3"


def test_picture_models_accept_files_in_a_form() -> None:
    for name, spec in PICTURES.items():
        content = document(spec)["paths"]["/models/colours/predict_file"]["post"]["requestBody"]["content"]
        parts = content["multipart/form-data"]["schema"]["properties"]
        assert set(parts) == ({"image", "mask_size"} if name == "mask" else {"image"})
