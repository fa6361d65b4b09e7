"""Points and masks: their numbers, and where they lie in the picture that was sent."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from jsonschema import Draft202012Validator

from fastmar_runtime.answers import load_decoder
from fastmar_runtime.frames import Frame, through_layers
from fastmar_runtime.golden import OUTPUT, Golden, check_golden
from fastmar_runtime.masks import read_png
from fastmar_runtime.pictures import Picture
from fastmar_runtime.schema import answer_schema, describe, record_schema
from tests.runtime import tiny_pictures as tiny

SENT = Frame((200, 100), (200, 100))


def test_points_in_the_models_pixels_and_in_the_pictures() -> None:
    frame = SENT.cut((50, 0), (100, 100), (64, 64))
    output = np.array([[-1, -1, 1, 1, 0, 0.5]], np.float32)
    answer = load_decoder({"decoder": "points", "size": 6})(output, [frame])[0]
    assert answer["points_model"] == [[0, 0], [64, 64], [32, 48]]
    assert answer["prediction"] == [[50, 0], [150, 100], [100, 75]]


def test_a_mask_in_the_models_size() -> None:
    output = np.zeros((1, 3, 4, 5), np.float32)
    output[0, 2, 1:3, :2] = 1
    decode = load_decoder(tiny.MASK)
    prediction = decode(output, [Frame((5, 4), (5, 4))])[0]["prediction"]
    mask = read_png(prediction["mask"])
    assert np.array_equal(mask, output.argmax(1)[0])
    assert (prediction["width"], prediction["height"]) == (5, 4)
    assert prediction["classes"] == [
        {"index": 0, "name": "red", "pixels": 16},
        {"index": 2, "name": "blue", "pixels": 4},
    ]


def test_a_mask_in_the_pictures_size() -> None:
    """Each model pixel covers ten of the picture; what was cut away to the left and right has no class."""
    frame = Frame((60, 40), (60, 40), mask_size="original").cut((10, 0), (40, 40), (4, 4))
    output = np.zeros((1, 3, 4, 4), np.float32)
    output[0, 1, :, 2:] = 1
    prediction = load_decoder(tiny.MASK)(output, [frame])[0]["prediction"]
    mask = read_png(prediction["mask"])
    assert mask.shape == (40, 60)
    assert (mask[:, :10] == 255).all()
    assert (mask[:, 10:30] == 0).all()
    assert (mask[:, 30:50] == 1).all()
    assert (mask[:, 50:] == 255).all()
    assert prediction["classes"][-1] == {"index": 255, "name": None, "pixels": 800}


def test_padding_is_no_part_of_the_picture() -> None:
    frame = Frame((40, 20), (40, 20), mask_size="original").cut((0, -10), (40, 40), (8, 8))
    output = np.zeros((1, 3, 8, 8), np.float32)
    output[0, 2, 2:6] = 1
    prediction = load_decoder(tiny.MASK)(output, [frame])[0]["prediction"]
    assert (read_png(prediction["mask"]) == 2).all()
    assert prediction["classes"] == [{"index": 2, "name": "blue", "pixels": 800}]


def test_one_class_by_its_threshold() -> None:
    output = np.array([[[[-1.0, 0.0, 1e-3, 5.0]]]], np.float32)
    prediction = load_decoder(tiny.ONE_CLASS)(output, [Frame((4, 1), (4, 1))])[0]["prediction"]
    assert read_png(prediction["mask"]).tolist() == [[0, 0, 1, 1]]


def test_more_classes_than_a_byte_holds() -> None:
    output = np.zeros((1, 400, 2, 2), np.float32)
    output[0, 399, 0, 0] = 1
    state = {"decoder": "segmentation", "activation": "softmax", "classes": [f"c{i}" for i in range(300)]}
    prediction = load_decoder(state)(output, [Frame((2, 2), (2, 2))])[0]["prediction"]
    assert read_png(prediction["mask"]).tolist() == [[399, 0], [0, 0]]
    assert prediction["classes"][1]["name"] == "399"


def test_layers_of_the_graph_move_places_too() -> None:
    affine = {"layer": "affine", "size": [50, 25]}
    assert through_layers(SENT, [affine]).scale == (4.0, 4.0)
    assert through_layers(SENT, [{"layer": "normalize"}]) == SENT
    crop = {"layer": "random_resized_crop_gpu", "size": [10, 10], "ratio": [0.75, 1.0], "valid_scale": 0.8}
    frame = through_layers(SENT, [crop])
    assert (frame.size, frame.offset, frame.scale) == ((10, 10), (60.0, 10.0), (8.0, 8.0))


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
def test_answers_and_records_fit_their_schemas(kind: str) -> None:
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
    golden = Golden(records, model.predict(records), {**inputs, OUTPUT: model.run(inputs)})
    assert check_golden(model, golden) == 0.0


def test_the_largest_of_many_labels() -> None:
    answer = models()["top"].predict([tiny.picture("white")])[0]
    assert list(answer["probabilities"])[:2] == ["c119", "c118"]
    assert len(answer["probabilities"]) == 10
