"""Request bodies of common tools, on all prediction paths of a real server: answered, or refused with a code."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import requests

from fastmar_runtime.predictor import Predictor
from fastmar_serving.testing import RunningServer
from tests.engines.conftest import TABLES
from tests.engines.test_http import TIMEOUT, assert_close

JSON = "application/json"
COLUMNS = ["color", "size", "age", "weight"]
RECORD: dict[str, Any] = {"color": "red", "size": "S", "age": 40.0, "weight": 71.5}
OTHER: dict[str, Any] = {"color": "white", "size": "L", "age": 63.0, "weight": 88.25}
HEADER = ",".join(COLUMNS)
ROW, OTHER_ROW = (",".join(map(str, record.values())) for record in (RECORD, OTHER))
TABLE, OTHER_TABLE = f"{HEADER}\n{ROW}\n".encode(), f"{HEADER}\n{OTHER_ROW}\n".encode()
LIMIT = 16 << 20  # bytes of a request

PATHS = {
    "predictions": f"/predictions/{TABLES}",
    "version": f"/predictions/{TABLES}/1.0",
    "invocations": f"/invocations?model_name={TABLES}",
    "invoke": f"/models/{TABLES}/invoke",
    "v1": f"/v1/models/{TABLES}:predict",
}
V2 = f"/v2/models/{TABLES}/infer"


@pytest.fixture(params=PATHS.values(), ids=list(PATHS))
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def expected(store: Path) -> list[dict[str, Any]]:
    """The answers to RECORD and OTHER."""
    return Predictor.open(store / f"{TABLES}.mar").predict([RECORD, OTHER])


def post(server: RunningServer, path: str, body: Any, content_type: str | None = JSON, **headers: str) -> Any:
    """The response; other headers are keyword arguments with underscores instead of hyphens."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    sent |= {"Content-Type": content_type} if content_type else {}
    data = body if isinstance(body, bytes) else json.dumps(body)
    return requests.post(f"{server.url}{path}", data=data, headers=sent, timeout=TIMEOUT)


def answers(response: requests.Response) -> list[dict[str, Any]]:
    """The answers of a response, whatever its shape."""
    assert response.status_code == 200, response.text
    if response.headers["Content-Type"] == "application/jsonlines":
        return [json.loads(line) for line in response.text.splitlines()]
    body = response.json()
    found: list[dict[str, Any]] = body if isinstance(body, list) else body.get("predictions", [body])
    return found


def assert_refused(response: requests.Response, status: int, code: str, fact: str = "") -> None:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == JSON
    error = response.json()["error"]
    assert error["code"] == code
    assert fact in f"{error['message']} {error['fix']}"


@pytest.mark.parametrize(
    ("body", "charset", "color"),
    [
        (f"{HEADER}\ncafé,S,40,71.5\n".encode("latin-1"), "iso-8859-1", "café"),
        (f"{HEADER}\né,S,40,71.5\n".encode(), "iso-8859-1", "Ã©"),
        (f"{HEADER}\ncafé,S,40,71.5\n".encode(), "utf-8", "café"),
    ],
    ids=["latin-1", "ambiguous", "utf-8"],
)
def test_case_charset(server: RunningServer, path: str, body: bytes, charset: str, color: str) -> None:
    [answer] = answers(post(server, path, body, f"text/csv; charset={charset}"))
    assert [(warning["field"], warning["value"]) for warning in answer["warnings"]] == [("color", color)]


def test_case_charset_utf16_json(server: RunningServer, path: str, expected: Any) -> None:
    body = json.dumps(RECORD).encode("utf-16")
    assert_close(answers(post(server, path, body, f"{JSON}; charset=utf-16")), expected[:1])


def test_case_charset_unknown(server: RunningServer, path: str) -> None:
    assert_refused(post(server, path, TABLE, "text/csv; charset=klingon"), 400, "unknown_charset", "klingon")


def test_case_csv_blank_rows(server: RunningServer, path: str, expected: Any) -> None:
    first, *blank, last = answers(post(server, path, f"{HEADER}\n{ROW}\n,,,\n,,,\n{OTHER_ROW}\n".encode(), "text/csv"))
    assert_close([first, last], expected)
    assert [(answer["error"]["code"], answer["error"]["record"]) for answer in blank] == [
        ("empty_row", 1),
        ("empty_row", 2),
    ]


def test_case_csv_header_only(server: RunningServer, path: str) -> None:
    assert_refused(post(server, path, f"{HEADER}\n".encode(), "text/csv"), 400, "no_rows")


def test_case_curl_d_newlines(server: RunningServer, path: str) -> None:
    for content_type in ("text/csv", "application/x-www-form-urlencoded"):
        response = post(server, path, f"{HEADER}{ROW}".encode(), content_type)
        assert_refused(response, 400, "no_rows", "--data-binary")


