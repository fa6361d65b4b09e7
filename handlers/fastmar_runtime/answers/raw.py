"""The unchanged outputs of the network, for losses without an activation: ``{"prediction": [...]}``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from fastmar_runtime.answers import FP32, JSON, AnswerKind, Answers, Decoder, OutputTensor, State
from fastmar_runtime.geometry import Geometry
from fastmar_runtime.schema_parts import FLOATS, list_values
from fastmar_runtime.spec import Tensor


class Raw(AnswerKind):
    """A list of numbers."""

    name = "raw"

    def decoder(self, state: State) -> Decoder:
        def decode(output: npt.NDArray[Any], geometries: Sequence[Geometry] = ()) -> Answers:
            return [{"prediction": row} for row in output.reshape(len(output), -1).tolist()]

        return decode

    def schema(self, state: State) -> tuple[JSON, JSON]:
        return {"type": "array", "items": {"type": "number"}}, {}

    def component(self, state: State, targets: Sequence[str]) -> JSON:
        return {"prediction": {**FLOATS, "description": f"a number for each of {list_values([*targets])}"}}

    def tensors(self, state: State) -> list[OutputTensor]:
        return [OutputTensor("prediction", FP32, (-1, -1), _numbers)]

    def dimensions(self, output: Tensor) -> tuple[str | int, ...]:
        return output.shape[1:]


def _numbers(answers: Sequence[dict[str, Any]]) -> list[Any]:
    predictions = [answer["prediction"] for answer in answers]
    return [number for each in predictions for number in (each if isinstance(each, list) else (each,))]


KIND = Raw()
