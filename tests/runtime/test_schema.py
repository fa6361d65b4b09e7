from __future__ import annotations

import orjson
import pytest
from jsonschema import Draft202012Validator

from fastmar_runtime.predictor import BundleFiles, Predictor
from fastmar_runtime.schema import MAX_LISTED, answer_schema, describe, openapi, record_schema
from fastmar_runtime.spec import CATEGORY, Field
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


def problems(schema, value):
    Draft202012Validator.check_schema(schema)
    return [error.message for error in Draft202012Validator(schema).iter_errors(orjson.loads(orjson.dumps(value)))]


@each_spec
def test_schemas_are_valid(spec):
    Draft202012Validator.check_schema(record_schema(spec))
    Draft202012Validator.check_schema(answer_schema(spec))
    assert orjson.loads(orjson.dumps(describe(spec)))["name"] == "tiny"


@pytest.mark.parametrize("name", [name for name in SPECS if name != "date"])
def test_answers_are_as_promised(name):
    spec = SPECS[name]
    model = Predictor(spec, tiny.graph(tiny.weights_for(spec)))
    answers = model.predict([tiny.record(), tiny.record(workclass="?"), tiny.record(extra=1), tiny.record(grade="3")])
    for answer in answers:
        assert problems(answer_schema(spec), answer) == []


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
def test_other_answers_are_not(spec, answer):
    assert problems(answer_schema(spec), answer)


def test_errors_are_as_promised(predictor):
    schema = openapi(predictor.spec)["components"]["schemas"]["Error"]
    for answer in predictor.predict([None, {}, tiny.record(age="x"), tiny.record(hours=None)]):
        assert problems(schema, answer) == []
    assert problems(schema, {"error": {"code": "x"}})


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
    def test_what_is_answered_is_valid(self, predictor, record):
        assert "prediction" in predictor.predict([record])[0]
        assert problems(record_schema(predictor.spec), record) == []

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
    def test_what_is_refused_is_not(self, predictor, record):
        assert "error" in predictor.predict([record])[0]
        assert problems(record_schema(predictor.spec), record)

    @pytest.mark.parametrize("record", [{"saledate": "2024-01-31"}, {f"sale{part}": 1 for part in tiny.DATE_PARTS}])
    def test_a_date_or_all_of_its_parts(self, date_predictor, record):
        assert "prediction" in date_predictor.predict([record])[0]
        assert problems(record_schema(date_predictor.spec), record) == []

    @pytest.mark.parametrize("record", [{}, {"saleYear": 2024}, {"saledate": 20240131}])
    def test_neither(self, date_predictor, record):
        assert "error" in date_predictor.predict([record])[0]
        assert problems(record_schema(date_predictor.spec), record)

    def test_other_names_of_a_date(self, date_predictor):
        assert "prediction" in date_predictor.predict([{"saleDate": "2024-01-31"}])[0]
        assert problems(record_schema(date_predictor.spec), {"saleDate": "2024-01-31"}) == []

    def test_long_vocabularies_are_cut_and_counted(self):
        field = Field("c", CATEGORY, categories=tuple(range(MAX_LISTED + 5)))
        about = record_schema(tiny.spec(fields=(field,)))["properties"]["c"]["x-fastmar"]
        assert len(about["categories"]) == MAX_LISTED
        assert about["category_count"] == MAX_LISTED + 5

    def test_dates_among_categories_are_shown_as_they_are_sent(self):
        field = Field("c", CATEGORY, categories=({"timestamp": "2024-01-31T00:00:00"},))
        schema = record_schema(tiny.spec(fields=(field,)))["properties"]["c"]
        assert schema["x-fastmar"]["categories"] == ["2024-01-31T00:00:00"]
        assert "string" in schema["type"]


def references(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


@each_spec
class TestOpenApi:
    def test_has_what_the_format_asks_for(self, spec):
        document = openapi(spec)
        assert document["openapi"].startswith("3.1.")
        assert {"title", "version"} <= document["info"].keys()
        for path, item in document["paths"].items():
            assert path.startswith("/")
            for method, operation in item.items():
                assert method in ("get", "post")
                assert operation["responses"]
                for status, response in operation["responses"].items():
                    assert status.isdigit()
                    assert isinstance(status, str)
                    assert response["description"]
                for media in operation["requestBody"]["content"].values():
                    Draft202012Validator.check_schema(media["schema"])

    def test_references_lead_somewhere(self, spec):
        document = openapi(spec)
        found = set(references(document))
        assert found
        for reference in found:
            node = document
            for part in reference.removeprefix("#/").split("/"):
                node = node[part]

    def test_schemas_are_valid(self, spec):
        for schema in openapi(spec)["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)

    def test_requests_and_answers_fit(self, spec, request):
        if spec.fields != tiny.FIELDS:
            pytest.skip("has other columns")
        document = openapi(spec)
        (item,) = document["paths"].values()
        model = Predictor(spec, tiny.graph(tiny.weights_for(spec)))
        good, bad = tiny.record(), tiny.record(age="x")
        body = item["post"]["requestBody"]["content"]["application/json"]["schema"]
        for data in (good, [good, good], {"instances": [good]}):
            assert problems({**body, "components": document["components"]}, data) == []
        answers = model.predict([good, bad])
        answer = item["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        for data in (answers[0], answers, {"predictions": answers}, []):
            assert problems({**answer, "components": document["components"]}, data) == []


def test_golden_records_of_an_exported_archive(adult):
    files = BundleFiles(adult)
    described = files.json("schema.json")
    for record, answer in zip(files.json("golden/records.json"), files.json("golden/answers.json"), strict=True):
        assert problems(described["record"], record) == []
        assert problems(described["answer"], answer) == []
