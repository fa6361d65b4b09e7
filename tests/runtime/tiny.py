"""A tiny table model: five columns, four steps and one matrix, made by hand without torch or fastai."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import orjson
from onnx import TensorProto, helper, numpy_helper

from fastmar_contract.date_parts import ELAPSED
from fastmar_contract.members import ANSWERS, ARRAYS, GRAPH, RECORDS, SPEC
from fastmar_contract.values import CATEGORY, DATE, NUMBER
from fastmar_runtime import __version__
from fastmar_runtime import spec as spec_format
from fastmar_runtime.golden import OUTPUT, GoldenRecords
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Field, Spec, Tensor
from fastmar_runtime.steps.add_datepart import PARTS

WEIGHTS = np.array(
    [[0.5, -0.5], [0.25, 0.1], [-1.0, 1.0], [0.3, 0.2], [0.7, -0.2], [-0.4, 0.9]],
    dtype=np.float32,
)

FIELDS = (
    Field("workclass", CATEGORY, categories=(" Private", " State-gov", "NA"), default=" Private"),
    Field("grade", CATEGORY, categories=(3, 7, 11), default=3),
    Field("vip", CATEGORY, categories=(False, True), default=False),
    Field("age", NUMBER, nullable=True, default=40.0, spread=10.0),
    Field("hours", NUMBER, nullable=False, default=38.0, spread=8.0),
)

STEPS: tuple[dict[str, Any], ...] = (
    {"step": "fill_missing", "fills": {"age": 40.0}, "add_col": True},
    {
        "step": "categorify",
        "vocabularies": {
            "workclass": [" Private", " State-gov", "NA"],
            "grade": [3, 7, 11],
            "vip": [False, True],
            "age_na": [False, True],
        },
    },
    {"step": "normalize", "means": {"age": 40.0, "hours": 38.0}, "stds": {"age": 10.0, "hours": 8.0}},
    {"step": "read_tab_batch", "cats": ["workclass", "grade", "vip", "age_na"], "conts": ["age", "hours"]},
)

CATEGORY_DECODER = {"decoder": "category", "vocab": ["<50k", ">=50k"], "activation": "softmax"}
MULTI_DECODER = {"decoder": "multi_category", "vocab": ["cat", "dog"], "activation": "sigmoid", "threshold": 0.5}
ONE_NUMBER_DECODER = {"decoder": "regression", "size": 1, "activation": "identity"}
TWO_NUMBERS_DECODER = {"decoder": "regression", "size": 2, "activation": "identity"}
RAW_DECODER = {"decoder": "raw"}

DATE_PARTS = ["Year", "Month", "Week", "Is_month_end", "Elapsed"]


def record(**changes: Any) -> dict[str, Any]:
    """A record without warnings, with `changes`; a change to Ellipsis removes the column."""
    columns = {"workclass": " Private", "grade": 7, "vip": True, "age": 49, "hours": 40.5} | changes
    return {name: value for name, value in columns.items() if value is not ...}


def spec(**changes: Any) -> Spec:
    size = 1 if changes.get("decode") == ONE_NUMBER_DECODER else 2
    base = Spec(
        protocol=1,
        name="tiny",
        version="1.0",
        kind="tabular",
        runtime=__version__,
        fields=FIELDS,
        steps=STEPS,
        inputs=(Tensor("x_cat", "int64", ("batch", 4)), Tensor("x_cont", "float32", ("batch", 2))),
        outputs=(Tensor("output", "float32", ("batch", size)),),
        decode=CATEGORY_DECODER,
        targets=("salary",),
        provenance={},
    )
    return replace(base, **changes)


def date_spec() -> Spec:
    """A model with a date, whose network takes the date parts as numbers; see `date_graph`."""
    steps = (
        {"step": "add_datepart", "date": "saledate", "prefix": "sale", "parts": DATE_PARTS, "elapsed_divisor": 1},
        {"step": "read_tab_batch", "cats": [], "conts": ["sale" + part for part in DATE_PARTS]},
    )
    fields = (
        Field("saledate", DATE, optional=True, aliases=("saleDate", "sale")),
        *(Field("sale" + part, NUMBER, nullable=False, optional=True) for part in DATE_PARTS),
    )
    inputs = (Tensor("x_cont", "float32", ("batch", len(DATE_PARTS))),)
    outputs = (Tensor("output", "float32", ("batch", len(DATE_PARTS))),)
    return spec(steps=steps, fields=fields, inputs=inputs, outputs=outputs, decode=RAW_DECODER)


def date_parts(text: str) -> dict[str, int | bool]:
    """A record of `date_spec` with the parts of a date."""
    date = datetime.fromisoformat(text)
    elapsed = (date - datetime(1970, 1, 1)).days * 86400
    return {f"sale{part}": elapsed if part == ELAPSED else PARTS[part](date) for part in DATE_PARTS}


def graph(weights: Any = WEIGHTS) -> bytes:
    """``output = concat(x_cat, x_cont) @ weights``."""
    nodes = [
        helper.make_node("Cast", ["x_cat"], ["cats"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["cats", "x_cont"], ["x"], axis=1),
        helper.make_node("MatMul", ["x", "weights"], ["output"]),
    ]
    inputs = [
        helper.make_tensor_value_info("x_cat", TensorProto.INT64, ["batch", 4]),
        helper.make_tensor_value_info("x_cont", TensorProto.FLOAT, ["batch", 2]),
    ]
    return _model(nodes, inputs, np.asarray(weights, dtype=np.float32))


def date_graph() -> bytes:
    """``output = x_cont``: the outputs are the results of the steps."""
    size = len(DATE_PARTS)
    nodes = [helper.make_node("MatMul", ["x_cont", "weights"], ["output"])]
    inputs = [helper.make_tensor_value_info("x_cont", TensorProto.FLOAT, ["batch", size])]
    return _model(nodes, inputs, np.eye(size, dtype=np.float32))


def _model(nodes: list[Any], inputs: list[Any], weights: Any) -> bytes:
    outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", weights.shape[1]])]
    body = helper.make_graph(nodes, "tiny", inputs, outputs, [numpy_helper.from_array(weights, "weights")])
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def weights_for(spec: Spec) -> Any:
    return WEIGHTS[:, : spec.outputs[0].shape[1]]  # type: ignore[misc]


def predictor(**changes: Any) -> Predictor:
    model = spec(**changes)
    return Predictor(model, graph(weights_for(model)))


def golden(model: Predictor, records: list[Any] | None = None) -> GoldenRecords:
    records = records or [
        record(),
        record(workclass="Private", grade=3, age=20, hours=60),
        record(workclass="never seen", vip=False, age=None, hours=10),
        record(workclass=" State-gov", grade=11, hours=-20.0, extra=1),
    ]
    inputs, _ = model.preprocess(records)
    return GoldenRecords(records, model.predict(records), {**inputs, OUTPUT: model.run(inputs)})


def write_bundle(folder: Path, model: Spec | None = None, network: bytes | None = None) -> Path:
    """A bundle as TorchServe unpacks it."""
    model = model or spec()
    network = network or graph(weights_for(model))
    return write_files(folder, model, network, golden(Predictor(model, network)))


def write_files(folder: Path, model: Spec, network: bytes, samples: GoldenRecords) -> Path:
    """The files of a bundle."""
    (folder / "golden" / "arrays").mkdir(parents=True)
    (folder / SPEC).write_bytes(orjson.dumps(spec_format.to_dict(model)))
    (folder / GRAPH).write_bytes(network)
    (folder / RECORDS).write_bytes(orjson.dumps(samples.records))
    (folder / ANSWERS).write_bytes(orjson.dumps(samples.answers))
    for name, array in samples.arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        (folder / ARRAYS.format(name=name)).write_bytes(buffer.getvalue())
    (folder / "model-config.yaml").write_text("minWorkers: 1\nmaxWorkers: 1\nfastmar:\n  threads: 1\n")
    return folder


def rewrite_spec(folder: Path, **changes: Any) -> None:
    """Change parts of a bundle's spec.json."""
    path = folder / SPEC
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | changes))
