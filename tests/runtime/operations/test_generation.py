"""Generated texts and encodings: options, errors, events, schemas; `tests/export/test_generation.py` has the parity."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from tests.runtime import tiny_language

from fastmar_contract.errors import RecordError
from fastmar_runtime import payload
from fastmar_runtime import spec as spec_format
from fastmar_runtime.checks import check_spec
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.openapi import V30, V31, openapi
from fastmar_runtime.operations.generator import special_tokens
from fastmar_runtime.operations.generator.sampling import Sampling, choose
from fastmar_runtime.operations.kinds import options
from fastmar_runtime.payload import Request
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.schema import describe
from fastmar_runtime.service import Service
from fastmar_runtime.spec import Field, Tensor

PROBABLE = {"min_p": 0.5}  # only the most probable token
SPEC = tiny_language.spec()


def generate(**record: Any) -> dict[str, Any]:
    [answer] = tiny_language.predictor().predict([{"text": "it was", "generate": 3, **record}])
    return answer


def test_the_most_probable_tokens() -> None:
    assert generate(**PROBABLE) == {"text": "it was good and it", "generated": "good and it", "warnings": []}


def test_the_state_is_carried_along() -> None:
    """A token's weight grows with the number of its occurrences, so the third word is another with a reset state."""
    seen: list[Any] = []
    model = tiny_language.predictor()
    assert model.operations is not None
    run_all = model.operations._model.run_all  # type: ignore[attr-defined]

    def record(inputs: Any) -> Any:
        seen.append({name: array.copy() for name, array in inputs.items()})
        return run_all(inputs)

    object.__setattr__(model.operations._model, "run_all", record)  # type: ignore[attr-defined]
    model.predict([{"text": "it was", "generate": 3, **PROBABLE}])
    assert [each["ids"].shape[1] for each in seen] == [2, 1, 1], "the text is processed once"
    assert [each["h0"].sum() for each in seen] == [0, 2, 3]


def test_the_same_seed_gives_the_same_text() -> None:
    texts = [generate(generate=30, temperature=3, seed=seed)["text"] for seed in (1, 1, 2, 2**53 - 1)]
    assert texts[0] == texts[1]
    assert len(set(texts)) == 3
    assert len({generate(generate=30, temperature=3)["text"] for _ in range(3)}) == 3


def test_a_low_temperature_gives_the_most_probable_tokens() -> None:
    assert generate(temperature=1e-5)["generated"] == "good and it"


def test_unknown_words_are_generated_only_on_request() -> None:
    logits = np.zeros((tiny_language.SIZE,) * 2, np.float32)
    logits[:, 0] = 9
    model = Predictor(SPEC, tiny_language.graph(logits))
    record = {"text": "it", "generate": 20, "seed": 1}
    allowed, refused = model.predict([{**record, "no_unk": False}, record])
    assert "xxunk" in allowed["generated"]
    assert "xxunk" not in refused["generated"]


def test_a_min_p_above_all_probabilities_is_ignored_with_a_warning() -> None:
    answer = generate(min_p=1, temperature=1e-5)
    assert answer["generated"] == "good and it"
    assert [(warning["field"], warning["code"]) for warning in answer["warnings"]] == [("min_p", "min_p_too_high")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("generate", value) for value in (0, -1, 1001, 2.0, True, None, "3")),
        *(("temperature", value) for value in (0, -1, "1", True, float("nan"), float("inf"))),
        *(("min_p", value) for value in (-0.1, 1.1, "0", False)),
        *(("no_unk", value) for value in (1, "true")),
        *(("seed", value) for value in (-1, 1.5, 2**53, True, "1")),
    ],
)
def test_invalid_options(name: str, value: Any) -> None:
    error = generate(**{name: value})["error"]
    assert (error["code"], error["field"]) == ("invalid_option", name)


def test_null_is_the_default() -> None:
    nothing = {"temperature": None, "min_p": None, "no_unk": None, "seed": None}
    assert "error" not in generate(**nothing)


def test_errors_of_the_text() -> None:
    model = tiny_language.predictor()
    missing, other = model.predict([{"generate": 3}, {"text": 5, "embed": True}])
    assert missing["error"]["code"] == "missing_column"
    assert (other["error"]["field"], other["error"]["record"]) == ("text", 1)


