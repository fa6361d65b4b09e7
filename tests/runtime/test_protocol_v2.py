from __future__ import annotations

import orjson
import pytest

from fastmar_contract.errors import RequestError
from fastmar_runtime import payload, protocol_v2
from tests.runtime import tiny


def tensors(*records):
    return [
        {"name": name, "shape": [len(records)], "datatype": "BYTES", "data": [r[name] for r in records]}
        for name in tiny.record()
    ]


def infer(predictor, data):
    request = payload.read(data, "application/json", predictor.spec)
    response = payload.write(request, predictor.predict(request.records), predictor.spec)
    return response.status, orjson.loads(response.body)


def test_records():
    records = [tiny.record(), tiny.record(age=None, vip=False)]
    assert protocol_v2.read({"inputs": tensors(*records)}, tiny.spec()) == records


def test_shape_n_by_1():
    inputs = [{"name": "age", "shape": [2, 1], "datatype": "FP32", "data": [[1], [2]]}]
    assert protocol_v2.read({"inputs": inputs}, tiny.spec()) == [{"age": 1}, {"age": 2}]


@pytest.mark.parametrize(
    ("inputs", "code", "fact"),
    [
        ([], "bad_request", "no inputs"),
        ([1], "bad_request", "no name"),
        ([{}], "bad_request", "no name"),
        ([{"name": 1, "data": [1]}], "bad_request", "no name"),
        ([{"name": "age"}], "bad_tensor", "'age'"),
        ([{"name": "age", "data": {"a": 1}}], "bad_tensor", "'age'"),
        ([{"name": "age", "data": [1]}, {"name": "hours", "data": [1, 2]}], "bad_request", "'age' 1, 'hours' 2"),
        ([{"name": "age", "data": [1]}, {"name": "age", "data": [2]}], "bad_request", "'age'"),
    ],
)
def test_refusals(inputs, code, fact):
    with pytest.raises(RequestError) as caught:
        protocol_v2.read({"inputs": inputs}, tiny.spec())
    assert caught.value.code == code
    assert fact in caught.value.message
    assert caught.value.fix


def test_answers_agree_with_other_formats(predictor):
    records = [tiny.record(), tiny.record(grade=3, hours=10)]
    answers = predictor.predict(records)
    status, body = infer(predictor, {"id": "42", "inputs": tensors(*records)})
    assert status == 200
    assert (body["id"], body["model_name"], body["model_version"]) == ("42", "tiny", "1.0")
    prediction, probabilities = body["outputs"]
    assert prediction == {
        "name": "prediction",
        "shape": [2],
        "datatype": "BYTES",
        "data": [answer["prediction"] for answer in answers],
    }
    assert (probabilities["name"], probabilities["shape"], probabilities["datatype"]) == (
        "probabilities",
        [2, 2],
        "FP32",
    )
    assert probabilities["data"] == [p for answer in answers for p in answer["probabilities"].values()]
    assert probabilities["parameters"] == {"labels": "<50k;>=50k"}


@pytest.mark.parametrize("identity", [None, 3, ["x"]])
def test_an_id_that_is_not_a_string_is_dropped(predictor, identity):
    assert "id" not in infer(predictor, {"id": identity, "inputs": tensors(tiny.record())})[1]


def test_an_id_with_an_unpaired_surrogate(predictor):
    status, body = infer(predictor, {"id": "\ud800", "inputs": tensors(tiny.record())})
    assert status == 200
    assert "id" in body


@pytest.mark.parametrize(
    ("decoder", "datatype", "shape"),
    [
        (tiny.MULTI_DECODER, "BYTES", [2]),
        (tiny.ONE_NUMBER_DECODER, "FP32", [2, 1]),
        (tiny.TWO_NUMBERS_DECODER, "FP32", [2, 2]),
        (tiny.RAW_DECODER, "FP32", [2, 2]),
    ],
)
def test_outputs_of_other_models(decoder, datatype, shape):
    predictor = tiny.predictor(decode=decoder)
    status, body = infer(predictor, {"inputs": tensors(tiny.record(), tiny.record())})
    assert status == 200
    prediction = body["outputs"][0]
    assert (prediction["datatype"], prediction["shape"]) == (datatype, shape)
    size = 1
    for n in shape:
        size *= n
    assert len(prediction["data"]) == size


def test_an_invalid_record_refuses_the_request(predictor):
    status, body = infer(predictor, {"inputs": tensors(tiny.record(), tiny.record(age="x"))})
    assert status == 400
    assert body["error"].startswith("record 1: 'age' ")  # a string, as the protocol requires
    assert "Fix:" in body["error"]


def test_warnings_are_an_output_only_if_there_are_any(predictor):
    _, quiet = infer(predictor, {"inputs": tensors(tiny.record())})
    assert "warnings" not in {output["name"] for output in quiet["outputs"]}
    _, loud = infer(predictor, {"inputs": tensors(tiny.record(), tiny.record(workclass="never seen"))})
    warnings = next(output for output in loud["outputs"] if output["name"] == "warnings")
    assert [len(orjson.loads(text)) for text in warnings["data"]] == [0, 1]


def test_no_rows(predictor):
    status, body = infer(predictor, {"inputs": tensors()})
    assert status == 200
    assert body["outputs"][0]["data"] == []
