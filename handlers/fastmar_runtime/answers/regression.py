"""A number, or a list of them in the order of the targets: ``{"prediction": ...}``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from fastmar_runtime.activations import ACTIVATIONS, check_activation
from fastmar_runtime.answers import JSON, Answers, Decoder, State
from fastmar_runtime.answers.raw import Raw
from fastmar_runtime.geometry import Geometry
from fastmar_runtime.schema_parts import FLOAT, list_values
from fastmar_runtime.validation import build, invalid


@dataclass(frozen=True, slots=True)
class _State:
    size: int
    activation: str = "identity"


class Regression(Raw):
    """A number for each target."""

    name = "regression"

    def check(self, state: State, width: str | int | None, path: str) -> None:
        parsed = build(_State, state, path, ignored=state)
        check_activation(parsed.activation, path)
        if parsed.size < 1:
            raise invalid(f"{path}.size", "at least 1", parsed.size)

    def decoder(self, state: State) -> Decoder:
        single = state["size"] == 1
        activation = ACTIVATIONS[state["activation"]]

        def decode(output: npt.NDArray[Any], geometries: Sequence[Geometry] = ()) -> Answers:
            rows = activation(output).reshape(len(output), -1).tolist()
            return [{"prediction": row[0] if single else row} for row in rows]

        return decode

    def schema(self, state: State) -> tuple[JSON, JSON]:
        return ({"type": "number"}, {}) if state["size"] == 1 else super().schema(state)

    def component(self, state: State, targets: Sequence[str]) -> JSON:
        if state["size"] == 1:
            return {"prediction": {**FLOAT, "description": list_values([*targets])}}
        return super().component(state, targets)


KIND = Regression()
