"""A tiny picture model: a few steps, and the mean of each channel times a matrix."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from fastmar_runtime import __version__
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import IMAGE, Field, Spec, Tensor

SIZE = (16, 12)  # width, height
OPENING: dict[str, Any] = {
    "step": "pil_image",
    "mode": "RGB",
    "exif_transpose": False,
    "max_pixels": 100_000,
    "max_bytes": 200_000,
}
RESIZE: dict[str, Any] = {"step": "resize", "size": list(SIZE), "method": "crop", "pad_mode": "zeros", "resample": 2}
TO_TENSOR: dict[str, Any] = {"step": "to_tensor"}

LABELS = {"decoder": "category", "vocab": ["red", "green", "blue"], "activation": "softmax"}
SEVERAL = {"decoder": "multi_category", "vocab": ["red", "green", "blue"], "activation": "sigmoid", "threshold": 0.5}
NUMBERS = {"decoder": "regression", "size": 3, "activation": "identity"}
POINTS = {"decoder": "points", "size": 4}
MASK = {"decoder": "segmentation", "activation": "softmax", "classes": ["red", "green", "blue"]}
ONE_CLASS = {"decoder": "segmentation", "activation": "sigmoid", "threshold": 0.5, "classes": ["other", "red"]}


def spec(**changes: Any) -> Spec:
    base = Spec(
        protocol=1,
        name="colours",
        version="1.0",
        kind="vision",
        runtime=__version__,
        fields=(Field(IMAGE, IMAGE, nullable=False),),
        steps=(OPENING, RESIZE, TO_TENSOR),
        inputs=(Tensor(IMAGE, "uint8", ("batch", 3, SIZE[1], SIZE[0])),),
        outputs=(Tensor("output", "float32", ("batch", 3)),),
        decode=LABELS,
        targets=("label",),
        provenance={},
    )
    return replace(base, **changes)


def graph(weights: Any = ((1, 0, 0), (0, 1, 0), (0, 0, 1))) -> bytes:
    """The mean of each channel over 255, times `weights`; pictures of any size."""
    nodes = [
        helper.make_node("Cast", [IMAGE], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["output"]),
    ]
    matrix = np.asarray(weights, np.float32) / np.float32(255)
    return _model(nodes, ["batch", matrix.shape[1]], matrix)


def mask_graph(classes: int = 3) -> bytes:
    """Each channel as the logit of a class."""
    nodes = [
        helper.make_node("Cast", [IMAGE], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["x", "weights"], ["y"]),
        helper.make_node("Sub", ["y", "half"], ["output"]),
    ]
    matrix = np.eye(3, dtype=np.float32)[:classes, :, None, None]
    return _model(nodes, ["batch", classes, "height", "width"], matrix, np.float32(127.5))


def _model(nodes: list[Any], shape: list[Any], weights: Any, half: Any = None) -> bytes:
    inputs = [helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, ["batch", 3, "height", "width"])]
    outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)]
    constants = [numpy_helper.from_array(weights, "weights")]
    if half is not None:
        constants.append(numpy_helper.from_array(np.asarray(half), "half"))
    body = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def predictor(network: bytes | None = None, **changes: Any) -> Predictor:
    return Predictor(spec(**changes), network or graph())


def encoded(image: Any, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def picture(colour: str = "red", size: tuple[int, int] = (32, 24), kind: str = "PNG", **options: Any) -> bytes:
    return encoded(Image.new("RGB", size, colour), kind, **options)


def noise(size: tuple[int, int] = (32, 24), channels: int = 3, seed: int = 0) -> Any:
    """A Pillow image of noise."""
    shape = (size[1], size[0], channels) if channels > 1 else (size[1], size[0])
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
