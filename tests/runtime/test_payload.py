from __future__ import annotations

import io
import json
from typing import ClassVar

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_contract.display import short_repr
from fastmar_contract.errors import RecordError, RequestError
from fastmar_contract.values import NUMBER
from fastmar_runtime import payload
from fastmar_runtime.payload import INSTANCES, LINES, LIST, ONE, V2
from fastmar_runtime.spec import Field
from tests.runtime import tiny

JSON = "application/json"


def read(body, content_type=JSON, **changes):
    return payload.read(body, content_type, tiny.spec(**changes))


def refusal(body, content_type=JSON, **changes):
    with pytest.raises(RequestError) as caught:
        read(body, content_type, **changes)
    return caught.value


class TestJson:
    @pytest.mark.parametrize(
        ("data", "shape", "records"),
        [
            ({"age": 1}, ONE, [{"age": 1}]),
            ([{"age": 1}, {"age": 2}], LIST, [{"age": 1}, {"age": 2}]),
            ([], LIST, []),
            ([1, None], LIST, [1, None]),
            ({"instances": [{"age": 1}]}, INSTANCES, [{"age": 1}]),
            ({"instances": []}, INSTANCES, []),
            ({}, ONE, [{}]),
        ],
    )
    @pytest.mark.parametrize("form", ["parsed", "bytes", "bytearray", "memoryview", "str"])
    def test_shapes(self, data, shape, records, form):
        raw = orjson.dumps(data)
        bodies = {
            "parsed": data,
            "bytes": raw,
            "bytearray": bytearray(raw),
            "memoryview": memoryview(raw),
            "str": raw.decode(),
        }
        request = read(bodies[form])
        assert (request.shape, request.records) == (shape, records)

    @pytest.mark.parametrize(
        "content_type", [None, "", "application/json; charset=utf-8", "APPLICATION/JSON", "text/plain"]
    )
    def test_content_type_is_not_needed_for_json(self, content_type):
        assert read(b'{"age": 1}', content_type).records == [{"age": 1}]

    def test_byte_order_mark(self):
        assert read(b'\xef\xbb\xbf{"age": 1}').records == [{"age": 1}]
        assert read('\ufeff{"age": 1}').records == [{"age": 1}]

    @pytest.mark.parametrize("name", ["instances", "inputs"])
    def test_a_column_may_have_the_name_of_an_envelope(self, name):
        fields = (*tiny.FIELDS, Field(name, NUMBER))
        assert read({name: 1}, fields=fields).records == [{name: 1}]

    @pytest.mark.parametrize("instances", [None, {"age": 1}, 5])
    def test_instances_must_be_a_list(self, instances):
        error = refusal({"instances": instances})
        assert short_repr(instances) in error.message
        assert '"instances": [' in error.fix

    @pytest.mark.parametrize("data", [None, True, 3, 0, "text", 1.5])
    def test_values_that_are_not_records(self, data):
        error = refusal(data) if not isinstance(data, str) else refusal(json.dumps(data))
        assert short_repr(data) in error.message
        assert "JSON record" in error.fix

    @pytest.mark.parametrize("body", [b"", bytearray(), "", memoryview(b"")])
    def test_no_body(self, body):
        error = refusal(body)
        assert (error.code, "body" in error.message) == ("bad_request", True)

    @pytest.mark.parametrize(
        "body", [b"{", b"age=1", b"  ", b'{"age": nan}', b"[" * 3000 + b"]" * 3000, b'{"a": 1}{"a": 2}']
    )
    def test_invalid_json(self, body):
        error = refusal(body)
        assert error.code == "bad_request"
        assert "JSON" in error.message
        assert error.as_dict()["error"].keys() == {"code", "field", "message", "fix"}

    @pytest.mark.parametrize("body", [b'{"a": "\xe9"}', b"\xe9\xe9 \xff"])
    @pytest.mark.parametrize("content_type", [JSON, "text/csv", "application/jsonlines"])
    def test_bodies_that_are_not_utf8(self, body, content_type):
        error = refusal(body, content_type)
        assert "UTF-8" in error.message

    def test_long_values_are_cut_in_messages(self):
        assert len(refusal(orjson.dumps("x" * 100_000)).message) < 300


class TestLines:
    @pytest.mark.parametrize(
        "content_type",
        [
            "application/jsonlines",
            "application/x-ndjson",
            "application/x-jsonlines; charset=utf-8",
            "application/jsonl",
        ],
    )
    def test_one_record_per_line(self, content_type):
        request = read(b'{"age": 1}\r\n\n  \n{"age": 2}\n', content_type)
        assert (request.shape, request.records) == (LINES, [{"age": 1}, {"age": 2}])

    def test_byte_order_mark(self):
        assert read(b'\xef\xbb\xbf{"age": 1}\n', "application/jsonlines").records == [{"age": 1}]

    def test_only_the_invalid_line_is_refused(self):
        first, bad, last = read(b'{"age": 1}\n\n{oops}\n{"age": 2}', "application/jsonlines").records
        assert (first, last) == ({"age": 1}, {"age": 2})
        assert isinstance(bad, RecordError)
        assert bad.code == "bad_json"
        assert "line 3 " in bad.message

    @pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
    def test_only_line_feeds_end_a_line(self, separator):
        line = json.dumps({"workclass": f"a{separator}b"}, ensure_ascii=False)
        assert read(line.encode(), "application/jsonlines").records == [{"workclass": f"a{separator}b"}]

    def test_only_empty_lines(self):
        assert read(b"\n\n", "application/jsonlines").records == []

    @given(
        st.lists(
            st.dictionaries(st.text(max_size=5), st.text() | st.integers(-99, 99) | st.none(), max_size=4), max_size=5
        )
    )
    def test_round_trip(self, records):
        body = b"\n".join(json.dumps(r, ensure_ascii=False).encode("utf-8", "replace") for r in records)
        expected = [orjson.loads(line) for line in body.split(b"\n") if line]
        assert read(body, "application/jsonlines").records == expected


