"""Points in a picture: ``{"prediction": [[x, y], ...], "points_model": [[x, y], ...]}``.

The network's outputs are coordinates from -1 to 1. `points_model` are pixels of the network's input, as in
`learn.predict`; `prediction` are pixels of the original picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_runtime.answers import FP32, JSON, Answers, Decoder, OutputTensor, State
from fastmar_runtime.answers.regression import Regression
from fastmar_runtime.geometry import Geometry
from fastmar_runtime.schema_parts import FLOATS

_SCHEMA: JSON = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
}
_COMPONENT: JSON = {"type": "array", "items": FLOATS}


class Points(Regression):
    """fastai's TensorPoint: two outputs of the network per point."""

    name = "points"

    def decoder(self, state: State) -> Decoder:
        count = _count(state)

        def decode(output: npt.NDArray[Any], geometries: Sequence[Geometry] = ()) -> Answers:
            answers = []
            for row, geometry in zip(output.reshape(len(output), count, 2), geometries, strict=True):
                # fastai's order of operations, in float32: (y + 1) * size / 2
                points = (row + np.float32(1)) * np.array(geometry.size, np.float32) / np.float32(2)
                sent = points.astype(np.float64) * geometry.scale + geometry.offset
                answers.append({"prediction": sent.tolist(), "points_model": points.tolist()})
            return answers

        return decode

    def schema(self, state: State) -> tuple[JSON, JSON]:
        prediction = {**_SCHEMA, "description": "[x, y] in pixels of the picture that was sent"}
        return prediction, {"points_model": {**_SCHEMA, "description": "the same in pixels of the network's input"}}

    def component(self, state: State, targets: Sequence[str]) -> JSON:
        return {
            "prediction": {**_COMPONENT, "description": "[x, y] of each point in pixels of the picture sent"},
            "points_model": {**_COMPONENT, "description": "the same in pixels of the network's input"},
        }

    def nameable(self, state: State) -> list[str]:
        return [str(number) for number in range(1, _count(state) + 1)]

    def tensors(self, state: State) -> list[OutputTensor]:
        return [OutputTensor("prediction", FP32, (-1, _count(state), 2), _coordinates)]


def _count(state: State) -> int:
    return int(state["size"]) // 2


def _coordinates(answers: Sequence[dict[str, Any]]) -> list[Any]:
    return [number for answer in answers for point in answer["prediction"] for number in point]


KIND = Points()
