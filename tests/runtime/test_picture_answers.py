"""Picture models: answers match their schemas, golden pictures are reproduced."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from jsonschema import Draft202012Validator

from fastmar_runtime.geometry import Geometry, apply_layers
from fastmar_runtime.golden import OUTPUT, GoldenRecords, check_golden
from fastmar_runtime.pictures import Picture
from fastmar_runtime.schema import answer_schema, describe, record_schema
from tests.runtime import tiny_pictures as tiny

SENT = Geometry((200, 100), (200, 100))


def test_geometry_after_layers_of_the_graph() -> None:
    affine = {"layer": "affine", "size": [50, 25]}
    assert apply_layers(SENT, [affine]).scale == (4.0, 4.0)
    assert apply_layers(SENT, [{"layer": "normalize"}]) == SENT
    crop = {"layer": "random_resized_crop_gpu", "size": [10, 10], "ratio": [0.75, 1.0], "valid_scale": 0.8}
    geometry = apply_layers(SENT, [crop])
    assert (geometry.size, geometry.offset, geometry.scale) == ((10, 10), (60.0, 10.0), (8.0, 8.0))


def models() -> dict[str, Any]:
    points = np.array([[1, 0, 0, 1], [0, 1, 1, 0], [0, 0, 0, 0]])
    many = [f"c{i}" for i in range(120)]
    return {
        "label": tiny.predictor(),
        "top": tiny.predictor(
            tiny.graph(np.ones((3, 120)) * np.arange(120)), decode={**tiny.LABELS, "vocab": many, "top": 10}
        ),
        "labels": tiny.predictor(decode=tiny.SEVERAL),
        "numbers": tiny.predictor(decode=tiny.NUMBERS),
        "points": tiny.predictor(tiny.graph(points), decode=tiny.POINTS),
        "mask": tiny.predictor(tiny.mask_graph(), decode=tiny.MASK),
        "one class": tiny.predictor(tiny.mask_graph(1), decode=tiny.ONE_CLASS),
    }


@pytest.mark.parametrize("kind", models())
def test_answers_and_records_match_their_schemas(kind: str) -> None:
    model = models()[kind]
    records = [{"image": {"b64": tiny.b64(tiny.picture())}, "name": "a"}, {"image": tiny.b64(tiny.picture("blue"))}]
    for schema in (answer_schema(model.spec), record_schema(model.spec)):
        Draft202012Validator.check_schema(schema)
    for record in records:
        Draft202012Validator(record_schema(model.spec)).validate(record)
    for answer in model.predict([*records, Picture(tiny.picture(), "c", "original")]):
        Draft202012Validator(answer_schema(model.spec)).validate(orjson.loads(orjson.dumps(answer)))
    assert describe(model.spec)["kind"] == "vision"


@pytest.mark.parametrize("kind", models())
def test_golden_pictures_are_reproduced(kind: str) -> None:
    model = models()[kind]
    records = [{"image": {"b64": tiny.b64(tiny.encoded(tiny.noise(seed=s)))}, "name": str(s)} for s in range(3)]
    inputs, _ = model.preprocess(records)
    golden = GoldenRecords(records, model.predict(records), {**inputs, OUTPUT: model.run(inputs)})
    assert check_golden(model, golden) == 0.0


def test_top_labels() -> None:
    answer = models()["top"].predict([tiny.picture("white")])[0]
    assert list(answer["probabilities"])[:2] == ["c119", "c118"]
    assert len(answer["probabilities"]) == 10
