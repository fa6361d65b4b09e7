"""Bodies of common clients and tools: each is read correctly, or refused with a specific code."""

from __future__ import annotations

import gzip
import json
import struct

import orjson
import pytest

from fastmar_contract.errors import RecordError, RequestError
from fastmar_contract.values import CATEGORY, NUMBER
from fastmar_runtime import payload
from fastmar_runtime.payload import INSTANCES, LINES, LIST, ONE
from fastmar_runtime.spec import Field
from tests.runtime import tiny, tiny_pictures

WEATHER = tiny.spec(fields=tuple(Field(name, NUMBER) for name in ("humidity", "temperature", "rain")))
SONGS = tiny.spec(fields=(Field("bpm", NUMBER), Field("song_mood", CATEGORY, categories=("café",))))
RECORD = {"humidity": 62, "temperature": 28, "rain": 3}
TABLE = b"humidity,temperature,rain\n62,28,3\n"
JSON = "application/json"


def read(body, content_type=JSON, spec=WEATHER, **options):
    return payload.read(body, content_type, spec, **options)


def refusal(body, content_type=JSON, spec=WEATHER, **options):
    with pytest.raises(RequestError) as caught:
        read(body, content_type, spec, **options)
    return caught.value


def form(*parts, boundary="x"):
    """The body of a form, and its Content-Type; a part is (disposition, content type, content)."""
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n".encode()
        + (f"Content-Type: {kind}\r\n".encode() if kind else b"")
        + b"\r\n"
        + content
        + b"\r\n"
        for disposition, kind, content in parts
    )
    return body + f"--{boundary}--\r\n".encode(), f'multipart/form-data; boundary="{boundary}"'


class TestCharset:
    def test_case_charset_declared(self):
        table = "bpm,song_mood\n120,café\n"
        assert read(table.encode("latin-1"), "text/csv; charset=iso-8859-1", SONGS).records[0]["song_mood"] == "café"

    def test_case_charset_ambiguous(self):
        table = "bpm,song_mood\n120,é\n".encode()
        assert read(table, 'text/csv; charset="ISO-8859-1"', SONGS).records[0]["song_mood"] == "Ã©"

    def test_case_charset_utf16_json(self):
        body = json.dumps(RECORD).encode("utf-16")
        assert read(body, "application/json; charset=utf-16").records == [RECORD]

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "utf-8-sig"])
    @pytest.mark.parametrize("content_type", [JSON, None, "text/csv", "application/jsonlines", "text/plain"])
    def test_unicode_encodings_are_detected(self, encoding, content_type):
        text = TABLE.decode() if content_type == "text/csv" else json.dumps(RECORD)
        assert read(text.encode(encoding), content_type).records == [RECORD]

    @pytest.mark.parametrize("charset", ["klingon", "idna", "punycode", "rot13", "unicode_escape", "hex", "x" * 500])
    def test_unknown_charsets(self, charset):
        error = refusal(TABLE, f"text/csv; charset={charset}")
        assert error.code == "unknown_charset"
        assert charset[:20] in error.message

    def test_bytes_that_are_invalid_in_the_declared_charset(self):
        assert "'us-ascii'" in refusal("é".encode(), "text/csv; charset=us-ascii").message


@pytest.mark.parametrize(
    "content_type",
    [
        "text/csv",
        "application/csv",
        "Application/VND.ms-excel",
        "text/comma-separated-values",
        "text/plain",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "",
        None,
    ],
)
def test_aliases_of_csv(content_type):
    request = read(TABLE, content_type)
    assert (request.shape, request.records) == (LIST, [RECORD])


def test_tab_separated_values():
    assert read(TABLE.replace(b",", b"\t"), "text/tab-separated-values").records == [RECORD]


@pytest.mark.parametrize("content_type", [JSON, "application/ndjson", "application/x-jsonl", None, "text/plain"])
def test_case_wrapped_shapes_json_lines_as_json(content_type):
    line = orjson.dumps(RECORD)
    request = read(line + b"\n\n" + line + b"\n{oops\n", content_type)
    assert (request.shape, request.records[:2]) == (LINES, [RECORD, RECORD])
    assert request.records[2].code == "bad_json"


