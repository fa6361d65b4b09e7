"""Explanations of pictures: the grid, the area in the picture that was sent, errors and schemas."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from PIL import Image
from tests.runtime import tiny_pictures

from fastmar_runtime.openapi import V30, V31, openapi
from fastmar_runtime.operations.explainer.occlusion import CELLS
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.schema import describe

SIDE = 8 * CELLS  # of the pictures
PLAIN = {"steps": (tiny_pictures.OPENING, tiny_pictures.TO_TENSOR)}
EQUAL = 1e-5


def model(**changes: Any) -> Predictor:
    return Predictor(tiny_pictures.spec(**{**PLAIN, **changes}), tiny_pictures.graph())


def red_corner() -> Any:
    """A blue picture whose upper left cell is red, [height, width, 3]."""
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[..., 2] = 100
    pixels[:8, :8] = (255, 0, 0)
    return pixels


def record(pixels: Any, **more: Any) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return {"image": {"b64": base64.b64encode(buffer.getvalue()).decode()}, **more}


def test_each_cell_is_equal_to_the_answer_without_it() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    predictor = model()
    [answer] = predictor.predict([record(pixels)])
    [explained] = predictor.predict([record(pixels, explain=True)])
    assert explained["answer"] | {"warnings": explained["warnings"]} == answer
    assert explained["value"] == answer["probabilities"][explained["outcome"]]
    assert np.shape(explained["grid"]) == (CELLS, CELLS)
    mean = pixels.mean(axis=(0, 1)).round()
    for row, effects in enumerate(explained["grid"]):
        for column, effect in enumerate(effects):
            copy = pixels.copy()
            copy[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = mean
            [without] = predictor.predict([record(copy)])
            expected = explained["value"] - without["probabilities"][explained["outcome"]]
            assert effect == pytest.approx(expected, abs=EQUAL)


def test_the_cell_with_another_colour_has_the_largest_effect() -> None:
    [explained] = model().predict([record(red_corner(), explain=True)])
    grid = np.array(explained["grid"])
    assert explained["outcome"] == "blue"
    assert np.unravel_index(np.abs(grid).argmax(), grid.shape) == (0, 0)
    assert grid[0, 0] < 0, "without the red cell the picture is bluer"


def test_the_area_is_in_pixels_of_the_picture_that_was_sent() -> None:
    [explained] = model().predict([record(red_corner(), explain=True)])
    assert explained["area"] == [0, 0, SIDE, SIDE]
    wide = np.zeros((120, 320, 3), np.uint8)
    steps = (tiny_pictures.OPENING, tiny_pictures.RESIZE, tiny_pictures.TO_TENSOR)  # crops to 16 x 12
    [explained] = model(steps=steps).predict([record(wide, explain=True)])
    left, top, right, bottom = explained["area"]
    assert (top, bottom) == (0, 120)
    assert right - left == pytest.approx(160, abs=20)
    assert (left + right) / 2 == pytest.approx(160, abs=20)


def test_only_what_a_crop_in_the_graph_leaves_is_divided() -> None:
    layer = {"layer": "random_resized_crop_gpu", "size": [SIDE, SIDE], "ratio": [0.1, 10.0], "valid_scale": 0.5}
    quarter = SIDE // 4
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[quarter : quarter + 4, quarter : quarter + 4] = (0, 255, 0)  # the first cell of what is left
    [explained] = model(layers=(layer,)).predict([record(pixels, explain=True)])
    assert explained["area"] == [quarter, quarter, SIDE - quarter, SIDE - quarter]
    grid = np.abs(explained["grid"])
    assert (grid.argmax(), grid.max() > 2 * np.sort(grid.ravel())[-2]) == (0, True)


def test_numbers_are_explained_too() -> None:
    decode = {"decoder": "regression", "size": 1, "activation": "identity"}
    graph = tiny_pictures.graph([[1], [0], [0]])
    outputs = (tiny_pictures.Tensor("output", "float32", ("batch", 1)),)
    predictor = Predictor(tiny_pictures.spec(**PLAIN, decode=decode, outputs=outputs), graph)
    [explained] = predictor.predict([record(red_corner(), explain=True)])
    assert explained["outcome"] == "label"
    assert explained["value"] == explained["answer"]["prediction"]
    assert explained["grid"][0][0] > 0


def test_an_unreadable_picture_is_refused_at_its_place() -> None:
    bad = {"image": {"b64": "AAAA"}, "explain": True}
    first, refused = model().predict([record(red_corner()), bad])
    assert "prediction" in first
    [alone] = model().predict([{"image": bad["image"]}])
    assert refused["error"] == {**alone["error"], "record": 1}


@pytest.mark.parametrize("decode", [tiny_pictures.SEVERAL, tiny_pictures.MASK])
def test_other_answers_are_not_explained(decode: Any) -> None:
    assert "explainer" not in describe(tiny_pictures.spec(decode=decode))


@pytest.mark.parametrize("version", [V30, V31])
def test_schemas_describe_the_record_and_the_explanation(version: str) -> None:
    predictor = model()
    [explained] = predictor.predict([record(red_corner(), explain=True)])
    described = describe(predictor.spec)["explainer"]["explain"]
    Draft202012Validator(described["record"]).validate(record(red_corner(), explain=True))
    Draft202012Validator(described["answer"]).validate(explained)
    written = json.loads(json.dumps(openapi(predictor.spec, version)))
    {V30: OpenAPIV30SpecValidator, V31: OpenAPIV31SpecValidator}[version](written).validate()
    operations = {each["post"]["operationId"]: each["post"] for each in written["paths"].values() if "post" in each}
    schema = operations["explain"]["responses"]["200"]["content"]["application/json"]["schema"]
    if version == V31:
        Draft202012Validator({**schema, "components": written["components"]}).validate(explained)
