"""Converts picture learners: item transforms to steps, and batch transforms to layers of the graph."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from fastmar_export.conversion import Conversion, Layer, State
from fastmar_export.converters import convert
from fastmar_export.dropped_transforms import dropped_getter, reason_to_drop
from fastmar_export.errors import ExportError, UnsupportedLearner, UnsupportedTransform
from fastmar_export.learner import Learner, as_list, describe_transform, name_of, transforms
from fastmar_export.modalities.vision.augmentation import Augmentation, augmentation_of
from fastmar_export.modalities.vision.converters.pil_image import pil_image
from fastmar_export.modalities.vision.layers import layer_of
from fastmar_export.modalities.vision.picture_class import PICTURES, created_class, is_picture
from fastmar_export.modalities.vision.pictures import BATCH, ITEM, Pictures
from fastmar_export.modalities.vision.targets import MASK_CODES, POINT_SCALER, target_name
from fastmar_export.options import Options
from fastmar_export.reader import Record
from fastmar_export.targets import TARGET_TRANSFORMS
from fastmar_runtime.spec import IMAGE, Field

DYNAMIC_AXES = {IMAGE: {2: "height", 3: "width"}}

_TARGET_ITEM_TRANSFORMS = (POINT_SCALER, MASK_CODES)  # item transforms that only change targets
_BOXES = ("fastai.vision.core.TensorBBox", "fastai.vision.core.BBoxLabeler")


def _type_transforms(transform_list: Any) -> list[Any]:
    return transforms(transform_list.get("tfms")) if isinstance(transform_list, Record) else []


def convert_vision(learner: Learner, options: Options) -> Conversion:
    """Steps and layers of a picture learner.

    Raises:
        UnsupportedTransform: a transform has no converter and is needed for inference.
        UnsupportedLearner: the learner has several inputs, or predicts boxes.
    """
    pictures = Pictures() if options.max_pixels is None else Pictures(max_pixels=options.max_pixels)
    dropped: list[dict[str, str]] = []
    lists = as_list(learner.dataset.get("tls"))
    _check_inputs(learner, lists)
    augmentation = augmentation_of(options)
    steps = [_opening_step(lists[0], dropped, options)]
    records: list[Any] = []
    targets = [transform for part in lists[1:] for transform in _type_transforms(part)]
    target_transforms = list(_targets(targets, dropped))
    for index, transform in enumerate(transforms(learner.loader.get("after_item"))):
        where = f"dls.after_item[{index}]"
        if name_of(transform) in _TARGET_ITEM_TRANSFORMS:
            target_transforms.append(transform)
        elif not _is_dropped(transform, where, dropped):
            steps.append(convert(transform, where, ITEM, pictures))
            records.append(transform)
        elif augmentation is not None:
            augmentation.leave_out(transform)
    for index, transform in enumerate(transforms(learner.loader.get("before_batch"))):
        raise UnsupportedTransform(f"dls.before_batch[{index}]", name_of(transform))
    _check_tensor(steps)
    if options.picture_size is not None:
        _fix_size(steps, pictures, options.picture_size)
    if options.max_pixels is not None and pictures.size is not None:
        raise ExportError(
            "--max-pixels does not apply, because the learner resizes all pictures to one size.",
            fix="remove --max-pixels.",
            code="max_pixels_not_applicable",
        )
    dynamic_axes = DYNAMIC_AXES if pictures.size is None else {}
    if augmentation is not None:
        _require_size(pictures)
        steps = augmentation.steps(steps, records)
    layers = _layers(learner, pictures, dropped, augmentation)
    if augmentation is not None:
        layers = (augmentation.first_layer(), *layers)
        pictures.notices.append(augmentation.notice())
    return Conversion(
        fields=(Field(IMAGE, IMAGE, nullable=False),),
        steps=tuple(steps),
        positions=(IMAGE,),
        target_transforms=target_transforms,
        targets=(target_name(target_transforms),),
        notices=pictures.notices,
        layers=layers,
        dropped=dropped,
        dynamic_axes=dynamic_axes,
    )


def _fix_size(steps: list[State], pictures: Pictures, size: tuple[int, int]) -> None:
    """Accept only pictures of `size`, the value of --picture-size."""
    if pictures.size is not None or len(steps) > 2:
        raise ExportError(
            "--picture-size does not apply, because the learner's item transforms determine the size of pictures.",
            fix="remove --picture-size.",
            code="picture_size_not_applicable",
        )
    pictures.size = size
    steps[-1] = {"step": "to_tensor", "size": list(size)}


def _require_size(pictures: Pictures) -> None:
    """Refuse test-time augmentation of pictures of any size."""
    if pictures.size is None:
        raise ExportError(
            "--tta needs pictures of one size, and the learner's item transforms do not resize them to one.",
            fix="train with Resize as an item transform, or export with --picture-size WIDTHxHEIGHT.",
            code="tta_without_size",
        )


def _layers(
    learner: Learner, pictures: Pictures, dropped: list[dict[str, str]], augmentation: Augmentation | None
) -> tuple[Layer, ...]:
    layers: list[Layer] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch warns about grids of one column, which are intended here
        for index, transform in enumerate(transforms(learner.loader.get("after_batch"))):
            where, size = f"dls.after_batch[{index}]", pictures.size
            left_out: list[dict[str, str]] = []
            layer = None
            if not _is_dropped(transform, where, left_out):
                layer = layer_of(convert(transform, where, BATCH, pictures), size)
            if augmentation is not None and size is not None:
                layer = augmentation.layer(transform, layer, size)
            if layer is None:
                dropped += left_out
            else:
                layers.append(layer)
    return tuple(layers)


def _check_inputs(learner: Learner, lists: list[Any]) -> None:
    n_inp = learner.input_count
    if n_inp != 1:
        raise UnsupportedLearner(
            f"the learner has {n_inp} inputs; fastmar serves networks with one picture as input.",
            fix="train with one ImageBlock as the input.",
            code="several_inputs",
        )
    if len(lists) > 2 and not _finds_boxes(lists):
        names = ", ".join(_target(part) for part in lists[1:])
        raise UnsupportedLearner(
            f"the learner has {len(lists) - 1} targets ({names}) for one network; learn.predict fails for it.",
            fix="train one learner for each target, with one target block, and export each.",
            code="several_targets",
        )
    for index, part in enumerate(lists):
        for transform in _type_transforms(part):
            path = created_class(transform) or name_of(transform)
            if path in _BOXES:
                raise UnsupportedTransform(
                    f"dls.tls[{index}]",
                    path,
                    why="and fastai can't decode a network's outputs to boxes",
                    fix="export a learner that predicts labels, numbers, points or a mask.",
                    code="boxes",
                )


def _finds_boxes(lists: list[Any]) -> bool:
    found = [transform for part in lists for transform in _type_transforms(part)]
    return any((created_class(transform) or name_of(transform)) in _BOXES for transform in found)


def _target(part: Any) -> str:
    """The class name of a target's last transform."""
    found = [created_class(t) or name_of(t) for t in _type_transforms(part)]
    return found[-1].rpartition(".")[2] if found else "nothing"


