"""Any body gets a JSON response or a `RequestError`."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_contract.errors import RequestError
from fastmar_runtime import payload
from tests.runtime import tiny

PREDICTOR = tiny.predictor()
DATE_PREDICTOR = tiny.Predictor(tiny.date_spec(), tiny.date_graph())

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, 10**30, -(10**400)])
    | st.floats()
    | st.text()
    | st.sampled_from(["\ud800", "2024-02-29", " Private ", "Private", "NA", "\x00"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
NAMES = st.sampled_from([f.name for f in (*tiny.FIELDS, *tiny.date_spec().fields)] + ["sale", "age ", "\ud800"])
RECORDS = st.dictionaries(NAMES, SCALARS | VALUES).map(lambda changes: tiny.record(saledate="2024-01-31") | changes)
TENSORS = st.fixed_dictionaries({"name": NAMES | VALUES, "data": st.lists(VALUES, max_size=3) | VALUES})
BODIES = (
    VALUES
    | RECORDS
    | st.lists(RECORDS | VALUES, max_size=4)
    | st.fixed_dictionaries({"instances": st.lists(RECORDS | VALUES, max_size=3) | VALUES})
    | st.fixed_dictionaries({"inputs": st.lists(TENSORS | VALUES, max_size=3), "id": VALUES})
)
TYPES = st.sampled_from([None, "", "application/json", "text/csv", "application/jsonlines", "image/png", "\ud800"])


def answer(predictor, body, content_type):
    try:
        request = payload.read(body, content_type, predictor.spec)
    except RequestError as error:
        return json.loads(payload.refused(error).body)
    answers = predictor.predict(request.records)
    assert len(answers) == len(request.records)
    assert all(a.keys() >= {"prediction", "warnings"} or a.keys() == {"error"} for a in answers)
    response = payload.write(request, answers, predictor.spec)
    assert response.status in (200, 400)
    return [json.loads(line, parse_constant=pytest.fail) for line in response.body.decode("utf-8").split("\n") if line]


@pytest.mark.parametrize("predictor", [PREDICTOR, DATE_PREDICTOR], ids=["tiny", "date"])
@given(BODIES, TYPES)
def test_any_parsed_body(predictor, body, content_type):
    answer(predictor, body, content_type)


@given(st.binary() | st.text(), TYPES)
def test_any_bytes(body, content_type):
    answer(PREDICTOR, body, content_type)


@given(st.text(alphabet='age,;\t"\r\n 1xNA\ufeff'))
def test_any_csv(text):
    answer(PREDICTOR, "age,hours,workclass\n" + text, "text/csv")
