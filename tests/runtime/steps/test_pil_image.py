"""Decoding pictures; test_pictures.py has formats and refusals, tests/export compares pixels with fastai."""

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


def decode(data: bytes, **changes: Any) -> Any:
    return load_step({**tiny.OPENING, **changes})(Picture(data))


def rotated_by_exif(side: int = 6) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = side
    return tiny.encoded(tiny.noise((20, 10)), "PNG", exif=exif)


def test_a_photo_is_rotated_only_on_request() -> None:
    assert decode(rotated_by_exif()).image.size == (20, 10)
    picture = decode(rotated_by_exif(), exif_transpose=True)
    assert picture.image.size == picture.geometry.sent == (10, 20)
    expected = np.rot90(np.asarray(tiny.noise((20, 10))), -1)
    assert np.array_equal(np.asarray(picture.image), expected)


def test_grey() -> None:
    assert decode(tiny.encoded(tiny.noise()), mode="L").image.mode == "L"


def test_alpha_is_dropped_and_16_bits_are_clipped() -> None:
    image = Image.new("RGBA", (2, 1), (200, 100, 50, 0))
    assert np.asarray(decode(tiny.encoded(image)).image).tolist() == [[[200, 100, 50]] * 2]
    deep = Image.fromarray(np.array([[3, 300, 65535]], np.uint16))
    assert np.asarray(decode(tiny.encoded(deep)).image)[0, :, 0].tolist() == [3, 255, 255]


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = tiny.encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.asarray(decode(data).image)[0, 0].tolist() == [255, 0, 0]


def test_an_unknown_mode() -> None:
    with pytest.raises(BundleUnreadable):
        load_step({**tiny.OPENING, "mode": "CMYK"})


def refusal(data: bytes, **changes: Any) -> str:
    with pytest.raises(RecordError) as caught:
        decode(data, **changes)
    return caught.value.code


def tiled(side: int) -> bytes:
    """A TIFF of 16 x 16 pixels in one tile of `side` x `side` pixels, which is decoded completely."""
    compressed = zlib.compress(bytes(side * side), 9)
    entries = [(256, 3, 16), (257, 3, 16), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1)]
    entries += [(322, 4, side), (323, 4, side), (324, 4, 8), (325, 4, len(compressed))]
    table = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    header = struct.pack("<2sHI", b"II", 42, 8 + len(compressed))
    return header + compressed + struct.pack("<H", len(entries)) + table + bytes(4)


def test_tiles_over_the_limit_are_refused_before_decoding() -> None:
    assert decode(tiled(32)).image.size == (16, 16)
    assert refusal(tiled(400)) == "too_many_pixels"


def test_a_jpeg_with_many_scans_is_refused_before_decoding() -> None:
    progressive = tiny.encoded(tiny.noise((64, 64)), "JPEG", progressive=True)
    assert decode(progressive).image.size == (64, 64)
    last = progressive.rindex(b"\xff\xda")
    scans = progressive.count(b"\xff\xda")
    many = progressive[:-2] + progressive[last:-2] * (101 - scans) + progressive[-2:]
    assert refusal(many, max_bytes=10**8) == "damaged_picture"
    video = b"\xff\xda".join([bytes(8)] * 500)
    assert decode(progressive + video).image.size == (64, 64), "phones append videos to their photos"
    assert decode(progressive[:-2] + progressive[last:-2] * (100 - scans) + progressive[-2:]).image.size == (64, 64)
