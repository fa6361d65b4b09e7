"""Texts: request bodies, groups of similar length, and checks of specs."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from fastmar_contract.errors import RequestError
from fastmar_runtime import payload
from fastmar_runtime.checks import check_spec
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.modalities.text.preprocessing import IDS, LENGTHS, MAX_IDS, PAD, TextPreprocessor
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Field, Spec, Tensor
from tests.runtime import tiny

TOKENS = ["xxunk", "xxpad", "good", "bad"]
SPEC = Spec(
    protocol=1,
    name="reviews",
    version="1.0",
    kind="text",
    runtime="0",
    fields=(Field("text", "text", nullable=False),),
    steps=({"step": "split_tokens", "split_char": " "}, {"step": "numericalize", "vocab": TOKENS}),
    inputs=(Tensor(IDS, "int64", ("batch", "time")), Tensor(LENGTHS, "int64", ("batch",))),
    outputs=(Tensor("output", "float32", ("batch", 2)),),
    decode={"decoder": "category", "activation": "softmax", "vocab": ["no", "yes"]},
    targets=("label",),
)


@given(st.lists(st.integers(1, 3000), max_size=40))
def test_groups_have_similar_lengths_and_a_limited_size(lengths: list[int]) -> None:
    groups, report = TextPreprocessor(SPEC).groups(["good " * (length - 1) + "bad" for length in lengths])
    assert not report.errors
    assert sorted(row for group in groups for row in group.rows) == list(range(len(lengths)))
    for group in groups:
        ids, sizes = group.inputs[IDS], group.inputs[LENGTHS]
        assert sizes.tolist() == [lengths[row] for row in group.rows]
        assert ids.shape == (len(group.rows), max(sizes))
        assert ids.size <= MAX_IDS or len(group.rows) == 1
        assert min(sizes) >= 0.7 * max(sizes)
        for row, size in zip(ids, sizes, strict=True):
            assert row.tolist() == [2] * (size - 1) + [3] + [PAD] * (max(sizes) - size)


def test_refused_records_are_in_no_group() -> None:
    groups, report = TextPreprocessor(SPEC).groups(["good", {"text": 1}, {"title": "good"}, None, {"text": "bad"}])
    assert {row: error.code for row, error in report.errors.items()} == {
        1: "not_a_text",
        2: "missing_column",
        3: "not_an_object",
    }
    assert sorted(row for group in groups for row in group.rows) == [0, 4]


def test_several_columns_are_joined() -> None:
    joined = {"step": "join_texts", "columns": ["title", "text"], "mark_fields": False}
    fields = (Field("title", "text"), Field("text", "text"))
    spec = replace(SPEC, fields=fields, steps=(joined, *SPEC.steps))
    inputs, _ = TextPreprocessor(spec)([{"text": "bad", "title": "good good"}])
    np.testing.assert_array_equal(inputs[IDS], [[2, 2, 3]])


def test_the_fix_of_an_unreadable_request_has_the_names_of_the_fields() -> None:
    fields = (Field("review", "text"), Field("title", "text"))
    for count, record in ((1, '{"review": "..."}'), (2, '{"review": "...", "title": "..."}')):
        with pytest.raises(RequestError) as caught:
            payload.read(b"3", "application/json", replace(SPEC, fields=fields[:count]))
        assert f" {record}, " in caught.value.fix
        assert ("text/plain" in caught.value.fix) == (count == 1)


@pytest.mark.parametrize(
    ("body", "content_type", "records"),
    [
        ("good 1.5, bad".encode("utf-16"), "text/plain; charset=utf-16", ["good 1.5, bad"]),
        (b" good\n", "text/plain", [" good\n"]),
        (b'{"text": "good"}', "text/plain", ['{"text": "good"}']),  # JSON may be the text, too
        (b'"good"', "application/json", ["good"]),
        (b'["good", {"text": "bad"}]', None, ["good", {"text": "bad"}]),
        (b"text\nNA\n", "text/csv", [{"text": "NA"}]),  # in a text no word means null
        (b"text\ngood\n", None, [{"text": "good"}]),
        (b'{"data": ["good", "bad"]}', "application/json", ["good", "bad"]),
    ],
)
def test_bodies(body: bytes, content_type: str | None, records: list[Any]) -> None:
    assert payload.read(body, content_type, SPEC).records == records


def form(*parts: tuple[str, str, bytes]) -> bytes:
    written = b""
    for head, media_type, content in parts:
        written += f"--x\r\nContent-Disposition: form-data; {head}\r\n".encode()
        written += f"Content-Type: {media_type}\r\n\r\n".encode() + content + b"\r\n"
    return written + b"--x--\r\n"


@pytest.mark.parametrize(
    ("body", "records"),
    [
        (form(('name="text"', "text/plain", b"good")), [{"text": "good"}]),
        (form(('name="a"; filename="a.txt"', "application/octet-stream", b"good")), ["good"]),
        (form(('name="a"; filename="a.csv"', "text/csv", b"text\ngood\nbad\n")), [{"text": "good"}, {"text": "bad"}]),
    ],
)
def test_forms(body: bytes, records: list[Any]) -> None:
    assert payload.read(body, "multipart/form-data; boundary=x", SPEC).records == records


def test_a_number_is_no_record() -> None:
    with pytest.raises(RequestError):
        payload.read(b"5", "application/json", SPEC)


@pytest.mark.parametrize(
    "change",
    [
        {"fields": (Field("text", "number"),)},
        {"fields": ()},
        {"steps": ({"step": "read_tab_batch", "cats": [], "conts": []}, *SPEC.steps)},
        {"inputs": SPEC.inputs[:1]},
    ],
)
def test_inconsistent_specs_are_refused(change: dict[str, Any]) -> None:
    check_spec(SPEC)
    with pytest.raises(BundleUnreadable):
        check_spec(replace(SPEC, **change))


HIDDEN = 512  # numbers for each id


def wide_graph() -> bytes:
    """``output = mean(ids[..., None] @ ones[1, HIDDEN])[:, :2]``: its memory is `HIDDEN` numbers for each id."""
    nodes = [
        helper.make_node("Cast", [IDS], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["floats", "last"], ["columns"]),
        helper.make_node("MatMul", ["columns", "ones"], ["hidden"]),
        helper.make_node("ReduceMean", ["hidden"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Slice", ["mean", "start", "end", "second"], ["output"]),
    ]
    weights = {"last": [2], "start": [0], "end": [2], "second": [1]}
    arrays = {name: np.array(value) for name, value in weights.items()} | {"ones": np.ones((1, HIDDEN), np.float32)}
    body = helper.make_graph(
        nodes,
        "wide",
        [
            helper.make_tensor_value_info(IDS, TensorProto.INT64, ["batch", "time"]),
            helper.make_tensor_value_info(LENGTHS, TensorProto.INT64, ["batch"]),
        ],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return bytes(helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep freed memory")
def test_the_memory_of_a_long_text_is_released() -> None:
    predictor = Predictor(SPEC, wide_graph())
    predictor.predict(["good " * 99 + "good"])
    before = psutil.Process().memory_info().rss
    count = 50_000
    [answer] = predictor.predict(["good " * (count - 1) + "good"])
    assert answer["prediction"] == "no"
    assert psutil.Process().memory_info().rss - before < count * HIDDEN * 4 / 2


def test_freed_memory_is_released_after_long_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr("fastmar_runtime.predictor.release_freed", lambda: calls.append(1))
    predictor = Predictor(SPEC, wide_graph())
    predictor.predict(["good " * 20] * 3)
    assert calls == [], "it takes longer than short texts"
    predictor.predict(["good " * 5000])
    assert calls == [1]
    tiny.predictor().predict([tiny.record()] * 5000)
    assert calls == [1], "a table needs the same memory for the next one"
