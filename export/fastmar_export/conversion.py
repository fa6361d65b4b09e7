"""The result of converting a learner, before its network is exported; the same type for all modalities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from fastmar_runtime.spec import Field, Generator

State = dict[str, Any]


def model_notice(code: str, message: str) -> State:
    """A notice about the whole model. The export prints it, and the model's schema contains it."""
    return {"field": None, "code": code, "message": message}


@dataclass(frozen=True, slots=True)
class Layer:
    """A batch transform that runs in the graph, before the network.

    Attributes:
        state: ``{"layer": NAME, ...}`` for `spec.json`.
        module: the torch module that computes it.
    """

    state: State
    module: nn.Module


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted learner.

    Attributes:
        fields: the fields of a record.
        steps: states of the steps, in order.
        positions: names of the network's positional arguments, which become the graph's inputs.
        target_transforms: records of the targets' transforms.
        targets: names of the targets.
        notices: facts about the model that a caller should know.
        layers: layers that are placed before the network.
        dropped: ``{"what", "reason"}`` for parts of the learner that inference does not need.
        dynamic_axes: names of the axes of variable length of each input, by axis number, without the batch axis.
        user_and_item: the fields of the user and of the item of a collaborative filtering model.
        generator: the part `generator` of the spec of a language model.
    """

    fields: tuple[Field, ...]
    steps: tuple[State, ...]
    positions: tuple[str, ...]
    target_transforms: list[Any]
    targets: tuple[str, ...]
    notices: list[State]
    layers: tuple[Layer, ...] = ()
    dropped: list[dict[str, str]] = field(default_factory=list)
    dynamic_axes: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    user_and_item: tuple[str, str] | None = None
    generator: Generator | None = None

    @property
    def layer_states(self) -> tuple[State, ...]:
        """States of the layers, for the spec."""
        return tuple(layer.state for layer in self.layers)
