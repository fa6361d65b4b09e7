"""Bytes to pixels; formats and refusals are in test_pictures.py, fastai's own pixels in tests/export."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.runtime import tiny_pictures as tiny

from fastmar_contract.errors import RecordError
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.pictures import Picture
from fastmar_runtime.steps import load_step


def opened(data: bytes, **changes: Any) -> Any:
    return load_step({**tiny.OPENING, **changes})(Picture(data))


def turned(side: int = 6) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = side
    return tiny.encoded(tiny.noise((20, 10)), "PNG", exif=exif)


def test_a_photo_is_turned_only_where_that_was_asked_for() -> None:
    assert opened(turned()).image.size == (20, 10)
    picture = opened(turned(), exif_transpose=True)
    assert picture.image.size == picture.geometry.sent == (10, 20)
    expected = np.rot90(np.asarray(tiny.noise((20, 10))), -1)
    assert np.array_equal(np.asarray(picture.image), expected)


def test_grey() -> None:
    assert opened(tiny.encoded(tiny.noise()), mode="L").image.mode == "L"


def test_alpha_is_dropped_and_16_bits_are_clipped() -> None:
    image = Image.new("RGBA", (2, 1), (200, 100, 50, 0))
    assert np.asarray(opened(tiny.encoded(image)).image).tolist() == [[[200, 100, 50]] * 2]
    deep = Image.fromarray(np.array([[3, 300, 65535]], np.uint16))
    assert np.asarray(opened(tiny.encoded(deep)).image)[0, :, 0].tolist() == [3, 255, 255]


def test_the_first_frame() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = tiny.encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.asarray(opened(data).image)[0, 0].tolist() == [255, 0, 0]


def test_an_unknown_mode() -> None:
    with pytest.raises(BundleUnreadable):
        load_step({**tiny.OPENING, "mode": "CMYK"})


def refused(data: bytes, **changes: Any) -> str:
    with pytest.raises(RecordError) as caught:
        opened(data, **changes)
    return caught.value.code


def tiled(side: int) -> bytes:
    """A TIFF of 16 x 16 pixels in one tile of `side` x `side`, which is decoded whole."""
    compressed = zlib.compress(bytes(side * side), 9)
    entries = [(256, 3, 16), (257, 3, 16), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1)]
    entries += [(322, 4, side), (323, 4, side), (324, 4, 8), (325, 4, len(compressed))]
    table = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    header = struct.pack("<2sHI", b"II", 42, 8 + len(compressed))
    return header + compressed + struct.pack("<H", len(entries)) + table + bytes(4)


def test_tiles_larger_than_the_limit_are_refused_before_they_are_decoded() -> None:
    assert opened(tiled(32)).image.size == (16, 16)
    assert refused(tiled(400)) == "too_many_pixels"


def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded() -> None:
    honest = tiny.encoded(tiny.noise((64, 64)), "JPEG", progressive=True)
    assert opened(honest).image.size == (64, 64)
    last = honest.rindex(b"\xff\xda")
    scans = honest.count(b"\xff\xda")
    many = honest[:-2] + honest[last:-2] * (101 - scans) + honest[-2:]
    assert refused(many, max_bytes=10**8) == "damaged_picture"
    video = b"\xff\xda".join([bytes(8)] * 500)
    assert opened(honest + video).image.size == (64, 64), "phones put videos behind their photos"
    assert opened(honest[:-2] + honest[last:-2] * (100 - scans) + honest[-2:]).image.size == (64, 64)