class TestNumbers:
    """NaN is null and infinity is refused for its record, whatever the format."""

    BODIES = (
        (b'{"age": %s, "hours": 1}', JSON),
        (b'{"age": %s, "hours": 1}\n', "application/jsonlines"),
        (b"age,hours\n%s,1\n", "text/csv"),
        (b"age,hours\n%s,1\n", "text/plain"),
        (b'{"inputs": [{"name": "age", "data": [%s]}, {"name": "hours", "data": [1]}]}', JSON),
    )

    @pytest.mark.parametrize(("template", "content_type"), BODIES)
    @pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999"])
    def test_nan_is_null_and_infinity_is_out_of_range(self, template, content_type, text):
        predictor = tiny.predictor()
        [record] = read(template % text, content_type, tiny.spec()).records
        [answer] = predictor.predict([{**tiny.record(), **record}])
        if text == b"NaN":
            assert record["age"] is None
            assert "prediction" in answer
        else:
            assert (answer["error"]["code"], answer["error"]["field"]) == ("out_of_range", "age")


class TestEmpty:
    def test_case_csv_header_only(self):
        error = refusal(b"humidity,temperature,rain\n", "text/csv")
        assert error.code == "no_rows"

    @pytest.mark.parametrize("body", [b"humidity,temperature,rain62,28,3", b"humidity,temperature,rain"])
    def test_case_curl_d_newlines(self, body):
        error = refusal(body, "text/csv")
        assert (error.code, "--data-binary" in error.fix) == ("no_rows", True)

    def test_case_curl_d_newlines_of_one_column(self):
        error = refusal(b"age12", "text/csv", tiny.spec(fields=(Field("age", NUMBER),)))
        assert "--data-binary" in error.fix

    def test_case_csv_blank_rows(self):
        records = read(TABLE + b",,\n\n,,,\n62,28,3\n", "text/csv").records
        assert [r.code if isinstance(r, RecordError) else r for r in records] == [
            RECORD,
            "empty_row",
            "empty_row",
            RECORD,
        ]

    def test_an_empty_list(self):
        assert read(b"[]").records == []


class TestContentEncoding:
    def test_case_gzip_body(self):
        error = refusal(gzip.compress(orjson.dumps(RECORD)), headers={"content-encoding": "gzip"})
        assert payload.refused(error).status == 415
        assert error.code == payload.ENCODED

    def test_undeclared_gzip(self):
        error = refusal(gzip.compress(orjson.dumps(RECORD)))
        assert error.code == "not_text"
        assert "gzip" in error.message

    def test_identity(self):
        assert read(orjson.dumps(RECORD), headers={"content-encoding": "identity"}).records == [RECORD]


SPLIT = {"columns": list(RECORD), "index": [0], "data": [list(RECORD.values())]}


class TestShapes:
    @pytest.mark.parametrize(
        ("body", "shape"),
        [
            ({"dataframe_split": SPLIT}, INSTANCES),
            ({"dataframe_records": [RECORD]}, INSTANCES),
            ({"input_data": SPLIT}, INSTANCES),
            (SPLIT, LIST),
            ({name: {"0": value} for name, value in RECORD.items()}, LIST),
            ({name: [value] for name, value in RECORD.items()}, LIST),
            ({"data": {"names": list(RECORD), "ndarray": [list(RECORD.values())]}}, LIST),
            ({"data": {"names": list(RECORD), "tensor": {"shape": [1, 3], "values": list(RECORD.values())}}}, LIST),
            ({"data": [RECORD]}, LIST),
            ({"data": [{"headers": list(RECORD), "data": [list(RECORD.values())]}]}, LIST),
        ],
    )
    def test_case_wrapped_shapes(self, body, shape):
        for content in (body, orjson.dumps(body)):
            request = read(content)
            assert (request.shape, request.records) == (shape, [RECORD])

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"instances": [[62, 28, 3]]}, "unnamed_columns"),
            ({"data": [62, 28, 3]}, "unnamed_columns"),
            ({"data": {"ndarray": [[62, 28, 3]]}}, "unnamed_columns"),
            ({"dataframe_records": [[62, 28, 3]]}, "unnamed_columns"),
            ({"dataframe_split": {"columns": ["humidity"], "data": [[1, 2]]}}, "ragged_row"),
            ({"humidity": [1, 2], "rain": [1]}, "ragged_columns"),
            ({"humidity": {"0": 1}, "rain": {"1": 1}}, "ragged_columns"),
            ({"dataframe_split": 3}, "bad_request"),
            ({"dataframe_split": {"columns": [[]], "data": []}}, "unnamed_columns"),
            ({"data": {"names": ["a", "a"], "ndarray": []}}, "bad_request"),
        ],
    )
    def test_case_wrapped_shapes_refused(self, body, code):
        error = refusal(body)
        assert error.code == code
        assert error.fix

    def test_lists_and_numbers_together_are_one_record(self):
        assert read({"humidity": [1], "rain": 3}).shape == ONE

    def test_a_column_may_have_the_name_of_a_wrapper(self):
        assert read({**RECORD, "data": [1]}).shape == ONE


