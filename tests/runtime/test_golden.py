from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import onnxruntime as ort
import orjson
import pytest

from fastmar_contract.agreement import TOLERANCE
from fastmar_contract.members import ANSWERS, RECORDS
from fastmar_runtime.errors import BundleUnreadable, GoldenMismatch
from fastmar_runtime.golden import check_golden, read_golden
from fastmar_runtime.predictor import BundleFiles, Predictor
from tests.runtime import tiny

DECODERS = [
    tiny.CATEGORY_DECODER,
    tiny.MULTI_DECODER,
    tiny.ONE_NUMBER_DECODER,
    tiny.TWO_NUMBERS_DECODER,
    tiny.RAW_DECODER,
]


def mismatch_message(spec=None, graph=None, samples=None):
    """The message for golden records that were made with another spec or graph."""
    original = tiny.predictor()
    samples = samples or tiny.golden(original)
    model = Predictor(spec or tiny.spec(), graph or tiny.graph())
    with pytest.raises(GoldenMismatch) as caught:
        check_golden(model, samples)
    assert "\n" not in caught.value.message
    assert "\n" not in caught.value.fix
    assert caught.value.fix
    return caught.value.message


def with_step(index, **state):
    steps = list(tiny.STEPS)
    steps[index] = {**steps[index], **state}
    return tiny.spec(steps=tuple(steps))


def with_vocabulary(**vocabularies):
    return with_step(1, vocabularies={**tiny.STEPS[1]["vocabularies"], **vocabularies})


@pytest.mark.parametrize("decode", DECODERS, ids=lambda d: d["decoder"])
def test_reproduced(decode):
    model = tiny.predictor(decode=decode)
    assert check_golden(model, tiny.golden(model)) == 0


def test_read_from_a_bundle(bundle):
    samples = read_golden(BundleFiles(bundle), ["x_cat", "x_cont"])
    assert check_golden(Predictor.open(bundle), samples) == 0


@pytest.mark.parametrize("row", range(6))
def test_a_changed_weight(row):
    weights = tiny.WEIGHTS.copy()
    weights[row, 0] += 0.01
    assert "output" in mismatch_message(graph=tiny.graph(weights))


@pytest.mark.parametrize(
    ("spec", "fact"),
    [
        (with_step(0, fills={"age": 41.0}), "x_cont"),
        (with_step(2, means={"age": 40.0, "hours": 39.0}), "x_cont"),
        (with_step(2, stds={"age": 10.1, "hours": 8.0}), "x_cont"),
        (with_step(3, cats=["grade", "workclass", "vip", "age_na"]), "x_cat"),
        (with_step(3, conts=["hours", "age"]), "x_cont"),
        (with_step(3, conts=["hours"]), "x_cont"),
        (with_vocabulary(grade=[7, 3, 11]), "x_cat"),
        (with_vocabulary(workclass=["new", " Private", " State-gov", "NA"]), "x_cat"),
        (with_vocabulary(age_na=[True, False]), "x_cat"),
        (with_vocabulary(workclass=["Private", " State-gov", "NA"]), "golden record"),
    ],
)
def test_a_changed_step(spec, fact):
    assert fact in mismatch_message(spec)


@pytest.mark.parametrize(
    "decode",
    [
        {**tiny.CATEGORY_DECODER, "vocab": ["<50K", ">=50k"]},
        {**tiny.CATEGORY_DECODER, "vocab": [">=50k", "<50k"]},
        {**tiny.CATEGORY_DECODER, "activation": "sigmoid"},
        tiny.RAW_DECODER,
        tiny.MULTI_DECODER,
    ],
)
def test_a_changed_label_or_decoder(decode):
    assert "golden record" in mismatch_message(tiny.spec(decode=decode))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (tiny.MULTI_DECODER, {**tiny.MULTI_DECODER, "threshold": 0.9}),
        (tiny.MULTI_DECODER, {**tiny.MULTI_DECODER, "vocab": ["cat", "dogs"]}),
        (tiny.ONE_NUMBER_DECODER, {**tiny.ONE_NUMBER_DECODER, "activation": "sigmoid"}),
        (tiny.TWO_NUMBERS_DECODER, {**tiny.TWO_NUMBERS_DECODER, "activation": "sigmoid"}),
    ],
)
def test_a_changed_decoder_of_other_models(before, after):
    model = tiny.predictor(decode=before)
    spec = replace(model.spec, decode=after)
    assert "golden record" in mismatch_message(spec, tiny.graph(tiny.weights_for(spec)), tiny.golden(model))


def test_a_refused_record():
    samples = tiny.golden(tiny.predictor())
    samples.records[2] = {}
    assert "golden record 2 was refused" in mismatch_message(samples=samples)


