"""A class for each pixel of a picture, as a PNG: ``{"prediction": {"mask", "width", "height", "classes"}}``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastmar_contract.masks import MASK_SIZE, MODEL_SIZE, ORIGINAL_SIZE
from fastmar_runtime.activations import check_activation
from fastmar_runtime.answers import JSON, AnswerKind, Decoder, OutputTensor, State
from fastmar_runtime.bodies.tensors import BYTES
from fastmar_runtime.schema_parts import BASE64, COUNT, TEXT, closed_object, ref
from fastmar_runtime.validation import build, unreadable

_SIZES = [MODEL_SIZE, ORIGINAL_SIZE]


@dataclass(frozen=True, slots=True)
class _State:
    classes: tuple[Any, ...]
    activation: str
    threshold: float | None = None


class Segmentation(AnswerKind):
    """Predicts a mask whose values are the indexes of the classes."""

    name = "segmentation"

    def check(self, state: State, width: str | int | None, path: str) -> None:
        parsed = build(_State, state, path, ignored=state)
        check_activation(parsed.activation, path)
        if parsed.activation == "sigmoid" and parsed.threshold is None:
            raise unreadable(f"{path} has no 'threshold'")

    def decoder(self, state: State) -> Decoder:
        from fastmar_runtime.masks import MaskDecoder  # noqa: PLC0415 - imports Pillow

        threshold = float(state["threshold"]) if state["activation"] == "sigmoid" else None
        return MaskDecoder(self.labels(state), threshold)

    def schema(self, state: State) -> tuple[JSON, JSON]:
        count = {"type": "integer", "minimum": 0}
        one = {
            "type": "object",
            "properties": {"index": count, "name": {"type": ["string", "null"]}, "pixels": count},
            "required": ["index", "name", "pixels"],
            "additionalProperties": False,
        }
        classes = {
            "type": "array",
            "items": one,
            "description": "classes that occur; the name is null for pixels that were cut away before the network saw "
            "them",
        }
        mask = {
            **BASE64,
            "contentMediaType": "image/png",
            "description": "a grey PNG whose values are the classes' indexes",
        }
        parts = {"mask": mask, "width": count, "height": count, "classes": classes}
        return {"type": "object", "properties": parts, "required": [*parts], "additionalProperties": False}, {}

    def component(self, state: State, targets: Sequence[str]) -> JSON:
        return {"prediction": ref("Mask")}

    def component_schemas(self) -> JSON:
        mask = {
            "mask": {**TEXT, "description": "a grey PNG in base64 whose values are the indexes of the classes"},
            "width": COUNT,
            "height": COUNT,
            "classes": {"type": "array", "items": ref("MaskClass")},
        }
        cut_away = "null for pixels that were cut away before the network saw them"
        one = {"index": COUNT, "name": {**TEXT, "nullable": True, "description": cut_away}, "pixels": COUNT}
        return {"Mask": closed_object(mask, mask), "MaskClass": closed_object(one, one)}

    def tensors(self, state: State) -> list[OutputTensor]:
        return [
            OutputTensor("prediction", BYTES, (-1,), lambda answers: [each["prediction"]["mask"] for each in answers])
        ]

    def options(self) -> JSON:
        description = "size of the mask: the network's, or that of the picture sent"
        return {MASK_SIZE: {"enum": _SIZES, "default": MODEL_SIZE, "description": description}}

    def component_options(self) -> JSON:
        return {MASK_SIZE: {**TEXT, "enum": _SIZES, "description": "size of the mask in the answer"}}

    def labels(self, state: State) -> list[str]:
        return [str(name) for name in state["classes"]]


KIND = Segmentation()
