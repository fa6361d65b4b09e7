"""Whether the network's output is positive: ``{"prediction": true}``."""

from __future__ import annotations

from typing import Any

from fastmar_runtime.answers import AnswerKind, OutputTensor


class Sign(AnswerKind):
    name = "sign"

    def decoder(self, state: dict[str, Any]) -> Any:
        return lambda output, geometries=(): [{"prediction": row[0] > 0} for row in output.tolist()]

    def schema(self, state: dict[str, Any]) -> Any:
        return {"type": "boolean"}, {}

    def component(self, state: dict[str, Any], targets: Any) -> Any:
        return {"prediction": {"type": "boolean"}}

    def tensors(self, state: dict[str, Any]) -> list[OutputTensor]:
        return [OutputTensor("prediction", "BOOL", (-1,), lambda answers: [each["prediction"] for each in answers])]


KIND = Sign()