def test_a_missing_answer():
    samples = tiny.golden(tiny.predictor())
    samples.answers.pop()
    assert "golden" in mismatch_message(samples=samples)


def test_an_output_of_nan():
    assert "output" in mismatch_message(graph=tiny.graph(tiny.WEIGHTS * np.float32(np.nan)))


def test_a_graph_that_fails():
    samples = tiny.golden(Predictor(tiny.date_spec(), tiny.date_graph()), [{"saledate": "2024-01-31"}])
    assert "graph" in mismatch_message(tiny.date_spec(), samples=samples)


@pytest.mark.parametrize(("factor", "reproduced"), [(0.5, True), (2.0, False)])
def test_tolerance(factor, reproduced):
    model = tiny.predictor()
    samples = tiny.golden(model)
    output = samples.arrays["output"]
    output[0] += np.float32(TOLERANCE * factor) * np.maximum(1, np.abs(output[0]))
    if reproduced:
        assert check_golden(model, samples) == pytest.approx(TOLERANCE * factor, rel=0.01)
    else:
        with pytest.raises(GoldenMismatch) as caught:
            check_golden(model, samples)
        assert "0.0002" in caught.value.message


def test_ties_may_be_decided_differently():
    """With equal probabilities, the last bit decides, which differs between machines."""
    model = Predictor(tiny.spec(), tiny.graph(np.full_like(tiny.WEIGHTS, 0.1)))
    samples = tiny.golden(model)
    for answer in samples.answers:
        assert answer["prediction"] == "<50k"
        answer.update(prediction=">=50k", index=1)
    assert check_golden(model, samples) == 0


def test_a_clear_prediction_must_not_change():
    samples = tiny.golden(tiny.predictor())
    answer = samples.answers[0]
    answer["index"] = 1 - answer["index"]
    answer["prediction"] = tiny.CATEGORY_DECODER["vocab"][answer["index"]]
    assert "golden record 0" in mismatch_message(samples=samples)


def test_large_values_are_compared_relatively():
    model = Predictor(tiny.spec(decode=tiny.RAW_DECODER), tiny.graph(tiny.WEIGHTS * 1e6))
    samples = tiny.golden(model)
    samples.arrays["output"] *= np.float32(1 + TOLERANCE / 2)
    check_golden(model, samples)


def test_a_mismatch_names_the_versions_of_onnxruntime():
    other = tiny.golden(tiny.predictor())
    other.arrays["output"] += 1
    for recorded, message, fix in (
        ("1.0.7", f"exported with onnxruntime 1.0.7; installed is {ort.__version__}.", "or install onnxruntime 1.0.7."),
        (ort.__version__, "over the tolerance", "copy the archive again"),
        (None, "over the tolerance", "copy the archive again"),
    ):
        with pytest.raises(GoldenMismatch) as caught:
            check_golden(tiny.predictor(provenance={"onnxruntime": recorded}), other)
        assert message in caught.value.message
        assert fix in caught.value.fix
        assert f"onnxruntime {ort.__version__}" in caught.value.fix


class TestFiles:
    @pytest.mark.parametrize("name", [RECORDS, ANSWERS, "golden/arrays/x_cat.npy", "golden/arrays/output.npy"])
    def test_missing(self, bundle, name):
        (bundle / name).unlink()
        with pytest.raises(BundleUnreadable):
            read_golden(BundleFiles(bundle), ["x_cat", "x_cont"])

    @pytest.mark.parametrize("data", [b"", b"no array", b"\x93NUMPY\x01\x00"])
    def test_damaged(self, bundle, data):
        (bundle / "golden/arrays/output.npy").write_bytes(data)
        with pytest.raises(BundleUnreadable) as caught:
            read_golden(BundleFiles(bundle), ["x_cat", "x_cont"])
        assert caught.value.code == "array_damaged"
        assert "output.npy" in caught.value.message

    def test_arrays_are_not_unpickled(self, bundle):
        buffer = io.BytesIO()
        np.save(buffer, np.array([object], dtype=object), allow_pickle=True)
        (bundle / "golden/arrays/output.npy").write_bytes(buffer.getvalue())
        with pytest.raises(BundleUnreadable) as caught:
            read_golden(BundleFiles(bundle), ["x_cat", "x_cont"])
        assert caught.value.code == "array_damaged"
        assert "output.npy" in caught.value.message

    def test_golden_answers_have_the_keys_of_answers(self, bundle):
        answers = orjson.loads((bundle / ANSWERS).read_bytes())
        assert [sorted(answer) for answer in answers] == [["index", "prediction", "probabilities", "warnings"]] * 4


def test_an_exported_archive_reproduces_its_golden_records(adult):
    model = Predictor.open(adult)
    assert check_golden(model, read_golden(BundleFiles(adult), ["x_cat", "x_cont"])) < 1e-5
