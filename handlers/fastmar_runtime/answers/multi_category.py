"""Any number of labels, with the probabilities of all labels: ``{"prediction": [...], "probabilities"}``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_runtime.activations import ACTIVATIONS
from fastmar_runtime.answers import JSON, Answers, Decoder, OutputTensor, State
from fastmar_runtime.answers.category import Category, probability_selector
from fastmar_runtime.bodies.tensors import BYTES
from fastmar_runtime.geometry import Geometry
from fastmar_runtime.schema_parts import TEXTS, list_values


class MultiCategory(Category):
    """Predicts the labels whose probability is above the threshold: one for all labels, or one per label."""

    name = "multi_category"

    def decoder(self, state: State) -> Decoder:
        labels = self.labels(state)
        activation = ACTIVATIONS[state["activation"]]
        # torch compares with a number in float32, with a tensor in the wider of the two types.
        is_per_label = isinstance(state["threshold"], list)
        threshold = np.asarray(state["threshold"], dtype=np.float64 if is_per_label else np.float32)
        if is_per_label and threshold.shape != (len(labels),):
            raise ValueError("there must be one threshold for each label")
        select = probability_selector(labels, state.get("top"))

        def decode(output: npt.NDArray[Any], geometries: Sequence[Geometry] = ()) -> Answers:
            probabilities = activation(output)
            return [
                {
                    "prediction": [label for label, on in zip(labels, chosen, strict=True) if on],
                    "probabilities": selected,
                }
                for chosen, selected in zip((probabilities > threshold).tolist(), select(probabilities), strict=True)
            ]

        return decode

    def schema(self, state: State) -> tuple[JSON, JSON]:
        label, others = super().schema(state)
        return {"type": "array", "items": label}, {"probabilities": others["probabilities"]}

    def component(self, state: State, targets: Sequence[str]) -> JSON:
        probabilities = super().component(state, targets)["probabilities"]
        prediction = {**TEXTS, "description": f"of {list_values(self.labels(state))}"}
        return {"prediction": prediction, "probabilities": probabilities}

    def tensors(self, state: State) -> list[OutputTensor]:
        _, *others = super().tensors(state)
        return [OutputTensor("prediction", BYTES, (-1,), _join_labels), *others]


def _join_labels(answers: Sequence[dict[str, Any]]) -> list[Any]:
    return [";".join(map(str, answer["prediction"])) for answer in answers]


KIND = MultiCategory()
