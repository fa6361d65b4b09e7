"""Pictures as paths, files, images and arrays: the model gets the same pixels as fastai."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastai.vision.core import PILImage
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.client.models import InProcess
from tests.client.scripted import Reply, Scripted
from tests.pictures import picture

from fastmar_client import Client, image_record
from fastmar_client.encoding import part
from fastmar_runtime.predictor import Predictor


def decoded(data: bytes) -> Any:
    return np.asarray(PILImage.create(io.BytesIO(data)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    picture("red", 1).save(tmp_path / "red.png")
    return tmp_path / "red.png"


def picture_inputs(file: Path) -> dict[str, Any]:
    data = file.read_bytes()
    at_end = io.BytesIO()
    at_end.write(data)
    return {
        "path": file,
        "str": str(file),
        "bytes": data,
        "BytesIO": io.BytesIO(data),
        "BytesIO at its end": at_end,
        "open file": file.open("rb"),
        "PIL": Image.open(file),
        "fastai's PILImage": PILImage.create(file),
        "array": np.asarray(Image.open(file)),
        "array in another order": np.asfortranarray(np.asarray(Image.open(file))),
    }


def test_case_client_bytesio_pil(file: Path, colours: Path) -> None:
    client = Client(transport=InProcess(Predictor.open(colours)))
    expected = client.predict("colours", file.read_bytes())
    inputs = picture_inputs(file)
    try:
        for kind, value in inputs.items():
            answer = client.predict("colours", value)
            assert answer["probabilities"] == expected["probabilities"], kind
            assert answer.get("name") == (file.name if kind in ("path", "str", "open file") else None)
            assert client.predict("colours", value, validate=True)["prediction"] == expected["prediction"]
        answers = client.predict("colours", list(inputs.values()))
        assert [answer["probabilities"] for answer in answers] == [expected["probabilities"]] * len(inputs)
        batch = np.stack([inputs["array"]] * 3)
        assert [a["prediction"] for a in client.predict("colours", batch)] == [expected["prediction"]] * 3
    finally:
        inputs["open file"].close()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_encodes_images_of_all_modes(mode: str) -> None:
    image = picture("green", 2)
    image = Image.fromarray(np.arange(4800, dtype=np.uint16).reshape(60, 80)) if mode == "I;16" else image.convert(mode)
    assert np.array_equal(decoded(part(image).data), np.asarray(image.convert("RGB")))


def test_exif_orientation_is_kept(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture("blue", 3).save(tmp_path / "rotated.jpg", exif=exif)
    with Image.open(tmp_path / "rotated.jpg") as image:
        sent = Image.open(io.BytesIO(part(image).data))
        assert sent.size == image.size
        assert sent.getexif()[0x0112] == 6


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([None, 3, 4]), st.integers(0, 2**32 - 1))
def test_arrays_are_encoded_losslessly(height: int, width: int, channels: int | None, seed: int) -> None:
    shape = (height, width) if channels is None else (height, width, channels)
    array = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    sent = Image.open(io.BytesIO(part(array).data))
    assert np.array_equal(np.asarray(sent), array)
    assert sent.mode == PILImage.create(array).mode


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        (np.zeros((4, 4, 3)), "astype('uint8')"),
        (np.zeros((4, 4, 3), dtype=np.float32), "astype('uint8')"),
        (np.zeros((3, 5, 6), dtype=np.uint8), "transpose(1, 2, 0)"),
        (np.zeros((5, 4, 2), dtype=np.uint8), "path"),
        (np.zeros((0, 4), dtype=np.uint8), "path"),
        (np.zeros(4, dtype=np.uint8), "path"),
        (io.StringIO("text"), "'rb'"),
        (Image.new("F", (2, 2)), "convert('RGB')"),
    ],
)
def test_unsupported_picture_has_a_fix(value: Any, fix: str) -> None:
    client = Client("http://127.0.0.1:9")
    for predict in (lambda: client.predict("m", value), lambda: list(client.predict_many("m", [value]))):
        with pytest.raises(TypeError) as caught:
            predict()
        assert fix in str(caught.value).partition("Fix: ")[2]


def test_predict_many_refuses_one_picture() -> None:
    for value in (io.BytesIO(b"x"), np.zeros((4, 4, 3), dtype=np.uint8), Image.new("RGB", (2, 2))):
        with pytest.raises(TypeError):
            list(Client("http://127.0.0.1:9").predict_many("m", value))


def test_mask_size(scripted: Scripted, file: Path) -> None:
    scripted.replies(Reply(body={"prediction": 1}))
    with Client(scripted.url) as client:
        assert client.predict("m", file, mask_size="original") == {"name": "red.png", "prediction": 1}
        client.predict("m", image_record(io.BytesIO(b"abc")), mask_size="original")
        client.predict("m", {"image": "x", "mask_size": "model"}, mask_size="original")
        scripted.replies(Reply(body=[{"prediction": 1}]))
        client.predict("m", [Image.open(file)], mask_size="model")
        with pytest.raises(ValueError, match="mask_size"):
            client.predict("m", file, mask_size="huge")
    first, second, third, fourth = (json.loads(seen.body) for seen in scripted.seen)
    assert (first["mask_size"], first["name"]) == ("original", "red.png")
    assert b64decode(first["image"]["b64"]) == file.read_bytes()
    assert second == {"mask_size": "original", "image": {"b64": "YWJj"}}
    assert third["mask_size"] == "model", "the record's own value takes precedence"
    assert fourth[0]["mask_size"] == "model"


def test_pil_and_numpy_are_not_required() -> None:
    code = (
        "import sys, io; sys.modules.update(PIL=None, numpy=None)\n"
        "from fastmar_client.encoding import part; assert part(io.BytesIO(b'BM')).data == b'BM'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
