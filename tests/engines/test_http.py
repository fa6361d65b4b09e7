"""Requests in all formats to a real server."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from fastmar_runtime.predictor import BundleFiles, Predictor
from fastmar_runtime.service import MAX_RECORDS
from fastmar_serving.testing import RunningServer
from tests.engines import workers
from tests.engines.conftest import TABLES

TOLERANCE = 1e-5  # of a probability, against fastai
TIMEOUT = 60


@pytest.fixture(scope="module")
def table_model(server: RunningServer, store: Path) -> tuple[str, list[Any], list[Any]]:
    """URL, golden records and their answers of the table model."""
    files = BundleFiles(store / f"{TABLES}.mar")
    return f"{server.url}/predictions/{TABLES}", files.json("golden/records.json"), files.json("golden/answers.json")


def post(url: str, body: Any, content_type: str = "application/json") -> requests.Response:
    data = body if isinstance(body, bytes | str) else json.dumps(body)
    return requests.post(url, data=data, headers={"Content-Type": content_type}, timeout=TIMEOUT)


def assert_close(answers: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert len(answers) == len(expected)
    for answer, other in zip(answers, expected, strict=True):
        assert answer["prediction"] == other["prediction"]
        assert answer["warnings"] == other["warnings"]
        assert answer["probabilities"] == pytest.approx(other["probabilities"], abs=TOLERANCE)


def test_one_record(table_model: Any) -> None:
    url, records, answers = table_model
    response = post(url, records[0])
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert_close([response.json()], answers[:1])


def test_lists_instances_and_lines(table_model: Any) -> None:
    url, records, answers = table_model
    assert_close(post(url, records).json(), answers)
    assert_close(post(url, {"instances": records}).json()["predictions"], answers)
    response = post(url, "\n".join(json.dumps(r) for r in records), "application/jsonlines")
    assert response.headers["Content-Type"] == "application/jsonlines"
    assert_close([json.loads(line) for line in response.text.splitlines()], answers)


def test_invocations_and_protocol_v2(server: RunningServer, table_model: Any) -> None:
    _, records, answers = table_model
    assert_close([post(f"{server.url}/models/{TABLES}/invoke", records[0]).json()], answers[:1])
    inputs = [
        {"name": name, "shape": [len(records)], "datatype": "BYTES", "data": [r[name] for r in records]}
        for name in records[0]
    ]
    response = post(f"{server.url}/predictions/{TABLES}", {"id": "7", "inputs": inputs})
    outputs = {tensor["name"]: tensor for tensor in response.json()["outputs"]}
    assert outputs["prediction"]["data"] == [answer["prediction"] for answer in answers]
    assert response.json()["id"] == "7"


def test_schema_and_openapi_are_on_the_inference_port(table_model: Any) -> None:
    url, records, _ = table_model
    schema = requests.get(f"{url}/1.0/schema", timeout=TIMEOUT).json()
    assert set(schema["record"]["properties"]) == set(records[0])
    assert post(url, "", "application/schema-request+json").json() == schema
    assert requests.get(f"{url}/1.0/openapi", timeout=TIMEOUT).json()["openapi"] == "3.1.0"
    assert requests.get(f"{url}/1.0/nothing", timeout=TIMEOUT).status_code == 404


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("{", "application/json"),
        ("", "application/json"),
        ("a=1", "application/x-www-form-urlencoded"),
        ("x,y\n1,2\n", "text/csv"),
        ("17", "application/json"),
        ("\x00\xff", "text/plain"),
    ],
)
def test_refuses_unreadable_requests_with_code_and_fix(table_model: Any, body: str, content_type: str) -> None:
    response = post(table_model[0], body.encode("latin-1"), content_type)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"]
    assert error["fix"]


def test_200_concurrent_requests_with_invalid_ones(server: RunningServer, table_model: Any) -> None:
    url, records, answers = table_model
    bad = [{}, [], {**records[0], "age": "old"}, {**records[0], "weight": 1e300}, {**records[0], "age": {"a": 1}}]
    workers = worker_pids(server)

    def ask(number: int) -> tuple[int, int, Any]:
        is_bad = number % 10 == 9
        response = post(url, bad[(number // 10) % len(bad)] if is_bad else records[number % len(records)])
        return number, response.status_code, response.json()

    with ThreadPoolExecutor(200) as pool:
        replies = list(pool.map(ask, range(200)))
    good = [(number, reply) for number, status, reply in replies if number % 10 != 9 and status == 200]
    refused = [(status, reply) for number, status, reply in replies if number % 10 == 9]
    assert len(good) == 180
    assert_close([reply for _, reply in good], [answers[number % len(records)] for number, _ in good])
    for status, reply in refused:
        if reply == []:  # an empty list has no record that could be refused
            assert status == 200
            continue
        assert status == 400
        assert reply["error"]["message"]
        assert reply["error"]["fix"]
    assert worker_pids(server) == workers


def worker_pids(server: RunningServer) -> set[int]:
    return {worker.pid for worker in workers(server)}


def test_one_invalid_record_of_a_list_is_refused(table_model: Any) -> None:
    url, records, answers = table_model
    response = post(url, [records[0], {**records[1], "age": "old"}, records[2]])
    assert response.status_code == 200
    first, second, third = response.json()
    assert_close([first, third], [answers[0], answers[2]])
    assert (second["error"]["record"], second["error"]["field"]) == (1, "age")


def test_hostile_text_is_returned_only_in_json(table_model: Any) -> None:
    url, records, _ = table_model
    for text in ("é\r\nX-Injected: 1", "<script>", "\u2028", "💥" * 1000, "\x00"):
        response = post(url, {**records[0], "color": text})
        assert response.status_code == 200
        assert "X-Injected" not in response.headers
        assert response.json()["warnings"][0]["value"] == text
        refused = post(url, {**records[0], "age": text})
        assert refused.status_code == 400
        assert refused.reason == "Bad Request"


def test_the_books_learner_in_all_formats_and_8_threads(server: RunningServer, cookbook: Path, store: Path) -> None:
    url = f"{server.url}/predictions/adult"
    expected = json.loads((cookbook / "adult_sample_predictions.json").read_text())["predictions"]
    text = (cookbook / "adult_sample_test.csv").read_bytes()
    as_csv = post(url, text, "text/csv").json()
    records = csv_as_records(text, store)

    def one(record: Any) -> Any:
        return post(url, record).json()

    with ThreadPoolExecutor(8) as pool:
        streams = list(pool.map(one, records * 4))
    for answers in (as_csv, post(url, records).json(), [one(record) for record in records], *quarters(streams)):
        assert [answer["prediction"] for answer in answers] == [e["label"] for e in expected]
        for answer, e in zip(answers, expected, strict=True):
            assert list(answer["probabilities"].values()) == pytest.approx(e["probabilities"], abs=TOLERANCE)
            assert answer["warnings"] == []


def csv_as_records(text: bytes, store: Path) -> list[Any]:
    from fastmar_runtime import payload

    return payload.read(text, "text/csv", Predictor.open(store / "adult.mar").spec).records


def quarters(answers: list[Any]) -> list[list[Any]]:
    size = len(answers) // 4
    return [answers[i * size : (i + 1) * size] for i in range(4)]


def test_matches_categories_without_leading_white_space(server: RunningServer, cookbook: Path, store: Path) -> None:
    url = f"{server.url}/predictions/adult"
    record = csv_as_records((cookbook / "adult_sample_test.csv").read_bytes(), store)[0]
    assert record["workclass"] == " Private"
    right, trimmed = post(url, record).json(), post(url, record | {"workclass": "Private"}).json()
    assert trimmed["probabilities"] == pytest.approx(right["probabilities"], abs=1e-6)
    assert right["warnings"] == []
    [warning] = trimmed["warnings"]
    assert (warning["field"], warning["code"], warning["value"]) == ("workclass", "category_whitespace", "Private")
    assert "' Private'" in warning["message"]  # the known category


def test_refuses_too_many_records(table_model: Any) -> None:
    url, records, answers = table_model
    reply = post(url, [0] * (MAX_RECORDS + 1))
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "too_many_records")
    assert_close([post(url, records[0]).json()], answers[:1])
