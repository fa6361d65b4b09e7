from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
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


def mismatch(spec=None, graph=None, samples=None):
    """What is said of a bundle whose parts are not those that its golden records were made with."""
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
    assert "output differs by" in mismatch(graph=tiny.graph(weights))


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        (with_step(0, fills={"age": 41.0}), "input x_cont differs"),
        (with_step(2, means={"age": 40.0, "hours": 39.0}), "input x_cont differs"),
        (with_step(2, stds={"age": 10.1, "hours": 8.0}), "input x_cont differs"),
        (with_step(3, cats=["grade", "workclass", "vip", "age_na"]), "input x_cat differs"),
        (with_step(3, conts=["hours", "age"]), "input x_cont differs"),
        (with_step(3, conts=["hours"]), "input x_cont is float32"),
        (with_vocabulary(grade=[7, 3, 11]), "input x_cat differs"),
        (with_vocabulary(workclass=["new", " Private", " State-gov", "NA"]), "input x_cat differs"),
        (with_vocabulary(age_na=[True, False]), "input x_cat differs"),
        (with_vocabulary(workclass=["Private", " State-gov", "NA"]), "the answer to golden record"),
    ],
)
def test_a_changed_step(spec, named):
    assert named in mismatch(spec)


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
    assert "golden record" in mismatch(tiny.spec(decode=decode))


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
    assert "golden record" in mismatch(spec, tiny.graph(tiny.weights_for(spec)), tiny.golden(model))


def test_a_refused_record():
    samples = tiny.golden(tiny.predictor())
    samples.records[2] = {}
    assert "golden record 2 was refused: the record has no 'workclass'" in mismatch(samples=samples)


def test_an_answer_is_missing():
    samples = tiny.golden(tiny.predictor())
    samples.answers.pop()
    assert "golden" in mismatch(samples=samples)


def test_an_output_that_is_no_number():
    assert "output" in mismatch(graph=tiny.graph(tiny.WEIGHTS * np.float32(np.nan)))


def test_a_graph_that_fails():
    samples = tiny.golden(Predictor(tiny.date_spec(), tiny.date_graph()), [{"saledate": "2024-01-31"}])
    assert "the graph fails" in mismatch(tiny.date_spec(), samples=samples)


@pytest.mark.parametrize(("factor", "reproduced"), [(0.5, True), (2.0, False)])
def test_tolerance(factor, reproduced):
    model = tiny.predictor()
    samples = tiny.golden(model)
    output = samples.arrays["output"]
    output[0] += np.float32(TOLERANCE * factor) * np.maximum(1, np.abs(output[0]))
    if reproduced:
        assert check_golden(model, samples) == pytest.approx(TOLERANCE * factor, rel=0.01)
    else:
        with pytest.raises(GoldenMismatch, match=r"output differs by 0\.0002 \(at most 0\.0001\)"):
            check_golden(model, samples)


def test_a_tie_may_fall_either_way():
    """Two classes as likely as each other: another machine's last bit decides."""
    model = Predictor(tiny.spec(), tiny.graph(np.full_like(tiny.WEIGHTS, 0.1)))
    samples = tiny.golden(model)
    for answer in samples.answers:
        assert answer["prediction"] == "<50k"
        answer.update(prediction=">=50k", index=1)
    assert check_golden(model, samples) == 0


def test_a_clear_case_may_not():
    samples = tiny.golden(tiny.predictor())
    answer = samples.answers[0]
    answer["index"] = 1 - answer["index"]
    answer["prediction"] = tiny.CATEGORY_DECODER["vocab"][answer["index"]]
    assert "golden record 0" in mismatch(samples=samples)


def test_large_values_are_compared_relatively():
    model = Predictor(tiny.spec(decode=tiny.RAW_DECODER), tiny.graph(tiny.WEIGHTS * 1e6))
    samples = tiny.golden(model)
    samples.arrays["output"] *= np.float32(1 + TOLERANCE / 2)
    check_golden(model, samples)


class TestFiles:
    @pytest.mark.parametrize("name", [RECORDS, ANSWERS, "golden/arrays/x_cat.npy", "golden/arrays/output.npy"])
    def test_missing(self, bundle, name):
        (bundle / name).unlink()
        with pytest.raises(BundleUnreadable):
            read_golden(BundleFiles(bundle), ["x_cat", "x_cont"])

    @pytest.mark.parametrize("data", [b"", b"no array", b"\x93NUMPY\x01\x00"])
    def test_damaged(self, bundle, data):
        (bundle / "golden/arrays/output.npy").write_bytes(data)
        with pytest.raises(BundleUnreadable, match=r"output\.npy"):
            read_golden(BundleFiles(bundle), ["x_cat", "x_cont"])

    def test_nothing_in_an_array_is_unpickled(self, bundle):
        buffer = io.BytesIO()
        np.save(buffer, np.array([object], dtype=object), allow_pickle=True)
        (bundle / "golden/arrays/output.npy").write_bytes(buffer.getvalue())
        with pytest.raises(BundleUnreadable, match=r"output\.npy"):
            read_golden(BundleFiles(bundle), ["x_cat", "x_cont"])

    def test_answers_are_those_of_a_caller(self, bundle):
        answers = orjson.loads((bundle / ANSWERS).read_bytes())
        assert [sorted(answer) for answer in answers] == [["index", "prediction", "probabilities", "warnings"]] * 4


def test_an_exported_archive_reproduces_its_golden_records(adult):
    model = Predictor.open(adult)
    assert check_golden(model, read_golden(BundleFiles(adult), ["x_cat", "x_cont"])) < 1e-5
