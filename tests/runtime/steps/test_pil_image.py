"""Bytes to pixels; formats and refusals are in test_pictures.py, fastai's own pixels in tests/export."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.runtime import tiny_pictures as tiny

from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.pictures import Picture
from fastmar_runtime.report import Report
from fastmar_runtime.steps import load_step


def opened(data: bytes, **changes: Any) -> Any:
    report = Report(1)
    batch = load_step({**tiny.OPENING, **changes})({"picture": [Picture(data)]}, report)
    assert not report.errors
    return batch


def turned(side: int = 6) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = side
    return tiny.encoded(tiny.noise((20, 10)), "PNG", exif=exif)


def test_a_photo_is_turned_only_where_that_was_asked_for() -> None:
    assert opened(turned())["image"][0].size == (20, 10)
    batch = opened(turned(), exif_transpose=True)
    assert batch["image"][0].size == batch["frame"][0].sent == (10, 20)
    expected = np.rot90(np.asarray(tiny.noise((20, 10))), -1)
    assert np.array_equal(np.asarray(batch["image"][0]), expected)


def test_grey() -> None:
    assert opened(tiny.encoded(tiny.noise()), mode="L")["image"][0].mode == "L"


def test_alpha_is_dropped_and_16_bits_are_clipped() -> None:
    image = Image.new("RGBA", (2, 1), (200, 100, 50, 0))
    assert np.asarray(opened(tiny.encoded(image))["image"][0]).tolist() == [[[200, 100, 50]] * 2]
    deep = Image.fromarray(np.array([[3, 300, 65535]], np.uint16))
    assert np.asarray(opened(tiny.encoded(deep))["image"][0])[0, :, 0].tolist() == [3, 255, 255]


def test_the_first_frame() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = tiny.encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.asarray(opened(data)["image"][0])[0, 0].tolist() == [255, 0, 0]


def test_what_was_refused_before_stays_so() -> None:
    report = Report(2)
    batch = load_step(tiny.OPENING)({"picture": [None, Picture(tiny.picture())]}, report)
    assert batch["image"][0] is None
    assert batch["frame"][0] is None
    assert batch["image"][1].size == (32, 24)


def test_an_unknown_mode() -> None:
    with pytest.raises(BundleUnreadable):
        load_step({**tiny.OPENING, "mode": "CMYK"})