def _opening_step(part: Record, dropped: list[dict[str, str]], options: Options) -> State:
    """The step that opens a picture. Transforms before it find the file; transforms after it are not supported."""
    found: State | None = None
    for index, transform in enumerate(_type_transforms(part)):
        where = f"dls.tls[0].tfms[{index}]"
        created = created_class(transform)
        if found is not None:
            why = "which changes a picture after it was opened"
            raise UnsupportedTransform(where, describe_transform(transform), why=why)
        if created in PICTURES:
            found = pil_image(str(created), exif_transpose=options.exif_transpose)
        elif created is not None and is_picture(transform):
            raise UnsupportedTransform(
                where,
                f"{created}.create",
                why="which is not one of fastai's picture classes PILImage and PILImageBW",
                fix="train with ImageBlock(PILImage) or ImageBlock(PILImageBW), and export that learner.",
                code="unsupported_picture_class",
            )
        else:
            dropped.append(dropped_getter(f"{where}: {describe_transform(transform)}"))
    assert found is not None  # noqa: S101 - for the type checker: `Vision.matches` ensures it
    return found


def _targets(found: list[Any], dropped: list[dict[str, str]]) -> Iterator[Any]:
    """The targets' transforms that the decoder needs; the others are dropped."""
    for transform in found:
        if name_of(transform) in TARGET_TRANSFORMS or created_class(transform) is not None:
            yield transform
        else:
            dropped.append(dropped_getter(f"a target's transform: {describe_transform(transform)}"))


def _is_dropped(transform: Any, where: str, dropped: list[dict[str, str]]) -> bool:
    reason = reason_to_drop(transform)
    if reason is not None:
        dropped.append({"what": f"{where}: {name_of(transform)}", "reason": reason})
    return reason is not None


def _check_tensor(steps: list[State]) -> None:
    if steps[-1]["step"] != "to_tensor":
        raise UnsupportedLearner(
            "the learner's item transforms do not end with ToTensor.",
            fix="train with a DataBlock of ImageBlock, which adds it.",
            code="no_to_tensor",
        )