def test_an_encoding() -> None:
    [answer, refused] = tiny_language.predictor().predict(
        [{"text": "it was it", "embed": True}, {"text": "", "embed": 1}]
    )
    expected = np.zeros(tiny_language.SIZE)
    expected[[6, 7]] = 2, 1
    assert answer == {"embedding": expected.tolist(), "warnings": []}
    assert refused["error"]["code"] == "invalid_option"


def test_operations_among_records_keep_their_places() -> None:
    records = ["it", {"text": "it", "generate": 1, **PROBABLE}, {"text": "was"}]
    first, text, last = tiny_language.predictor().predict(records)
    assert (first["prediction"], text["generated"], last["prediction"]) == ("was", "was", "good")


@pytest.mark.parametrize("name", ["seed", "generate", "embed"])
def test_a_column_with_the_name_of_an_option(name: str) -> None:
    assert options(SPEC) == ("generate", "embed")
    assert options(replace(SPEC, fields=(Field(name, "text", nullable=False),))) == ()


def service(max_response: int = 10**6) -> Service:
    return Service(tiny_language.predictor(), max_response)


def receive(record: Any, limit: int = 10**6) -> Any:
    body = json.dumps(record).encode()
    return service(limit).receive(lambda maximum: payload.read(body, "application/json", SPEC, None, maximum))


def test_a_text_counts_as_many_records() -> None:
    record = {"text": "it", "generate": 500}
    assert isinstance(receive([record] * 3), Request)
    refused = receive([record] * 1000)
    assert (refused.status, json.loads(refused.body)["error"]["code"]) == (413, "too_many_records")


def events(record: Any) -> list[bytes] | None:
    found = service().stream(receive(record))
    return None if found is None else list(found)


def test_events() -> None:
    answer = generate(**PROBABLE)
    *parts, last = events({"text": "it was", "generate": 3, **PROBABLE}) or []
    assert parts == [b'data: {"text":" %b"}\n\n' % word for word in (b"good", b"and", b"it")]
    assert last == b"event: answer\ndata: " + json.dumps(answer, separators=(",", ":")).encode() + b"\n\n"


@pytest.mark.parametrize(
    "record", ["it", {"text": "it"}, {"text": "it", "embed": True}, [{"text": "it", "generate": 1}]]
)
def test_other_answers_have_no_events(record: Any) -> None:
    assert events(record) is None


def test_an_invalid_record_has_no_events() -> None:
    assert events({"text": "it", "generate": 0}) is None


def test_an_error_within_a_text_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(special_tokens, "MAX_LENGTH", 20)
    *_, last = events({"text": "it was", "generate": 9, **PROBABLE}) or []
    assert last.startswith(b"event: error\ndata: ")
    assert b"text_too_long" in last


def decode(*tokens: str) -> list[str]:
    return special_tokens.Decoder()(tokens)


def test_special_tokens_in_parts() -> None:
    decoder = special_tokens.Decoder()
    assert [decoder([token]) for token in ("xxmaj", "it", "xxup", "was", "good")] == [[], ["It"], [], ["WAS"], ["good"]]


@pytest.mark.parametrize("rule", ["xxrep", "xxwrep"])
@pytest.mark.parametrize("count", ["999999999", "1000001", "1_000_001"])
def test_repetitions_are_limited(rule: str, count: str) -> None:
    with pytest.raises(RecordError) as caught:
        decode(rule, count, "a")
    assert caught.value.code == "text_too_long"


def test_many_repetitions_are_limited() -> None:
    with pytest.raises(RecordError):
        decode("xxwrep", "10000", *["a"] * 1000)


LOGITS = arrays(np.float32, st.integers(2, 30), elements=st.floats(-80, 80, width=32))


