"""The protocols that KServe documents for predictors: v1, and v2, the Open Inference Protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from fastmar_runtime.predictor import BundleFiles
from fastmar_serving.testing import RunningServer
from tests.engines.conftest import TABLES
from tests.engines.test_http import TIMEOUT, assert_close, post

UNKNOWN = "nothing-of-that-name"


@pytest.fixture(scope="module")
def golden(store: Path) -> tuple[list[Any], list[Any]]:
    """Golden records of the table model and their answers."""
    files = BundleFiles(store / f"{TABLES}.mar")
    return files.json("golden/records.json"), files.json("golden/answers.json")


def get(server: RunningServer, path: str) -> requests.Response:
    return requests.get(f"{server.url}{path}", timeout=TIMEOUT)


# Protocol v1: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol


def test_v1_list_of_models_and_readiness(server: RunningServer) -> None:
    assert TABLES in get(server, "/v1/models").json()["models"]
    response = get(server, f"/v1/models/{TABLES}")
    assert (response.status_code, response.json()) == (200, {"name": TABLES, "ready": True})
    assert get(server, f"/v1/models/{UNKNOWN}").status_code == 404


def test_v1_predicts(server: RunningServer, golden: Any) -> None:
    records, answers = golden
    response = post(f"{server.url}/v1/models/{TABLES}:predict", {"instances": records})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert_close(response.json()["predictions"], answers)


def test_v1_one_instance_and_none(server: RunningServer, golden: Any) -> None:
    url = f"{server.url}/v1/models/{TABLES}:predict"
    assert_close(post(url, {"instances": golden[0][:1]}).json()["predictions"], golden[1][:1])
    assert post(url, {"instances": []}).json() == {"predictions": []}


def test_v1_one_invalid_instance_is_refused(server: RunningServer, golden: Any) -> None:
    records, answers = golden
    response = post(f"{server.url}/v1/models/{TABLES}:predict", {"instances": [records[0], {}, records[1]]})
    first, refused, last = response.json()["predictions"]
    assert response.status_code == 200
    assert_close([first, last], answers[:2])
    assert refused["error"]["fix"]


def test_v1_refuses_invalid_requests_with_a_fix(server: RunningServer) -> None:
    url = f"{server.url}/v1/models/{TABLES}:predict"
    for body in ("{", {"instances": "x"}):
        response = post(url, body)
        assert response.status_code == 400
        assert response.json()["error"]["fix"]
    response = post(url, {"inputs": [{"age": 1}]})  # of protocol v2, whose errors are text
    assert response.status_code == 400
    assert "Fix: " in response.json()["error"]
    assert post(f"{server.url}/v1/models/{UNKNOWN}:predict", {"instances": []}).status_code == 404


TEXT, NUMBERS = {"type": "string"}, {"type": "array", "items": {"type": "integer", "minimum": 0}}
OUTPUT = {
    "type": "object",
    "properties": {
        "name": TEXT,
        "shape": NUMBERS,
        "datatype": {"enum": ["BOOL", "INT32", "INT64", "FP32", "FP64", "BYTES"]},
        "parameters": {"type": "object"},
        "data": {"type": "array"},
    },
    "required": ["name", "shape", "datatype", "data"],
    "additionalProperties": False,
}
INFERENCE_RESPONSE = {
    "type": "object",
    "properties": {
        "model_name": TEXT,
        "model_version": TEXT,
        "id": TEXT,
        "parameters": {"type": "object"},
        "outputs": {"type": "array", "items": OUTPUT, "minItems": 1},
    },
    "required": ["model_name", "outputs"],
    "additionalProperties": False,
}
ERROR_RESPONSE = {"type": "object", "properties": {"error": TEXT}, "required": ["error"]}
TENSOR = {
    "type": "object",
    "properties": {"name": TEXT, "datatype": TEXT, "shape": {"type": "array", "items": {"type": "integer"}}},
    "required": ["name", "datatype", "shape"],
}
MODEL_METADATA = {
    "type": "object",
    "properties": {
        "name": {"const": TABLES},
        "versions": {"type": "array", "items": TEXT},
        "platform": TEXT,
        "inputs": {"type": "array", "items": TENSOR, "minItems": 1},
        "outputs": {"type": "array", "items": TENSOR, "minItems": 1},
    },
    "required": ["name", "platform", "inputs", "outputs"],
}
SERVER_METADATA = {
    "type": "object",
    "properties": {"name": TEXT, "version": TEXT, "extensions": {"type": "array", "items": TEXT}},
    "required": ["name", "version", "extensions"],
}


def assert_is(schema: Any, body: Any) -> None:
    Draft202012Validator(schema).validate(body)


def tensors(records: list[Any]) -> list[dict[str, Any]]:
    """One input for each column, with one value for each record."""
    return [
        {"name": name, "shape": [len(records)], "datatype": "BYTES", "data": [record[name] for record in records]}
        for name in records[0]
    ]


# Protocol v2: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol


def test_v2_health(server: RunningServer) -> None:
    assert get(server, "/v2/health/live").json() == {"live": True}
    assert get(server, "/v2/health/ready").json() == {"ready": True}
    assert get(server, f"/v2/models/{TABLES}/ready").json() == {"name": TABLES, "ready": True}
    assert get(server, f"/v2/models/{UNKNOWN}/ready").status_code == 404


def test_v2_infers(server: RunningServer, golden: Any) -> None:
    records, answers = golden
    response = post(f"{server.url}/v2/models/{TABLES}/infer", {"id": "42", "inputs": tensors(records)})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert_is(INFERENCE_RESPONSE, response.json())
    assert response.json()["id"] == "42"
    assert response.json()["model_name"] == TABLES
    outputs = {output["name"]: output for output in response.json()["outputs"]}
    assert outputs["prediction"]["data"] == [answer["prediction"] for answer in answers]
    rows, width = outputs["probabilities"]["shape"]
    assert rows == len(records)
    expected = [p for answer in answers for p in answer["probabilities"].values()]
    assert outputs["probabilities"]["data"] == pytest.approx(expected, abs=1e-5)
    assert outputs["probabilities"]["parameters"]["labels"].split(";") == list(answers[0]["probabilities"])[:width]


def test_v2_optional_members_and_column_tensors(server: RunningServer, golden: Any) -> None:
    records, answers = golden
    inputs = tensors(records[:2])
    for tensor in inputs:
        tensor |= {"shape": [2, 1], "data": [[value] for value in tensor["data"]], "parameters": {}}
    body = {"inputs": inputs, "parameters": {"priority": 1}, "outputs": [{"name": "prediction"}]}
    response = post(f"{server.url}/v2/models/{TABLES}/infer", body)
    assert_is(INFERENCE_RESPONSE, response.json())
    assert response.json()["outputs"][0]["data"] == [answer["prediction"] for answer in answers[:2]]


def test_v2_errors_are_strings(server: RunningServer, golden: Any) -> None:
    short = tensors(golden[0][:1])[:1]
    response = post(f"{server.url}/v2/models/{TABLES}/infer", {"inputs": short})
    assert response.status_code == 400
    assert_is(ERROR_RESPONSE, response.json())
    assert post(f"{server.url}/v2/models/{UNKNOWN}/infer", {"inputs": short}).status_code == 404


@pytest.mark.parametrize("body", ["{", {"inputs": "x"}, '{"inputs":[', ""])
def test_case_v2_error_not_a_string(server: RunningServer, body: Any) -> None:
    reply = post(f"{server.url}/v2/models/{TABLES}/infer", body)
    assert reply.status_code == 400
    assert "Fix: " in reply.json()["error"]


def test_v2_server_metadata(server: RunningServer) -> None:
    assert_is(SERVER_METADATA, get(server, "/v2").json())


def test_v2_model_metadata(server: RunningServer) -> None:
    assert_is(MODEL_METADATA, get(server, f"/v2/models/{TABLES}").json())


def test_v2_infer_with_a_version(server: RunningServer, golden: Any) -> None:
    url = f"{server.url}/v2/models/{TABLES}/versions/1.0/infer"
    assert_is(INFERENCE_RESPONSE, post(url, {"inputs": tensors(golden[0])}).json())


def test_v1_explain_is_not_supported(server: RunningServer, golden: Any) -> None:
    assert post(f"{server.url}/v1/models/{TABLES}:explain", {"instances": golden[0]}).status_code >= 400
