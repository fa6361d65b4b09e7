"""Documents of a server with several models."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from fastmar_runtime.http.root_documents import root_docs, root_openapi, root_schema
from fastmar_runtime.openapi import V30, V31, openapi
from tests.openapi.models import MODELS

SPECS = [replace(spec, name=f"m-{number}.x") for number, spec in enumerate(MODELS.values())]


def merged_document(version: str, count: int | None = None) -> Any:
    return json.loads(json.dumps(root_openapi([openapi(spec, version) for spec in SPECS[:count]])))


@pytest.mark.parametrize(("version", "validator"), [(V30, OpenAPIV30SpecValidator), (V31, OpenAPIV31SpecValidator)])
def test_all_models_in_one_valid_document(version: str, validator: Any) -> None:
    document = merged_document(version)
    validator(document).validate()
    assert document["openapi"] == version
    assert len(document["paths"]) == sum(len(openapi(spec, version)["paths"]) for spec in SPECS)
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert {operation["tags"][0] for operation in operations} == {spec.name for spec in SPECS}
    schemas = document["components"]["schemas"]
    assert schemas["M0XAnswer"] != schemas["M1XAnswer"]
    assert "ErrorResponse" in schemas, "errors are the same for all models"


def test_names_do_not_depend_on_other_models() -> None:
    alone, together = merged_document(V31, 1), merged_document(V31)
    for part in ("paths", "components"):
        assert alone[part].items() <= together[part].items() or part == "components"
    assert alone["components"]["schemas"].items() <= together["components"]["schemas"].items()


def test_no_models() -> None:
    OpenAPIV31SpecValidator(merged_document(V31, 0)).validate()
    assert "predictions/" not in root_docs({})
    assert root_schema({}) == {"models": []}


def test_the_index_links_to_the_page_of_each_model() -> None:
    page = root_docs({"adult": "1.0", 'a"><script>': "<2>"})
    assert '<a href="predictions/adult/docs">adult</a> version 1.0' in page
    assert "<script" not in page
    assert "&lt;2&gt;" in page


def test_the_list_of_models() -> None:
    assert root_schema({"b": "2", "a c": "1.0"})["models"][0] == {
        "name": "a c",
        "version": "1.0",
        "predict": "/predictions/a%20c",
        "schema": "/predictions/a%20c/schema",
        "openapi.json": "/predictions/a%20c/openapi.json",
        "docs": "/predictions/a%20c/docs",
    }
