"""Lines of the request log: what they have, and what they never have."""

from __future__ import annotations

import hmac
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_contract.request_log import LogOptions, is_entry
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.request_log.entries import EntryWriter, Exchange
from tests.runtime import tiny, tiny_language, tiny_pictures, tiny_ratings

SALT = b"0123456789abcdef"
CANARY = "canary7f3a"


def entries(predictor: Predictor, records: list[Any], **options: Any) -> list[dict[str, Any]]:
    """The parsed lines of a request with these records."""
    writer = EntryWriter(predictor.spec, "abc", LogOptions("", **options), SALT)
    kept = records if writer.reads_records else []
    lines = writer.lines(Exchange("2026-03-01T00:00:00.000+00:00", "id", kept, predictor.predict(records), {}))
    found = [orjson.loads(line) for line in lines]
    assert all(is_entry(entry) for entry in found)
    return found


def test_members() -> None:
    record = tiny.record(workclass="moon")
    [found] = entries(tiny.predictor(), [record])
    answer = tiny.predictor().predict([record])[0]
    warnings = [{"field": "workclass", "code": "unknown_category"}]
    assert found == {
        "format": "fastmar-requests/1",
        "time": "2026-03-01T00:00:00.000+00:00",
        "request_id": "id",
        "row": 0,
        "model": "tiny",
        "version": "1.0",
        "digest": "abc",
        "record": record,
        "answer": {**{part: answer[part] for part in ("prediction", "index", "probabilities")}, "warnings": warnings},
    }


def test_hash_and_drop() -> None:
    record = tiny.record(workclass="mönd", age=None, extra=CANARY)
    [found] = entries(tiny.predictor(), [record], drop=["hours", "other"], hash=["workclass", "grade", "age", "hours"])
    text, number = (hmac.new(SALT, data, "sha256").hexdigest() for data in ("mönd".encode(), b"7"))
    assert found["record"] == {"workclass": text, "grade": number, "vip": True, "age": None}
    assert (found["dropped"], found["hashed"]) == (["hours"], ["workclass", "grade", "age"])
    assert {"field": None, "code": "extra_column"} in found["answer"]["warnings"]


def test_refused_records() -> None:
    _, several, other = entries(tiny.predictor(), [tiny.record(), {"age": "old"}, CANARY])
    assert several["record"] == {"age": "old"}
    assert several["answer"] == {"error": {"field": "workclass", "code": "missing_column"}}
    assert (other["row"], other["record"]) == (2, {})
    assert other["answer"] == {"error": {"field": None, "code": "not_an_object"}}


def test_other_names_of_a_date_are_hidden_too() -> None:
    predictor = Predictor(tiny.date_spec(), tiny.date_graph())
    for name in ("saledate", "saleDate", "sale"):
        record = {name: "2024-01-31", "saleYear": 2024}
        shown, hidden = entries(predictor, [record]), entries(predictor, [record], drop=["saledate"])
        assert shown[0]["record"] == record
        assert hidden[0]["record"] == {"saleYear": 2024}
        assert hidden[0]["dropped"] == ["saledate"]
        assert len(entries(predictor, [record], hash=["saledate"])[0]["record"][name]) == 64


def test_texts() -> None:
    predictor = tiny_language.predictor()
    plain, named, generated = entries(predictor, ["it was", {"text": "good"}, {"text": CANARY, "generate": 1}])
    assert [each["record"] for each in (plain, named, generated)] == [{"text": t} for t in ("it was", "good", CANARY)]
    assert generated["answer"] == {"warnings": []}
    assert [each["record"] for each in entries(predictor, ["it", {"text": "good"}], drop=["text"])] == [{}, {}]


def test_lists_of_items() -> None:
    pair, recommended = entries(tiny_ratings.predictor(), [tiny_ratings.RECORD, {"user": 7, "recommend": 2}])
    assert pair["answer"]["prediction"] > 0
    assert recommended["record"] == {"user": 7}
    assert recommended["answer"] == {"warnings": []}


@pytest.mark.parametrize("decode", [tiny_pictures.LABELS, tiny_pictures.NUMBERS, tiny_pictures.POINTS])
def test_pictures_and_their_names_are_not_logged(decode: dict[str, Any]) -> None:
    weights = [[1, 0, 0, 1]] * 3 if decode is tiny_pictures.POINTS else [[1, 0, 0]] * 3
    predictor = tiny_pictures.predictor(tiny_pictures.graph(weights), decode=decode)
    sent = {"image": {"b64": tiny_pictures.b64(tiny_pictures.picture())}, "name": CANARY}
    answer = predictor.predict([sent])[0]
    [found] = entries(predictor, [sent])
    assert found["record"] == {}
    assert found["answer"]["prediction"] == answer["prediction"]
    assert CANARY not in str(found)


def test_masks_are_not_logged() -> None:
    predictor = tiny_pictures.predictor(tiny_pictures.mask_graph(), decode=tiny_pictures.MASK)
    assert entries(predictor, [tiny_pictures.picture()])[0]["answer"] == {"warnings": []}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800") | st.just(1 << 70),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from([field.name for field in tiny.FIELDS]) | st.text()


@given(record=st.dictionaries(NAMES, VALUES, max_size=6), drop=st.sets(NAMES), hashed=st.sets(NAMES))
def test_any_record_becomes_a_line(record: dict[str, Any], drop: set[str], hashed: set[str]) -> None:
    [found] = entries(tiny.predictor(), [record], drop=[*drop], hash=[*hashed])
    names = {field.name for field in tiny.FIELDS} & record.keys()
    assert found["record"].keys() == names - drop
    for name in names & hashed - drop:
        if record[name] is not None:
            assert len(found["record"][name]) == 64
    for name in names - hashed - drop:
        if isinstance(record[name], str | bool | None):
            assert found["record"][name] == (None if record[name] is None else as_sent(record[name]))


def as_sent(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
