"""Pictures as records: accepted forms, refused pictures, names, batches of different sizes."""

from __future__ import annotations

import base64
import io
import struct
import threading
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fastmar_contract.errors import RecordError
from fastmar_contract.media_types import picture_type
from fastmar_runtime.pictures import Picture, gather
from fastmar_runtime.report import Report
from fastmar_runtime.spec import Tensor
from tests.runtime import tiny_pictures as tiny

RED = tiny.picture("red")


@pytest.mark.parametrize(
    "record",
    [
        RED,
        bytearray(RED),
        memoryview(RED),
        Picture(RED),
        {"image": {"b64": tiny.b64(RED)}},
        {"image": tiny.b64(RED)},
        {"b64": tiny.b64(RED)},
        tiny.b64(RED),
        f"data:image/png;base64,{tiny.b64(RED)}",
        {"image": f"data:image/png;base64,{tiny.b64(RED)}"},
        {"image": base64.urlsafe_b64encode(RED).decode().rstrip("=")},
        {"image": base64.encodebytes(RED).decode()},
    ],
)
def test_forms_of_a_record(record: Any) -> None:
    answer = tiny.predictor().predict([record])[0]
    assert answer["prediction"] == "red"
    assert answer["warnings"] == []
    assert "name" not in answer


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (None, "not_a_picture"),
        (3, "not_a_picture"),
        ([], "not_a_picture"),
        ({}, "missing_column"),
        ({"picture": "x"}, "missing_column"),
        ({"image": None}, "not_a_picture"),
        ({"image": {}}, "not_a_picture"),
        ({"image": {"b64": 3}}, "not_a_picture"),
        ({"image": "not base64!"}, "bad_base64"),
        ({"image": "a"}, "bad_base64"),
        ({"image": "ä"}, "bad_base64"),
        ({"image": tiny.b64(RED), "mask_size": "huge"}, "bad_option"),
        ({"image": tiny.b64(RED), "mask_size": []}, "bad_option"),
        ("", "empty_picture"),
        (b"", "empty_picture"),
        (b"hello", "not_a_picture"),
        (b"%PDF-1.4 a document", "not_a_picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_a_picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not_a_picture"),
        (RED[:60], "damaged_picture"),
        (tiny.encoded(tiny.noise(), "JPEG")[:-200], "damaged_picture"),
        (tiny.encoded(tiny.noise(), "PNG")[:-500], "damaged_picture"),
        (tiny.encoded(tiny.noise(), "BMP")[:-500], "damaged_picture"),
        (tiny.encoded(tiny.noise(), "WEBP", lossless=True)[:-500], "damaged_picture"),
        (tiny.encoded(tiny.noise(), "TIFF")[:-500], "damaged_picture"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 100, "damaged_picture"),
        (b"\xff\xd8\xff" + b"\0" * 50, "damaged_picture"),
        (tiny.picture(size=(400, 300)), "too_many_pixels"),
        (tiny.encoded(tiny.noise((300, 300)), "PNG"), "picture_too_large"),
        (RecordError("bad_json", "no.", fix="fix it."), "bad_json"),
    ],
)
def test_only_the_invalid_picture_is_refused(record: Any, code: str) -> None:
    before, answer, after = tiny.predictor().predict([RED, record, tiny.picture("blue")])
    allowed = {code, "damaged_picture", "not_a_picture"} if code == "damaged_picture" else {code}
    assert answer["error"]["code"] in allowed, answer
    assert answer["error"]["record"] == 1
    assert answer["error"]["fix"].endswith(".")
    assert (before["prediction"], after["prediction"]) == ("red", "blue")


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header declares a size, with few pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(9_000, 9_000), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    answer = tiny.predictor().predict([Picture(png_of(*size), "bomb.png")])[0]
    assert answer["error"]["code"] in ("too_many_pixels", "damaged_picture")
    assert "'bomb.png'" in answer["error"]["message"]


def test_messages_and_answers_name_the_file() -> None:
    records = [
        Picture(RED, "a.png"),
        Picture(b"nothing", "b.png"),
        {"image": tiny.b64(RED), "name": "c.png"},
        {"image": "!", "name": "d.png"},
        {"image": tiny.b64(RED), "name": 3},
    ]
    answers = tiny.predictor().predict(records)
    assert [answer.get("name") for answer in answers] == ["a.png", "b.png", "c.png", "d.png", None]
    assert "'b.png'" in answers[1]["error"]["message"]
    assert "'d.png'" in answers[3]["error"]["message"]
    assert next(iter(answers[0])) == "name"


def test_the_error_of_an_empty_crop_names_the_file() -> None:
    steps = (tiny.OPENING, {**tiny.RESIZE, "size": [64, 32]}, tiny.TO_TENSOR)
    answer = tiny.predictor(steps=steps).predict([Picture(tiny.picture(size=(1, 900)), "line.png")])[0]
    assert answer["error"]["code"] == "bad_shape"
    assert "'line.png'" in answer["error"]["message"]


def test_unknown_members_get_warnings() -> None:
    answer = tiny.predictor().predict([{"image": tiny.b64(RED), "camera": 3, "name": "x"}])[0]
    assert [(w["field"], w["code"]) for w in answer["warnings"]] == [("camera", "extra_column")]