@given(LOGITS, st.floats(0.05, 20), st.none() | st.floats(0, 1))
def test_weights(logits: Any, temperature: float, min_p: float | None) -> None:
    """Weights are fastai's up to a factor, where its float32 powers don't underflow."""
    weights, all_lower = Sampling(temperature, min_p, 0).weights(logits)
    probabilities = np.exp(logits.astype(float) - logits.max())
    probabilities /= probabilities.sum()
    probabilities[0] = 0
    assert all_lower == (min_p is not None and not (probabilities >= min_p).any())
    if min_p is not None and not all_lower and not np.isclose(probabilities, min_p).any():
        probabilities[probabilities < min_p] = 0
        assert (weights > 0).sum() <= (probabilities > 0).sum()
    if min_p is None and probabilities.max() > 1e-9:
        expected = (probabilities / probabilities.max()) ** (1 / temperature)
        assert weights / weights.max() == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_choices_have_the_probabilities_of_their_weights() -> None:
    random = np.random.default_rng(1)
    weights = np.array([0.0, 2.0, 0.0, 6.0, 0.0])
    counts = np.bincount([choose(weights, random) for _ in range(4000)], minlength=5)
    assert counts[[0, 2, 4]].tolist() == [0, 0, 0]
    assert counts[3] / 4000 == pytest.approx(0.75, abs=0.03)


def test_spec_is_read_as_written() -> None:
    for changed in (SPEC, replace(SPEC, generator=None)):
        assert spec_format.from_dict(json.loads(json.dumps(spec_format.to_dict(changed)))) == changed


def with_state(**changes: Any) -> Any:
    *inputs, state = SPEC.inputs
    return replace(SPEC, inputs=(*inputs, replace(state, **changes)))


INVALID: dict[str, tuple[Any, str]] = {
    "no state": (replace(SPEC, inputs=SPEC.inputs[:2]), "states"),
    "a state that is not returned": (replace(SPEC, outputs=SPEC.outputs[:2]), "states"),
    "another size": (with_state(shape=("batch", 3)), "states"),
    "a state of any size": (with_state(shape=("batch", "size")), "h0"),
    "a huge state": (with_state(shape=("batch", 1 << 20)), "h0"),
    "a state of integers": (with_state(dtype="int64"), "h0"),
    "another vocabulary": (
        replace(SPEC, steps=(*SPEC.steps[:2], {"step": "numericalize", "vocab": ["xxunk", "a"]})),
        "vocabulary",
    ),
}


@pytest.mark.parametrize("name", INVALID)
def test_an_inconsistent_spec_is_refused(name: str) -> None:
    model, fact = INVALID[name]
    check_spec(SPEC)
    with pytest.raises(BundleUnreadable, match=fact):
        check_spec(model)


SENT = {
    "generate": {"text": "it", "generate": 2, "temperature": 0.5, "min_p": None, "no_unk": True, "seed": 1},
    "embed": {"text": "it", "embed": True},
}


@pytest.mark.parametrize("option", SENT)
def test_schemas_describe_records_and_answers(option: str) -> None:
    described = describe(SPEC)["generator"][option]
    record, answer = (Draft202012Validator(described[part]) for part in ("record", "answer"))
    record.validate(SENT[option])
    assert not record.is_valid({"text": "it"})
    assert not record.is_valid({**SENT[option], option: 0})
    [given] = tiny_language.predictor().predict([SENT[option]])
    answer.validate(given)
    assert not answer.is_valid({"prediction": "it", "warnings": []})


@pytest.mark.parametrize("version", [V30, V31])
def test_openapi_documents_have_an_operation_for_each_option(version: str) -> None:
    written = json.loads(json.dumps(openapi(SPEC, version)))
    {V30: OpenAPIV30SpecValidator, V31: OpenAPIV31SpecValidator}[version](written).validate()
    operations = {post["post"]["operationId"]: post["post"] for post in written["paths"].values() if "post" in post}
    assert {"generate", "embed"} <= operations.keys()
    for option in SENT:
        content = operations[option]["requestBody"]["content"]["application/json"]
        [answer] = tiny_language.predictor().predict([content["example"]])
        schema = operations[option]["responses"]["200"]["content"]["application/json"]["schema"]
        if version == V31:
            for part, value in ((content["schema"], content["example"]), (schema, answer)):
                Draft202012Validator({**part, "components": written["components"]}).validate(value)


def test_states_of_other_kinds_are_refused() -> None:
    state = Tensor("h0", "float32", ("batch", 4, 4))
    with pytest.raises(BundleUnreadable, match="h0"):
        check_spec(replace(SPEC, generator=None, inputs=(*SPEC.inputs[:2], state)))