@pytest.mark.parametrize("body", [json.dumps(RECORD).encode(), TABLE], ids=["json", "csv"])
def test_case_gzip_body(server: RunningServer, path: str, body: bytes, expected: Any) -> None:
    content_type = "text/csv" if body is TABLE else JSON
    response = post(server, path, gzip.compress(body), content_type, Content_Encoding="gzip")
    assert_close(answers(response), expected[:1])


def form(server: RunningServer, path: str, *parts: tuple[str, Any]) -> requests.Response:
    return requests.post(f"{server.url}{path}", files=list(parts), timeout=TIMEOUT)


def test_case_multipart_csv(server: RunningServer, path: str, expected: Any) -> None:
    for part in (("rows.csv", TABLE), ("rows.csv", TABLE, "application/octet-stream"), ("blob", TABLE, "text/csv")):
        assert_close(answers(form(server, path, ("data", part))), expected[:1])


def test_case_multipart_same_name(server: RunningServer, path: str, expected: Any) -> None:
    parts = [("data", ("a.csv", TABLE)), ("data", ("b.csv", OTHER_TABLE))]
    assert_close(answers(form(server, path, *parts)), expected)
    assert_close(answers(form(server, path, *reversed(parts))), expected[::-1])


def test_case_too_large_413(server: RunningServer, path: str) -> None:
    assert_refused(post(server, path, b" " * (LIMIT + 1)), 413, "too_large", f"{LIMIT:,}".replace(",", ""))


SPLIT = {"columns": COLUMNS, "index": [0, 1], "data": [list(RECORD.values()), list(OTHER.values())]}
SHAPES: dict[str, Any] = {
    "dataframe_split": {"dataframe_split": SPLIT},
    "dataframe_records": {"dataframe_records": [RECORD, OTHER]},
    "to_json": {name: {"0": RECORD[name], "1": OTHER[name]} for name in COLUMNS},
    "to_json(orient='split')": SPLIT,
    "to_dict('list')": {name: [RECORD[name], OTHER[name]] for name in COLUMNS},
    "Seldon": {"data": {"names": COLUMNS, "ndarray": SPLIT["data"]}},
    "Gradio": {"data": [{"headers": COLUMNS, "data": SPLIT["data"]}]},
    "TF": {"instances": [RECORD, OTHER]},
    "JSON lines as JSON": f"{json.dumps(RECORD)}\n{json.dumps(OTHER)}\n".encode(),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_case_wrapped_shapes(server: RunningServer, path: str, shape: str, expected: Any) -> None:
    assert_close(answers(post(server, path, SHAPES[shape])), expected)


@pytest.mark.parametrize("body", [{"data": [62, 28, 3]}, {"instances": [[62, 28, 3]]}], ids=["data", "instances"])
def test_case_wrapped_shapes_refused(server: RunningServer, path: str, body: Any) -> None:
    assert_refused(post(server, path, body), 400, "unnamed_columns")


def binary_tensors(*records: dict[str, Any]) -> tuple[bytes, int]:
    """A body as tritonclient.http writes it, and the length of the JSON before its tensors."""
    inputs, data = [], b""
    for name in COLUMNS:
        values = [record[name] for record in records]
        is_text = isinstance(values[0], str)
        content = b"".join(
            struct.pack("<I", len(value)) + value.encode() if is_text else struct.pack("<d", value) for value in values
        )
        inputs.append(
            {
                "name": name,
                "shape": [len(values)],
                "datatype": "BYTES" if is_text else "FP64",
                "parameters": {"binary_data_size": len(content)},
            }
        )
        data += content
    head = json.dumps({"inputs": inputs}).encode()
    return head + data, len(head)


@pytest.mark.parametrize("path", [V2, f"/v2/models/{TABLES}/versions/1.0/infer"])
def test_case_tritonclient_binary(server: RunningServer, path: str, expected: Any) -> None:
    body, length = binary_tensors(RECORD, OTHER)
    response = post(server, path, body, "application/octet-stream", Inference_Header_Content_Length=str(length))
    assert response.status_code == 200, response.text
    outputs = {output["name"]: output["data"] for output in response.json()["outputs"]}
    assert outputs["prediction"] == [answer["prediction"] for answer in expected]


@pytest.mark.parametrize(
    ("body", "content_type", "headers"),
    [
        (b"", JSON, {}),
        (b'{"inputs":[', JSON, {}),
        (b"\xff\xd8\xff\x00", "application/octet-stream", {}),
        (TABLE, "text/csv", {}),
        (json.dumps(RECORD).encode(), JSON, {}),
        (b"{}", "application/octet-stream", {"Inference_Header_Content_Length": "99"}),
        (b"{}", JSON, {"Content_Encoding": "br"}),
        (b" " * (LIMIT + 1), JSON, {}),
    ],
    ids=["empty", "JSON that ends", "bytes", "CSV", "a record", "lengths", "encoding", "too large"],
)
def test_case_v2_error_not_a_string(server: RunningServer, body: bytes, content_type: str, headers: Any) -> None:
    response = post(server, V2, body, content_type, **headers)
    assert response.status_code in (400, 413, 415)
    assert "Fix: " in response.json()["error"]
