"""Whether the parts of a bundle fit together, found out when it is opened and not by its first record."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fastmar_contract.members import SPEC
from fastmar_runtime import spec as spec_format
from fastmar_runtime.answers import answer_kind, load_decoder
from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.modalities import modality
from fastmar_runtime.spec import Spec
from fastmar_runtime.steps import load_step
from fastmar_runtime.steps.add_datepart import AddDatepart
from fastmar_runtime.validation import build, unreadable, wrong


@dataclass(frozen=True, slots=True)
class _CropLayer:
    size: tuple[int, int]
    ratio: tuple[float, float]
    valid_scale: float


@dataclass(frozen=True, slots=True)
class _SizedLayer:
    size: tuple[int, int] | None = None


_ONNX_TYPES = {"int64": "tensor(int64)", "float32": "tensor(float)", "uint8": "tensor(uint8)"}
_LARGEST_SIDE = 1 << 16


def read_spec(files: BundleFiles) -> Spec:
    """The spec of a bundle, its parts checked.

    Raises:
        BundleError: it can't be read, speaks another protocol, or has parts that don't fit together.
    """
    spec = spec_format.from_dict(files.json(SPEC))
    check_spec(spec)
    return spec


def check_spec(spec: Spec) -> None:
    """Raise `BundleUnreadable` where the spec's parts don't fit together."""
    if not spec.inputs or not spec.outputs:
        raise unreadable("spec.json: graph must have inputs and outputs")
    for tensor in (*spec.inputs, *spec.outputs):
        if tensor.dtype not in _ONNX_TYPES or not tensor.shape:
            raise wrong(f"spec.json: graph.{tensor.name}", f"of a dtype among {', '.join(_ONNX_TYPES)}", tensor.dtype)
    _check_decode(spec)
    for at, layer in enumerate(spec.layers):
        _check_layer(layer, f"spec.json: graph.layers[{at}]")
    names = [field.name for field in spec.fields]
    if len(set(names)) != len(names):
        raise unreadable("spec.json: fields has two of one name")
    steps = [load_step(state, f"spec.json: steps[{at}]") for at, state in enumerate(spec.steps)]
    for at, step in enumerate(steps):
        if isinstance(step, AddDatepart) and step.date not in names:
            raise wrong(f"spec.json: steps[{at}].date", "the name of a field", step.date)
    modality(spec.kind).check(spec, steps)


def _check_decode(spec: Spec) -> None:
    shape = spec.outputs[0].shape
    answer_kind(spec.decode).check(spec.decode, shape[1] if len(shape) > 1 else None, "spec.json: decode")
    load_decoder(spec.decode)


def _check_layer(layer: dict[str, Any], path: str) -> None:
    if not isinstance(layer.get("layer"), str):
        raise unreadable(f"{path} has no name of a layer")
    cls: Any = _CropLayer if layer["layer"] == "random_resized_crop_gpu" else _SizedLayer
    made = build(cls, {key: value for key, value in layer.items() if key in cls.__dataclass_fields__}, path)
    if made.size is not None and not all(0 < side <= _LARGEST_SIDE for side in made.size):
        raise wrong(f"{path}.size", f"two numbers from 1 to {_LARGEST_SIDE}", list(made.size))
    if isinstance(made, _CropLayer) and not (min(*made.ratio, made.valid_scale) > 0 and math.isfinite(sum(made.ratio))):
        raise unreadable(f"{path}.ratio and valid_scale must be over 0")


def check_session(spec: Spec, session: Any) -> None:
    """Raise `BundleUnreadable` where the graph's inputs and outputs are not those of the spec."""
    try:
        _check_tensors(spec, session)
    except UnicodeDecodeError as error:  # ONNX Runtime decodes names when they are read
        raise unreadable("model.onnx has an input, output or axis whose name is no text") from error


def _check_tensors(spec: Spec, session: Any) -> None:
    for kind, tensors, found in (
        ("inputs", spec.inputs, session.get_inputs()),
        ("outputs", spec.outputs, session.get_outputs()),
    ):
        of_name = {each.name: each for each in found}
        if kind == "inputs" and of_name.keys() != {tensor.name for tensor in tensors}:
            raise unreadable(f"model.onnx has the inputs {sorted(of_name)}, and spec.json names others")
        for tensor in tensors:
            ours = of_name.get(tensor.name)
            if ours is None or ours.type != _ONNX_TYPES[tensor.dtype] or not _same_shape(tensor.shape, ours.shape):
                got = "none" if ours is None else f"{ours.type} {ours.shape}"
                raise unreadable(f"spec.json: graph.{kind} has {tensor.name!r:.60}, of which model.onnx has {got}")


def _same_shape(ours: tuple[str | int, ...], theirs: Any) -> bool:
    """Whether two shapes agree; names of dynamic axes may differ."""
    if not theirs:  # a graph need not say
        return True
    pairs = zip(ours, theirs, strict=False)
    return len(ours) == len(theirs) and all(a == b for a, b in pairs if isinstance(a, int) and isinstance(b, int))