def test_pictures_of_several_sizes_are_answered_in_order() -> None:
    predictor = tiny.predictor(steps=(tiny.OPENING, tiny.TO_TENSOR))
    colours = [
        ("red", (8, 8)),
        ("blue", (20, 9)),
        ("lime", (8, 8)),
        ("blue", (9, 20)),
        ("red", (20, 9)),
        ("lime", (8, 8)),
    ]
    records = [tiny.picture(colour, size) for colour, size in colours]
    records.insert(3, b"bad")
    groups, _ = predictor.preprocess.groups(records)
    assert sorted(group.rows for group in groups) == [[0, 2, 6], [1, 5], [4]]
    answers = predictor.predict(records)
    classes = {"red": "red", "lime": "green", "blue": "blue"}
    expected = [classes[colour] for colour, _ in colours]
    expected.insert(3, None)
    assert [answer.get("prediction") for answer in answers] == expected
    assert answers[3]["error"]["record"] == 3


def batch_sizes(predictor: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of pictures in each call of the graph."""
    sizes: list[int] = []
    run = predictor.run
    monkeypatch.setattr(predictor, "run", lambda inputs: sizes.append(len(inputs["image"])) or run(inputs))
    return sizes


@pytest.mark.parametrize(
    ("side", "network", "decode", "groups"),
    [
        (224, tiny.graph, tiny.LABELS, [32]),
        (448, tiny.graph, tiny.LABELS, [8] * 4),
        (224, tiny.mask_graph, tiny.MASK, [4] * 8),
        (1300, tiny.mask_graph, tiny.MASK, [1] * 32),
    ],
)
def test_batches_of_large_pictures_are_small(
    side: int, network: Any, decode: Any, groups: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = ("batch", 3) if decode is tiny.LABELS else ("batch", 3, "height", "width")
    steps = ({**tiny.OPENING, "max_pixels": 10**7, "max_bytes": 10**7}, tiny.TO_TENSOR)
    outputs = (Tensor("output", "float32", shape),)
    predictor = tiny.predictor(network(), steps=steps, decode=decode, outputs=outputs)
    sizes = batch_sizes(predictor, monkeypatch)
    answers = predictor.predict([tiny.picture("red", (side, side))] * 32)
    assert sizes == groups
    assert all("prediction" in answer for answer in answers)


@pytest.mark.parametrize(
    ("message", "code"),
    [("Failed to allocate memory for requested buffer", "out_of_memory"), ("mat1 and mat2", "bad_shape")],
)
def test_a_batch_on_which_the_graph_fails_is_retried_one_by_one(
    message: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = tiny.predictor()
    run = predictor.run

    def fail(inputs: Any) -> Any:
        if len(inputs["image"]) > 1 or inputs["image"][0, 2].any():
            raise RuntimeError(message)
        return run(inputs)

    monkeypatch.setattr(predictor, "run", fail)
    first, second, third = predictor.predict([RED, tiny.picture("blue"), RED])
    assert first["prediction"] == third["prediction"] == "red"
    assert second["error"]["code"] == code
    assert second["error"]["record"] == 1


def test_more_pictures_than_a_batch() -> None:
    colours = ["red", "blue"] * 50
    answers = tiny.predictor().predict([tiny.picture(colour) for colour in colours])
    assert [answer["prediction"] for answer in answers] == colours


def test_only_the_picture_whose_output_overflows_is_refused() -> None:
    predictor = tiny.predictor(tiny.graph(np.full((3, 3), 3e38) * np.eye(3)))
    answers = predictor.predict([tiny.picture("black"), tiny.picture("white"), tiny.picture("black", (9, 9))])
    assert [answer.get("error", {}).get("code") for answer in answers] in ([None, "not_finite", None], [None] * 3)


def test_concurrent_predictions_are_equal() -> None:
    predictor = tiny.predictor()
    data = tiny.encoded(tiny.noise((60, 44)), "JPEG")
    expected = predictor.predict([data])
    seen: list[Any] = []
    threads = [threading.Thread(target=lambda: seen.append(predictor.predict([data] * 5))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [expected * 5] * 6


def test_decoding_leaks_no_memory() -> None:
    import tracemalloc

    predictor = tiny.predictor()
    data = tiny.encoded(tiny.noise((200, 150)), "JPEG")
    predictor.predict([data] * 5)
    tracemalloc.start()
    predictor.predict([data] * 20)
    first = tracemalloc.get_traced_memory()[0]
    for _ in range(5):
        predictor.predict([data] * 20)
    grown = tracemalloc.get_traced_memory()[0] - first
    tracemalloc.stop()
    assert grown < 100_000


def test_signatures_of_picture_formats() -> None:
    for kind in ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF"):
        assert picture_type(tiny.picture(kind=kind)), kind
    assert not picture_type(b'{"image": ""}')
    assert not picture_type(b"")


def test_gather_keeps_positions() -> None:
    report = Report(3)
    found = gather([RED, None, {"image": tiny.b64(RED), "mask_size": "original"}], report)
    assert found == [Picture(RED), None, Picture(RED, None, "original")]
    assert list(report.errors) == [1]
    assert "bytes" in repr(found[0])


def test_pixels_of_every_format_agree_with_pillow() -> None:
    image = tiny.noise(tiny.SIZE)
    steps = (tiny.OPENING, tiny.TO_TENSOR)
    for kind in ("PNG", "BMP", "TIFF", "PPM", "TGA", "GIF", "JPEG", "WEBP"):
        data = tiny.encoded(image, kind)
        inputs, report = tiny.predictor(steps=steps).preprocess([data])
        assert not report.errors, kind
        with Image.open(io.BytesIO(data)) as opened:
            assert np.array_equal(inputs["image"][0].transpose(1, 2, 0), np.asarray(opened.convert("RGB"))), kind
