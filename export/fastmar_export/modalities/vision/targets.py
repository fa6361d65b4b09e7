"""Targets of pictures: the decoder's state, from the targets' transforms, the loss and the network's output."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmar_export import targets
from fastmar_export.conversion import State, model_notice
from fastmar_export.errors import ParityFailed, UnsupportedLearner, UnsupportedLoss
from fastmar_export.learner import as_list, name_of
from fastmar_export.losses import LOSSES, Activation, activation_of
from fastmar_export.modalities.vision.picture_class import created_class
from fastmar_export.plain import NotPlain, plain
from fastmar_export.reader import Record
from fastmar_export.targets import (
    TARGET_TRANSFORMS,
    THRESHOLD,
    Notice,
    decoder_state,
    threshold_notice,
)

POINT_SCALER = "fastai.vision.core.PointScaler"
MASK_CODES = "fastai.vision.core.AddMaskCodes"
MASK, POINT = "fastai.vision.core.PILMask", "fastai.vision.core.TensorPoint"

_SMOOTHING = "LabelSmoothingCrossEntropy"  # also ...Flat; their `decodes` ignores the axis


def target_name(transforms: list[Any]) -> str:
    """The name of the target by its type, because fastai records no name."""
    if _is_mask(transforms):
        return "mask"
    if _is_points(transforms):
        return "points"
    return targets.target_name(transforms)


def _is_mask(transforms: list[Any]) -> bool:
    return any(name_of(t) == MASK_CODES or created_class(t) == MASK for t in transforms)


def _is_points(transforms: list[Any]) -> bool:
    return any(name_of(t) == POINT_SCALER or created_class(t) == POINT for t in transforms)


def picture_decoder(
    transforms: list[Any], names: list[str], loss: Any, shape: tuple[int, ...], requested: str | None
) -> tuple[State, list[Notice]]:
    """The decoder's state, and notices about it.

    Args:
        transforms: records of the targets' transforms, including item transforms that change targets.
        names: names of the targets.
        loss: record of the loss, which determines how outputs become answers.
        shape: shape of the network's output for one picture.
        requested: activation that the user requested, or None.

    Raises:
        ExportError: the network's output does not match the targets.
    """
    if _is_mask(transforms):
        return _mask_state(transforms, loss, shape, requested)
    if len(shape) != 1:
        raise UnsupportedLearner(
            f"the network's output for a picture has the shape {' x '.join(map(str, shape))} instead of one row.",
            fix="train with targets of labels, numbers, points or masks, each with fastai's block for it.",
            code="unexpected_output_shape",
        )
    if _is_points(transforms):
        return _points_state(transforms, loss, shape[0], requested)
    known = [t for t in transforms if name_of(t) in TARGET_TRANSFORMS]
    return decoder_state(known, names, loss, shape[0], requested)


def _points_state(transforms: list[Any], loss: Any, size: int, requested: str | None) -> tuple[State, list[Notice]]:
    activation = activation_of(loss, requested)
    if activation.name != "identity":
        raise UnsupportedLoss(
            name_of(loss),
            why=f"and points need the network's outputs without {activation.name}",
            fix="train with a loss such as MSELossFlat, and export without --activation.",
            code="activation_for_points",
        )
    if size % 2:
        raise ParityFailed(
            f"the network has {size} outputs for points, which is an odd number.",
            fix="train it with two outputs for each point.",
        )
    scalers = [t for t in transforms if name_of(t) == POINT_SCALER]
    notices = []
    if scalers and not scalers[0].get("do_scale", True):
        message = (
            "the points were not scaled in training (PointScaler(do_scale=False)); like learn.predict, this model "
            "treats the network's outputs as coordinates between -1 and 1."
        )
        notices.append(model_notice("points_not_scaled", message))
    return {"decoder": "points", "size": size}, notices


def _mask_state(
    transforms: list[Any], loss: Any, shape: tuple[int, ...], requested: str | None
) -> tuple[State, list[Notice]]:
    activation = activation_of(loss, requested)
    if len(shape) != 3:
        raise UnsupportedLearner(
            f"the network's output for a picture has the shape {' x '.join(map(str, shape))} instead of classes x "
            "height x width.",
            fix="train a segmentation network, such as one of unet_learner.",
            code="unexpected_output_shape",
        )
    _check_mask_loss(activation, loss, shape[0], requested)
    found = next((t.get("codes") for t in transforms if name_of(t) == MASK_CODES), None)
    codes = found.tolist() if isinstance(found, np.ndarray) else as_list(found)
    try:
        names = [str(plain(code)) for code in codes]
    except NotPlain as error:
        raise UnsupportedLearner(
            f"the mask's codes contain {error}.", fix="use strings as names of the classes.", code="invalid_mask_codes"
        ) from error
    count = max(2, shape[0])
    names += [str(index) for index in range(len(names), count)]
    state = {"decoder": "segmentation", "activation": activation.name, "classes": names[:count]}
    if activation.name != "sigmoid":
        return state, [_smoothing_notice(loss)] if name_of(loss).rpartition(".")[2].startswith(_SMOOTHING) else []
    if activation.threshold is None:
        return state | {"threshold": THRESHOLD}, [threshold_notice(loss, "pixels")]
    if isinstance(activation.threshold, list):
        raise UnsupportedLoss(
            name_of(loss),
            why="with several thresholds for the pixels of a mask",
            fix="set learn.loss_func.thresh to one number, and export the learner again.",
            code="invalid_threshold",
        )
    return state | {"threshold": activation.threshold}, []


def _smoothing_notice(loss: Any) -> Notice:
    return model_notice(
        "mask_axis",
        f"for {name_of(loss)}, learn.predict computes the maximum along the width, which does not result in a mask; "
        "this model computes the maximum over the classes, as for other losses.",
    )


def _check_mask_loss(activation: Activation, loss: Any, classes: int, requested: str | None) -> None:
    path = name_of(loss)
    fix = f"export with --activation {'softmax' if classes > 1 else 'sigmoid'}."
    if not activation.known:
        raise UnsupportedLoss(
            path, why="which does not determine the class of a pixel", fix=fix, code="unknown_activation"
        )
    axis = loss.get("axis") if isinstance(loss, Record) else None
    if activation.name == "softmax" and requested is None and axis not in (None, 1):
        why = f"whose axis is {axis!r:.20}, but the classes of a mask are axis 1"
        raise UnsupportedLoss(path, why=why, fix=fix, code="loss_axis")
    fits = {"softmax": classes > 1, "sigmoid": classes == 1, "identity": False}
    if not fits[activation.name]:
        loss_that_fits = "CrossEntropyLossFlat(axis=1)" if classes > 1 else "BCEWithLogitsLossFlat"
        raise UnsupportedLoss(
            path,
            why=f"whose activation is {activation.name}, for a mask with {classes} output{'s' * (classes > 1)}",
            fix=f"train with {loss_that_fits}, and export without --activation." if path in LOSSES else fix,
            code="activation_for_mask",
        )
