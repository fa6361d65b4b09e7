"""A single label, with the probabilities of all labels: ``{"prediction", "index", "probabilities"}``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_runtime.activations import ACTIVATIONS, check_activation
from fastmar_runtime.answers import FP32, JSON, AnswerKind, Answers, Decoder, OutputTensor, State
from fastmar_runtime.bodies.tensors import BYTES
from fastmar_runtime.geometry import Geometry
from fastmar_runtime.ranking import largest
from fastmar_runtime.schema_parts import COUNT, FLOAT, MAX_LISTED, TEXT, list_values
from fastmar_runtime.validation import build, invalid, unreadable


@dataclass(frozen=True, slots=True)
class _State:
    vocab: tuple[Any, ...]
    activation: str
    top: int | None = None
    threshold: float | tuple[float, ...] = 0.5


class Category(AnswerKind):
    """Predicts the label with the largest probability; of equal ones the first, as torch does."""

    name = "category"

    def check(self, state: State, width: str | int | None, path: str) -> None:
        parsed = build(_State, state, path, ignored=state)
        check_activation(parsed.activation, path)
        if not parsed.vocab or (isinstance(width, int) and width != len(parsed.vocab)):
            raise unreadable(f"{path}.vocab has {len(parsed.vocab)} labels, but the graph has {width} outputs")
        if parsed.top is not None and parsed.top < 1:
            raise invalid(f"{path}.top", "at least 1", parsed.top)
        thresholds = parsed.threshold if isinstance(parsed.threshold, tuple) else (parsed.threshold,)
        if len(thresholds) not in (1, len(parsed.vocab)):
            raise invalid(f"{path}.threshold", f"a number or {len(parsed.vocab)} numbers", thresholds)

    def decoder(self, state: State) -> Decoder:
        labels = self.labels(state)
        activation = ACTIVATIONS[state["activation"]]
        select = probability_selector(labels, state.get("top"))

        def decode(output: npt.NDArray[Any], geometries: Sequence[Geometry] = ()) -> Answers:
            probabilities = activation(output)
            return [
                {"prediction": labels[index], "index": index, "probabilities": selected}
                for index, selected in zip(probabilities.argmax(axis=-1).tolist(), select(probabilities), strict=True)
            ]

        return decode

    def schema(self, state: State) -> tuple[JSON, JSON]:
        labels = self.labels(state)
        probability: JSON = {"type": "number"}
        if state["activation"] != "identity":
            probability |= {"minimum": 0, "maximum": 1}
        index = {"type": "integer", "minimum": 0, "maximum": len(labels) - 1}
        probabilities = _probabilities_schema(labels, probability, state.get("top"))
        return {"type": "string", "enum": labels}, {"index": index, "probabilities": probabilities}

    def component(self, state: State, targets: Sequence[str]) -> JSON:
        labels = self.labels(state)
        return {
            "prediction": {**TEXT, "description": f"one of {list_values(labels)}", "x-labels": labels[:MAX_LISTED]},
            "index": {**COUNT, "description": "number of the label, from 0"},
            "probabilities": _probabilities_component(labels, state.get("top")),
        }

    def tensors(self, state: State) -> list[OutputTensor]:
        prediction = OutputTensor("prediction", BYTES, (-1,), lambda answers: [each["prediction"] for each in answers])
        return [prediction, *_probability_tensors(self.labels(state), state.get("top"))]

    def labels(self, state: State) -> list[str]:
        return [str(label) for label in state["vocab"]]

    def shortest(self, state: State) -> JSON:
        labels = sorted(self.labels(state), key=len)[: state.get("top")]
        return {"prediction": 0, "probabilities": dict.fromkeys(labels, 0.0)}


def probability_selector(
    labels: list[str], top: int | None
) -> Callable[[npt.NDArray[np.float32]], Iterable[dict[str, float]]]:
    """The function that selects the probabilities of answers: all, in the order of labels, or the `top` largest.

    Its argument is the probabilities of a batch, [batch, labels].
    """
    if top is None:
        return lambda rows: [dict(zip(labels, row, strict=True)) for row in rows.tolist()]
    return lambda rows: [{labels[i]: row[i].item() for i in largest(row, top).tolist()} for row in rows]


def _probabilities_schema(labels: list[str], probability: JSON, top: int | None) -> JSON:
    if top is None:
        known = dict.fromkeys(labels, probability)
        return {"type": "object", "properties": known, "required": sorted(set(labels))}
    return {
        "type": "object",
        "description": f"the {top} largest of {len(labels)}, the largest first",
        "propertyNames": {"enum": labels},
        "additionalProperties": probability,
        "maxProperties": top,
    }


def _probabilities_component(labels: list[str], top: int | None) -> JSON:
    """A map, because most generators turn labels such as `<50k` and `>=50k` into the same identifier."""
    which = f"for the {top} most probable of {len(labels):,} labels" if top else f"by label: {list_values(labels)}"
    return {
        "type": "object",
        "description": f"probabilities {which}",
        "additionalProperties": FLOAT,
        "x-labels": labels[:MAX_LISTED],
    }


def _probability_tensors(labels: list[str], top: int | None) -> list[OutputTensor]:
    """``probabilities`` [N, labels]; with `top`, ``labels`` and ``probabilities``, both [N, top]."""
    if top is None:

        def probabilities(answers: Sequence[dict[str, Any]]) -> list[Any]:
            return [answer["probabilities"][label] for answer in answers for label in labels]

        return [OutputTensor("probabilities", FP32, (-1, len(labels)), probabilities, {"labels": ";".join(labels)})]
    shape = (-1, min(top, len(labels)))
    return [
        OutputTensor(
            "labels", BYTES, shape, lambda answers: [label for answer in answers for label in answer["probabilities"]]
        ),
        OutputTensor(
            "probabilities",
            FP32,
            shape,
            lambda answers: [value for answer in answers for value in answer["probabilities"].values()],
        ),
    ]


KIND = Category()