class TestForms:
    RED, BLUE = tiny_pictures.picture("red"), tiny_pictures.picture("blue")

    def test_case_multipart_same_name(self):
        body, content_type = form(
            ('name="data"; filename="two.png"', "image/png", self.BLUE),
            ('name="data"; filename="one.png"', "application/octet-stream", self.RED),
            ('name="data"; filename="blob"', "image/png", self.RED),
            ('name="mask_size"', None, b"original"),
        )
        records = read(body, content_type, tiny_pictures.spec()).records
        assert [(r.name, r.data, r.mask_size) for r in records] == [
            ("two.png", self.BLUE, "original"),
            ("one.png", self.RED, "original"),
            ("data", self.RED, "original"),
        ]

    @pytest.mark.parametrize("kind", ["application/octet-stream", "text/csv", None])
    def test_case_multipart_csv(self, kind):
        body, content_type = form(('name="data"; filename="rows.csv"', kind, TABLE))
        assert read(body, content_type).records == [RECORD]

    @pytest.mark.parametrize(
        ("name", "content"),
        [("r.json", orjson.dumps(RECORD)), ("r.jsonl", orjson.dumps(RECORD) + b"\n"), ("rows", TABLE), ("x", b"[]")],
    )
    def test_a_part_is_read_by_its_extension_or_content(self, name, content):
        body, content_type = form((f'name="f"; filename="{name}"', "application/octet-stream", content))
        assert read(body, content_type).records in ([RECORD], [])

    def test_several_tables_in_order(self):
        second = TABLE.replace(b"62", b"7")
        body, content_type = form(
            ('name="f"; filename="a.csv"', None, TABLE), ('name="f"; filename="b.csv"', None, second)
        )
        assert [r["humidity"] for r in read(body, content_type).records] == [62, 7]

    def test_the_error_names_the_unreadable_table(self):
        body, content_type = form(('name="f"; filename="a.csv"', None, b"x,y\n1,2\n"))
        assert "'a.csv'" in refusal(body, content_type).message

    def test_a_form_without_files_is_refused(self):
        body, content_type = form(('name="age"', None, b"3"))
        error = refusal(body, content_type)
        assert error.code == "bad_request"
        assert "'age'" in error.message


class TestV2:
    BODY = b"".join(
        [
            b'{"inputs": ['
            b'{"name": "humidity", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}},'
            b'{"name": "temperature", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}},'
            b'{"name": "rain", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}]}'
        ]
    )

    def test_case_tritonclient_binary(self):
        body = self.BODY + struct.pack("<3d", 62, 28, 3)
        headers = {"inference-header-content-length": str(len(self.BODY))}
        assert read(body, "application/octet-stream", headers=headers).records == [RECORD]

    @pytest.mark.parametrize("length", ["x", "-1", "9" * 30, "100000", ""])
    def test_an_invalid_header_length(self, length):
        error = refusal(self.BODY, headers={"inference-header-content-length": length})
        assert isinstance(orjson.loads(payload.refused(error).body)["error"], str)

    @pytest.mark.parametrize("body", [b'{"inputs":[', b"", b"{}", b"[]", b'{"inputs": []}', b"\xff\xfe\xfd"])
    def test_case_v2_error_not_a_string(self, body):
        response = payload.refused(refusal(body, v2=True))
        assert response.status == 400
        assert isinstance(orjson.loads(response.body)["error"], str)

    @pytest.mark.parametrize(
        "tensor",
        [
            {"shape": [2], "datatype": "FP64", "data": [1]},
            {"shape": [1, 2], "datatype": "FP64", "data": [1, 2]},
            {"shape": [-1], "datatype": "FP64", "data": [1]},
            {"shape": 1, "datatype": "FP64", "data": [1]},
            {"shape": [2, 1], "datatype": "FP64", "data": [[1, 2], []]},
            {"shape": [1], "datatype": "INT64", "data": [1.5]},
            {"shape": [1], "datatype": "INT64", "data": [True]},
            {"shape": [1], "datatype": "INT8", "data": [128]},
            {"shape": [1], "datatype": "UINT8", "data": [-1]},
            {"shape": [1], "datatype": "BOOL", "data": [1]},
            {"shape": [1], "datatype": "FP32", "data": ["1"]},
            {"shape": [1], "datatype": "DOUBLE", "data": [1]},
            {"shape": [10**12], "datatype": "FP64", "parameters": {"binary_data_size": 8}},
        ],
    )
    def test_inconsistent_data_shape_and_datatype_are_refused(self, tensor):
        error = refusal({"inputs": [{"name": "rain", **tensor}]})
        assert error.code == "bad_tensor"
        assert isinstance(orjson.loads(payload.refused(error).body)["error"], str)
