"""A new kind of answer is a single module: all code that depends on the kind uses its object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from jsonschema import Draft202012Validator
from tests.runtime import tiny

import fastmar_runtime.answers
from fastmar_runtime import payload, protocol_v2, registry
from fastmar_runtime.answers import answer_kind, load_decoder
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.openapi import openapi
from fastmar_runtime.schema import answer_schema
from fastmar_serving.rollout.changes import BREAKING, changes

SIGN = '''
"""Whether the network's output is positive: ``{"prediction": true}``."""

from fastmar_runtime.answers import AnswerKind, OutputTensor


class Sign(AnswerKind):
    name = "sign"

    def decoder(self, state):
        return lambda output, geometries=(): [{"prediction": row[0] > 0} for row in output.tolist()]

    def schema(self, state):
        return {"type": "boolean"}, {}

    def component(self, state, targets):
        return {"prediction": {"type": "boolean"}}

    def tensors(self, state):
        return [OutputTensor("prediction", "BOOL", (-1,), lambda answers: [each["prediction"] for each in answers])]


KIND = Sign()
'''


@pytest.fixture(scope="module", autouse=True)
def _sign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder: Path = tmp_path_factory.mktemp("kinds")
    (folder / "sign.py").write_text(SIGN)
    fastmar_runtime.answers.__path__.append(str(folder))
    yield
    fastmar_runtime.answers.__path__.remove(str(folder))


SPEC = tiny.spec(decode={"decoder": "sign"})


def test_the_kind_is_found_by_its_module_name() -> None:
    assert "sign" in registry.names("answers")
    assert answer_kind(SPEC.decode).name == "sign"


def test_answers_and_documents_of_the_kind() -> None:
    predictor = tiny.predictor(decode=SPEC.decode)
    answers = predictor.predict([tiny.record(), tiny.record(age=20)])
    assert {type(answer["prediction"]) for answer in answers} == {bool}
    for answer in answers:
        Draft202012Validator(answer_schema(SPEC)).validate(answer)
    assert openapi(SPEC)["components"]["schemas"]["Answer"]["properties"]["prediction"] == {"type": "boolean"}
    [output] = protocol_v2.write({}, answers, SPEC)["outputs"]
    assert (output["shape"], output["datatype"]) == ([2], "BOOL")
    assert answer_kind(SPEC.decode).tensors(SPEC.decode)[0].metadata()["shape"] == [-1]
    assert payload.min_answer_bytes(SPEC) <= min(len(orjson.dumps(answer)) for answer in answers)


def test_a_change_of_the_kind_is_a_breaking_change() -> None:
    [change] = changes(replace(SPEC, decode=tiny.RAW_DECODER), SPEC)
    assert (change.level, change.where) == (BREAKING, "answer")
    assert changes(SPEC, SPEC) == []


def test_kinds_have_the_name_of_their_module_and_other_names_are_refused() -> None:
    for name in registry.names("answers"):
        assert answer_kind({"decoder": name}).name == name
    for state in ({}, {"decoder": "__init__"}, {"decoder": ["raw"]}, {"decoder": None}, {"decoder": "a.b"}):
        with pytest.raises(BundleUnreadable):
            load_decoder(state)


def test_decoders_do_not_change_the_output() -> None:
    output = np.array([[1.0, -1.0]], np.float32)
    for decode in (tiny.CATEGORY_DECODER, tiny.MULTI_DECODER, tiny.TWO_NUMBERS_DECODER, tiny.RAW_DECODER):
        load_decoder(decode)(output)
    assert output.tolist() == [[1.0, -1.0]]
