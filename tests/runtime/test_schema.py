from __future__ import annotations

import orjson
import pytest
from jsonschema import Draft202012Validator

from fastmar_contract.values import CATEGORY
from fastmar_runtime.predictor import BundleFiles, Predictor
from fastmar_runtime.schema import MAX_LISTED, answer_schema, describe, record_schema
from fastmar_runtime.spec import Field
from tests.runtime import tiny

SPECS = {
    "category": tiny.spec(),
    "multi": tiny.spec(decode=tiny.MULTI_DECODER),
    "number": tiny.spec(decode=tiny.ONE_NUMBER_DECODER),
    "numbers": tiny.spec(decode=tiny.TWO_NUMBERS_DECODER),
    "raw": tiny.spec(decode=tiny.RAW_DECODER),
    "date": tiny.date_spec(),
}
each_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def violations(schema, value):
    Draft202012Validator.check_schema(schema)
    return [error.message for error in Draft202012Validator(schema).iter_errors(orjson.loads(orjson.dumps(value)))]


@each_spec
def test_schemas_are_valid(spec):
    Draft202012Validator.check_schema(record_schema(spec))
    Draft202012Validator.check_schema(answer_schema(spec))
    assert orjson.loads(orjson.dumps(describe(spec)))["name"] == "tiny"


def test_the_description_has_the_date_of_the_export() -> None:
    assert describe(tiny.spec(provenance={"created": "2026-03-04T10:00:00+00:00"}))["created"][:10] == "2026-03-04"
    for provenance in (None, {}, {"created": None}):
        assert "created" not in describe(tiny.spec(provenance=provenance))


def test_the_example_has_the_defaults_of_the_presentation():
    spec = tiny.spec(
        ui={"fields": {"workclass": {"default": "State-gov"}, "age": {"default": 55}, "vip": {"unit": ""}}}
    )
    [example] = record_schema(spec)["examples"]
    assert example == {"workclass": " State-gov", "grade": 3, "vip": False, "age": 55, "hours": 38.0}
    [explained] = Predictor(spec, tiny.graph()).predict([{**tiny.record(), "explain": True}])
    assert {each["column"]: each["typical"] for each in explained["columns"]} == example
    for foreign in ({"fields": []}, {"fields": {"age": []}}, {"fields": {"age": {"default": {}}}}):
        assert record_schema(tiny.spec(ui=foreign))["examples"] == record_schema(tiny.spec())["examples"]


@pytest.mark.parametrize("name", [name for name in SPECS if name != "date"])
def test_answers_match_their_schema(name):
    spec = SPECS[name]
    model = Predictor(spec, tiny.graph(tiny.weights_for(spec)))
    answers = model.predict([tiny.record(), tiny.record(workclass="?"), tiny.record(extra=1), tiny.record(grade="3")])
    for answer in answers:
        assert violations(answer_schema(spec), answer) == []


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"prediction": "other", "index": 0, "probabilities": {}, "warnings": []},
        {"error": {}},
        {"prediction": None, "warnings": []},
    ],
)
@each_spec
def test_invalid_answers_do_not_match(spec, answer):
    assert violations(answer_schema(spec), answer)


class TestRecords:
    @pytest.mark.parametrize(
        "record",
        [
            tiny.record(),
            tiny.record(age=None, workclass=None, grade=None, vip=None),
            tiny.record(age=True, hours=3),
            tiny.record(workclass="never seen", grade=99.5),
            tiny.record(extra={"any": "thing"}),
        ],
    )
    def test_answered_records_match_the_schema(self, predictor, record):
        assert "prediction" in predictor.predict([record])[0]
        assert violations(record_schema(predictor.spec), record) == []

    @pytest.mark.parametrize(
        "record",
        [
            None,
            [],
            {},
            tiny.record(age=...),
            tiny.record(age="old"),
            tiny.record(hours=None),
            tiny.record(workclass=["x"]),
            tiny.record(workclass={"x": 1}),
        ],
    )
    def test_refused_records_do_not_match_the_schema(self, predictor, record):
        assert "error" in predictor.predict([record])[0]
        assert violations(record_schema(predictor.spec), record)

    @pytest.mark.parametrize("record", [{"saledate": "2024-01-31"}, {f"sale{part}": 1 for part in tiny.DATE_PARTS}])
    def test_a_date_or_all_of_its_parts(self, date_predictor, record):
        assert "prediction" in date_predictor.predict([record])[0]
        assert violations(record_schema(date_predictor.spec), record) == []

    @pytest.mark.parametrize("record", [{}, {"saleYear": 2024}, {"saledate": 20240131}])
    def test_neither_a_date_nor_all_of_its_parts(self, date_predictor, record):
        assert "error" in date_predictor.predict([record])[0]
        assert violations(record_schema(date_predictor.spec), record)

    def test_aliases_of_a_date(self, date_predictor):
        assert "prediction" in date_predictor.predict([{"saleDate": "2024-01-31"}])[0]
        assert violations(record_schema(date_predictor.spec), {"saleDate": "2024-01-31"}) == []

    def test_long_vocabularies_are_cut(self):
        field = Field("c", CATEGORY, categories=tuple(range(MAX_LISTED + 5)))
        details = record_schema(tiny.spec(fields=(field,)))["properties"]["c"]["x-fastmar"]
        assert len(details["categories"]) == MAX_LISTED
        assert details["category_count"] == MAX_LISTED + 5

    def test_dates_among_categories_are_iso_strings(self):
        field = Field("c", CATEGORY, categories=({"timestamp": "2024-01-31T00:00:00"},))
        schema = record_schema(tiny.spec(fields=(field,)))["properties"]["c"]
        assert schema["x-fastmar"]["categories"] == ["2024-01-31T00:00:00"]
        assert "string" in schema["type"]


def test_golden_records_of_an_exported_archive(adult):
    files = BundleFiles(adult)
    described = files.json("schema.json")
    for record, answer in zip(files.json("golden/records.json"), files.json("golden/answers.json"), strict=True):
        assert violations(described["record"], record) == []
        assert violations(described["answer"], answer) == []
