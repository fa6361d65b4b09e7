"""Graph outputs to answers: fastai's loss functions (activation, decodes) and the vocabularies of its targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.frames import Frame

Answers = list[dict[str, Any]]


class Decoder(Protocol):
    """One loss with its target's vocabulary."""

    def __call__(self, output: npt.NDArray[Any], frames: Sequence[Frame] = ()) -> Answers:
        """An answer for each row of `output`; `frames` say where pixels lie in the pictures that were sent."""
        ...


def softmax(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Over the last axis, shifted by the maximum as torch does; float32 in, float32 out."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def sigmoid(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Elementwise, without overflow at either end."""
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1 / (1 + e), e / (1 + e)), dtype=x.dtype)


ACTIVATIONS: dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    "softmax": softmax,
    "sigmoid": sigmoid,
    "identity": lambda x: x,
}


def _told(labels: list[str], top: int | None) -> Callable[[list[float]], dict[str, float]]:
    """Which probabilities an answer tells: all, in the order of the labels, or the `top` ones, the largest first."""
    if top is None:
        return lambda row: dict(zip(labels, row, strict=True))
    return lambda row: {labels[i]: row[i] for i in sorted(range(len(row)), key=row.__getitem__, reverse=True)[:top]}


def _category(state: dict[str, Any]) -> Decoder:
    """One label: ``{"prediction", "index", "probabilities"}``; argmax, the first of equals as torch has it."""
    labels = [str(label) for label in state["vocab"]]
    activation = ACTIVATIONS[state["activation"]]
    told = _told(labels, state.get("top"))

    def decode(output: npt.NDArray[Any], frames: Sequence[Frame] = ()) -> Answers:  # noqa: ARG001
        probabilities = activation(output)
        return [
            {"prediction": labels[index], "index": index, "probabilities": told(row)}
            for index, row in zip(probabilities.argmax(axis=-1).tolist(), probabilities.tolist(), strict=True)
        ]

    return decode


def _multi_category(state: dict[str, Any]) -> Decoder:
    """Several labels: those over the loss's threshold (one, or one a label), strictly, and a probability for each."""
    labels = [str(label) for label in state["vocab"]]
    activation = ACTIVATIONS[state["activation"]]
    # torch compares with a number as float32; with a tensor in the wider of both types.
    several = isinstance(state["threshold"], list)
    threshold = np.asarray(state["threshold"], dtype=np.float64 if several else np.float32)
    if several and threshold.shape != (len(labels),):
        raise ValueError("there must be one threshold for each label")
    told = _told(labels, state.get("top"))

    def decode(output: npt.NDArray[Any], frames: Sequence[Frame] = ()) -> Answers:  # noqa: ARG001
        probabilities = activation(output)
        return [
            {
                "prediction": [label for label, on in zip(labels, chosen, strict=True) if on],
                "probabilities": told(row),
            }
            for chosen, row in zip((probabilities > threshold).tolist(), probabilities.tolist(), strict=True)
        ]

    return decode


def _regression(state: dict[str, Any]) -> Decoder:
    """A number, or a list of them in the order of the targets."""
    single = state["size"] == 1
    activation = ACTIVATIONS[state["activation"]]

    def decode(output: npt.NDArray[Any], frames: Sequence[Frame] = ()) -> Answers:  # noqa: ARG001
        rows = activation(output).reshape(len(output), -1).tolist()
        return [{"prediction": row[0] if single else row} for row in rows]

    return decode


def _raw(state: dict[str, Any]) -> Decoder:  # noqa: ARG001
    """The network's outputs as they are, for a loss that has no activation."""

    def decode(output: npt.NDArray[Any], frames: Sequence[Frame] = ()) -> Answers:  # noqa: ARG001
        return [{"prediction": row} for row in output.reshape(len(output), -1).tolist()]

    return decode


def _points(state: dict[str, Any]) -> Decoder:
    from fastmar_runtime.decode_pictures import Points  # noqa: PLC0415 - Pillow only where pictures are

    return Points(state)


def _segmentation(state: dict[str, Any]) -> Decoder:
    from fastmar_runtime.decode_pictures import Segmentation  # noqa: PLC0415 - likewise

    return Segmentation(state)


_DECODERS: dict[str, Callable[[dict[str, Any]], Decoder]] = {
    "category": _category,
    "multi_category": _multi_category,
    "regression": _regression,
    "raw": _raw,
    "points": _points,
    "segmentation": _segmentation,
}


def load_decoder(state: dict[str, Any]) -> Decoder:
    """The decoder that `state` describes: ``{"decoder": NAME, ...}``. Its outputs are [batch, size] float32.

    Raises:
        BundleUnreadable: there is no decoder of that name, or its state lacks a part.
    """
    try:
        return _DECODERS[state["decoder"]](state)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleUnreadable(
            f"spec.json describes a decoder that this runtime does not know ({error!r}).",
            fix="export the learner again.",
        ) from error
