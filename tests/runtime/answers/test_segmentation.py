"""Answers with masks, in the size of the network or of the original picture."""

from __future__ import annotations

import numpy as np
from tests.runtime import tiny_pictures as tiny

from fastmar_runtime.answers import load_decoder
from fastmar_runtime.geometry import Geometry
from fastmar_runtime.masks import read_png


def test_a_mask_of_the_models_size() -> None:
    output = np.zeros((1, 3, 4, 5), np.float32)
    output[0, 2, 1:3, :2] = 1
    decode = load_decoder(tiny.MASK)
    prediction = decode(output, [Geometry((5, 4), (5, 4))])[0]["prediction"]
    mask = read_png(prediction["mask"])
    assert np.array_equal(mask, output.argmax(1)[0])
    assert (prediction["width"], prediction["height"]) == (5, 4)
    assert prediction["classes"] == [
        {"index": 0, "name": "red", "pixels": 16},
        {"index": 2, "name": "blue", "pixels": 4},
    ]


def test_a_mask_of_the_original_size() -> None:
    """Each model pixel covers ten original pixels; pixels that were cropped away left and right have no class."""
    geometry = Geometry((60, 40), (60, 40), mask_size="original").crop((10, 0), (40, 40), (4, 4))
    output = np.zeros((1, 3, 4, 4), np.float32)
    output[0, 1, :, 2:] = 1
    prediction = load_decoder(tiny.MASK)(output, [geometry])[0]["prediction"]
    mask = read_png(prediction["mask"])
    assert mask.shape == (40, 60)
    assert (mask[:, :10] == 255).all()
    assert (mask[:, 10:30] == 0).all()
    assert (mask[:, 30:50] == 1).all()
    assert (mask[:, 50:] == 255).all()
    assert prediction["classes"][-1] == {"index": 255, "name": None, "pixels": 800}


def test_padding_is_removed() -> None:
    geometry = Geometry((40, 20), (40, 20), mask_size="original").crop((0, -10), (40, 40), (8, 8))
    output = np.zeros((1, 3, 8, 8), np.float32)
    output[0, 2, 2:6] = 1
    prediction = load_decoder(tiny.MASK)(output, [geometry])[0]["prediction"]
    assert (read_png(prediction["mask"]) == 2).all()
    assert prediction["classes"] == [{"index": 2, "name": "blue", "pixels": 800}]


def test_one_output_with_a_threshold() -> None:
    output = np.array([[[[-1.0, 0.0, 1e-3, 5.0]]]], np.float32)
    prediction = load_decoder(tiny.ONE_CLASS)(output, [Geometry((4, 1), (4, 1))])[0]["prediction"]
    assert read_png(prediction["mask"]).tolist() == [[0, 0, 1, 1]]


def test_masks_of_more_than_256_classes_have_16_bits() -> None:
    output = np.zeros((1, 400, 2, 2), np.float32)
    output[0, 399, 0, 0] = 1
    state = {"decoder": "segmentation", "activation": "softmax", "classes": [f"c{i}" for i in range(300)]}
    prediction = load_decoder(state)(output, [Geometry((2, 2), (2, 2))])[0]["prediction"]
    assert read_png(prediction["mask"]).tolist() == [[399, 0], [0, 0]]
    assert prediction["classes"][1]["name"] == "399"
