"""Whether the parts of a bundle fit together, found out when it is opened and not by its first record."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fastmar_contract.members import SPEC
from fastmar_contract.values import CATEGORY, DATE
from fastmar_runtime import spec as spec_format
from fastmar_runtime.answers import answer_kind, load_decoder
from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.errors import BundleError
from fastmar_runtime.preprocess import load_preprocessor
from fastmar_runtime.spec import IMAGE, TABULAR, Spec
from fastmar_runtime.steps import load_step
from fastmar_runtime.steps.add_datepart import AddDatepart
from fastmar_runtime.steps.categorify import Categorify
from fastmar_runtime.steps.fill_missing import FillMissing
from fastmar_runtime.steps.normalize import Normalize
from fastmar_runtime.steps.pil_image import PILImage
from fastmar_runtime.steps.read_tab_batch import ReadTabBatch
from fastmar_runtime.steps.to_tensor import ToTensor
from fastmar_runtime.validation import build, unreadable, wrong


@dataclass(frozen=True, slots=True)
class _CropLayer:
    size: tuple[int, int]
    ratio: tuple[float, float]
    valid_scale: float


@dataclass(frozen=True, slots=True)
class _SizedLayer:
    size: tuple[int, int] | None = None


_TABLE_STEPS = (AddDatepart, Categorify, FillMissing, Normalize, ReadTabBatch)
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
    preprocess = load_preprocessor(spec)
    if spec.kind == TABULAR:
        _check_kinds(spec, steps)
        _check_columns(spec, preprocess)
        return
    if names != [IMAGE] and names:
        raise unreadable(f"spec.json: fields must be {IMAGE!r} alone where kind is {spec.kind!r}")
    _check_picture_steps(steps)


def _check_kinds(spec: Spec, steps: list[Any]) -> None:
    """Text must become codes or parts of a date before anything computes with it."""
    text = {field.name for field in spec.fields if field.kind in (CATEGORY, DATE)}
    codes: set[str] = set()
    for at, step in enumerate(steps):
        wrong_ones: set[str] = set()
        match step:
            case AddDatepart():
                text.discard(step.date)
            case Categorify():
                codes |= step.vocabularies.keys()
                text -= codes
            case FillMissing():
                wrong_ones = text & step.fills.keys()
            case Normalize():
                wrong_ones = text & step.means.keys()
            case ReadTabBatch():
                wrong_ones = (set(step.cats) - codes) | (text & set(step.conts))
        if wrong_ones:
            name = min(wrong_ones)
            raise unreadable(
                f"spec.json: steps[{at}] takes {name!r:.60} for a number, and no step before it makes it one"
            )


def _check_picture_steps(steps: list[Any]) -> None:
    """A picture is opened first and becomes a tensor last; each step between takes an open picture and gives one."""
    for at, step in enumerate(steps):
        is_first, is_last = at == 0, at == len(steps) - 1
        opens, ends = isinstance(step, PILImage), isinstance(step, ToTensor)
        if (opens, ends) != (is_first, is_last) or isinstance(step, _TABLE_STEPS):
            raise unreadable(
                f"spec.json: steps[{at}] can't be there: steps of pictures begin with pil_image and end with to_tensor"
            )
    if not steps:
        raise unreadable("spec.json: steps is empty, where pictures need pil_image and to_tensor")


def _check_columns(spec: Spec, preprocess: Any) -> None:
    """Run the steps on no records: a column that no field and no step makes is missed, and so is an input."""
    try:
        inputs, _ = preprocess([])
    except BundleError:
        raise
    except Exception as error:  # a step's own, such as a KeyError for a column
        raise unreadable(f"spec.json: steps don't fit the fields ({type(error).__name__}: {error!s:.80})") from error
    wanted = {tensor.name: tensor for tensor in spec.inputs}
    if inputs.keys() != wanted.keys():
        raise unreadable(f"spec.json: steps make {sorted(inputs)}, and graph.inputs names {sorted(wanted)}")
    for name, array in inputs.items():
        tensor = wanted[name]
        if len(tensor.shape) != 2 or str(array.dtype) != tensor.dtype or array.shape[1:] != tensor.shape[1:]:
            made = f"{array.dtype} {array.shape[1:]}"
            raise unreadable(
                f"spec.json: steps make {name} as {made}, and graph.inputs has {tensor.dtype} {tensor.shape}"
            )


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
