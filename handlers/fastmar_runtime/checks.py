"""Checks that the parts of a bundle are consistent, when it is opened."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fastmar_contract.members import SPEC
from fastmar_runtime import spec as spec_format
from fastmar_runtime.answers import answer_kind, load_decoder
from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.modalities import modality
from fastmar_runtime.operations.kinds import kind_of
from fastmar_runtime.spec import Spec
from fastmar_runtime.steps import load_step
from fastmar_runtime.steps.add_datepart import AddDatepart
from fastmar_runtime.validation import build, invalid, unreadable


@dataclass(frozen=True, slots=True)
class _CropLayer:
    size: tuple[int, int]
    ratio: tuple[float, float]
    valid_scale: float


@dataclass(frozen=True, slots=True)
class _SizedLayer:
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class _CopiesLayer:
    copies: int
    size: None = None


_LAYERS: dict[str, Any] = {"random_resized_crop_gpu": _CropLayer, "copies": _CopiesLayer}
_MAX_COPIES = 1024
_ONNX_TYPES = {"int64": "tensor(int64)", "float32": "tensor(float)", "uint8": "tensor(uint8)"}
_MAX_SIDE = 1 << 16


def read_spec(files: BundleFiles) -> Spec:
    """The checked spec of a bundle.

    Raises:
        BundleError: it can't be read, uses another protocol, or is inconsistent.
    """
    spec = spec_format.from_dict(files.json(SPEC))
    check_spec(spec)
    return spec


def check_spec(spec: Spec) -> None:
    """Raise `BundleUnreadable` if the parts of the spec are inconsistent."""
    if not spec.inputs or not spec.outputs:
        raise unreadable("spec.json: graph must have inputs and outputs")
    for tensor in (*spec.inputs, *spec.outputs):
        if tensor.dtype not in _ONNX_TYPES or not tensor.shape:
            raise invalid(
                f"spec.json: graph.{tensor.name}", f"a tensor with a dtype of {', '.join(_ONNX_TYPES)}", tensor.dtype
            )
    _check_decode(spec)
    for at, layer in enumerate(spec.layers):
        _check_layer(layer, f"spec.json: graph.layers[{at}]")
    names = [field.name for field in spec.fields]
    if len(set(names)) != len(names):
        raise unreadable("spec.json: fields has a repeated name")
    steps = [load_step(state, f"spec.json: steps[{at}]") for at, state in enumerate(spec.steps)]
    for at, step in enumerate(steps):
        if isinstance(step, AddDatepart) and step.date not in names:
            raise invalid(f"spec.json: steps[{at}].date", "the name of a field", step.date)
    modality(spec.kind).check(spec, steps)
    if (operations := kind_of(spec)) is not None:
        operations.check(spec)


def _check_decode(spec: Spec) -> None:
    shape = spec.outputs[0].shape
    answer_kind(spec.decode).check(spec.decode, shape[1] if len(shape) > 1 else None, "spec.json: decode")
    load_decoder(spec.decode)


def _check_layer(layer: dict[str, Any], path: str) -> None:
    if not isinstance(layer.get("layer"), str):
        raise unreadable(f"{path} has no layer name")
    cls = _LAYERS.get(layer["layer"], _SizedLayer)
    checked = build(cls, {key: value for key, value in layer.items() if key in cls.__dataclass_fields__}, path)
    if checked.size is not None and not all(0 < side <= _MAX_SIDE for side in checked.size):
        raise invalid(f"{path}.size", f"two numbers from 1 to {_MAX_SIDE}", list(checked.size))
    if isinstance(checked, _CopiesLayer) and not 0 < checked.copies <= _MAX_COPIES:
        raise invalid(f"{path}.copies", f"a number from 1 to {_MAX_COPIES:,}", checked.copies)
    if isinstance(checked, _CropLayer) and not (
        min(*checked.ratio, checked.valid_scale) > 0 and math.isfinite(sum(checked.ratio))
    ):
        raise unreadable(f"{path}.ratio and valid_scale must be greater than 0")


def check_session(spec: Spec, session: Any) -> None:
    """Raise `BundleUnreadable` if the inputs and outputs of the graph differ from those of the spec."""
    try:
        _check_tensors(spec, session)
    except UnicodeDecodeError as error:  # ONNX Runtime decodes names on access
        raise unreadable("model.onnx has an input, output or axis whose name is not text") from error


def _check_tensors(spec: Spec, session: Any) -> None:
    for kind, tensors, found in (
        ("inputs", spec.inputs, session.get_inputs()),
        ("outputs", spec.outputs, session.get_outputs()),
    ):
        by_name = {each.name: each for each in found}
        if kind == "inputs" and by_name.keys() != {tensor.name for tensor in tensors}:
            raise unreadable(f"model.onnx has the inputs {sorted(by_name)}, but spec.json has others")
        for tensor in tensors:
            ours = by_name.get(tensor.name)
            if ours is None or ours.type != _ONNX_TYPES[tensor.dtype] or not _same_shape(tensor.shape, ours.shape):
                actual = "missing" if ours is None else f"{ours.type} {ours.shape}"
                raise unreadable(f"spec.json: graph.{kind} has {tensor.name!r:.60}; in model.onnx it is {actual}")


def _same_shape(ours: tuple[str | int, ...], theirs: Any) -> bool:
    """Whether two shapes are compatible; names of dynamic axes may differ."""
    if not theirs:  # a graph may omit shapes
        return True
    pairs = zip(ours, theirs, strict=False)
    return len(ours) == len(theirs) and all(a == b for a, b in pairs if isinstance(a, int) and isinstance(b, int))