class TestCsv:
    def test_is_a_list_of_records(self):
        request = read("age,vip\n1,True\n", "text/csv; charset=utf-8")
        assert (request.shape, request.records) == (LIST, [{"age": 1.0, "vip": True}])

    @pytest.mark.parametrize("body", [{}, 5, None, [1], {"age": 1}])
    def test_a_csv_must_be_text(self, body):
        assert short_repr(body) in refusal(body, "text/csv").message


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"1\n\n2\n{oops\n3\n", "application/jsonlines"),
        (b'age\n1\n2\n"oops\n3\n', "text/csv"),
        (b'{"inputs": [{"name": "age", "data": [1, 2, 3, 4]}]}', JSON),
    ],
)
@pytest.mark.parametrize("max_records", [0, 1, 2])
def test_reading_stops_at_the_maximum_of_records(body, content_type, max_records):
    assert len(payload.read(body, content_type, tiny.spec(), max_records=max_records).records) == max_records


class TestWrite:
    GOOD: ClassVar[dict] = {"prediction": 1.0, "warnings": []}
    BAD: ClassVar[dict] = {"error": {"code": "c", "field": None, "record": 99, "message": "m", "fix": "f"}}

    def write(self, shape, *answers, envelope=None):
        request = payload.Request([{}] * len(answers), shape, envelope or {})
        return payload.write(request, answers, tiny.spec(decode=tiny.ONE_NUMBER_DECODER))

    def test_one(self):
        response = self.write(ONE, self.GOOD)
        assert (response.status, response.content_type) == (200, JSON)
        assert orjson.loads(response.body) == self.GOOD

    def test_one_refused(self):
        response = self.write(ONE, self.BAD)
        assert response.status == 400
        assert orjson.loads(response.body)["error"]["record"] == 0

    def test_an_invalid_record_among_valid_ones(self):
        response = self.write(LIST, self.GOOD, self.BAD, self.GOOD)
        assert response.status == 200
        body = orjson.loads(response.body)
        assert [sorted(answer) for answer in body] == [
            ["prediction", "warnings"],
            ["error"],
            ["prediction", "warnings"],
        ]
        assert body[1]["error"]["record"] == 1, "position in this request, not in the batch"

    def test_only_invalid_records(self):
        assert self.write(LIST, self.BAD, self.BAD).status == 400
        assert self.write(INSTANCES, self.BAD).status == 400

    def test_only_invalid_lines_have_status_200(self):
        response = self.write(LINES, self.BAD, self.BAD)
        assert response.status == 200
        assert [sorted(orjson.loads(line)) for line in response.body.splitlines()] == [["error"], ["error"]]

    def test_no_records(self):
        assert self.write(LIST).body == b"[]"
        assert self.write(INSTANCES).body == b'{"predictions":[]}'
        assert self.write(LINES).body == b""
        assert self.write(LIST).status == 200

    def test_instances(self):
        assert orjson.loads(self.write(INSTANCES, self.GOOD).body) == {"predictions": [self.GOOD]}

    def test_lines(self):
        response = self.write(LINES, self.GOOD, self.BAD)
        assert response.content_type == "application/jsonlines"
        assert [sorted(orjson.loads(line)) for line in io.BytesIO(response.body)] == [
            ["prediction", "warnings"],
            ["error"],
        ]

    def test_v2_refuses_the_whole_request(self):
        response = self.write(V2, self.GOOD, self.BAD, envelope={"inputs": []})
        assert response.status == 400
        assert orjson.loads(response.body)["error"].startswith("record 1: ")

    def test_answers_are_not_changed(self):
        self.write(LIST, self.BAD)
        assert self.BAD["error"]["record"] == 99

    @pytest.mark.parametrize(
        "decode",
        [
            tiny.CATEGORY_DECODER,
            tiny.MULTI_DECODER,
            {**tiny.CATEGORY_DECODER, "top": 1},
            tiny.ONE_NUMBER_DECODER,
            tiny.RAW_DECODER,
        ],
    )
    def test_minimum_size_of_an_answer(self, decode):
        """No answer is shorter, and answers with few digits are not much longer."""
        predictor = tiny.predictor(decode=decode)
        for record in (tiny.record(), tiny.record(hours=-1e6), tiny.record(hours=1e6)):
            [answer] = predictor.predict([record])
            answer["warnings"] = []  # for a number far from the training data
            assert payload.min_answer_bytes(predictor.spec) <= len(orjson.dumps(answer)) < 200

    def test_too_many(self):
        assert payload.refused(RequestError("m", fix="f", code=payload.TOO_MANY)).status == 413

    def test_refused(self):
        response = payload.refused(RequestError("m", fix="f"))
        assert response.status == 400
        assert orjson.loads(response.body) == {
            "error": {"code": "bad_request", "field": None, "message": "m", "fix": "f"}
        }
