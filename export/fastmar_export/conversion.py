"""What a learner becomes before its network has run, for every modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from fastmar_runtime.spec import Field

State = dict[str, Any]


def model_notice(code: str, message: str) -> State:
    """A notice about a whole model, which the export prints and the model's schema holds."""
    return {"field": None, "code": code, "message": message}


@dataclass(frozen=True, slots=True)
class Layer:
    """A transform of a batch that runs in the graph, in front of the network.

    Attributes:
        state: ``{"layer": NAME, ...}`` for `spec.json`.
        module: what computes it.
    """

    state: State
    module: nn.Module


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a learner becomes.

    Attributes:
        fields: the fields of a record.
        steps: states of the steps, in order.
        positions: names of the arguments of the network's forward, which are the graph's inputs.
        target_transforms: records of the targets' transforms.
        targets: names of the targets.
        notices: what a caller should know.
        layers: what is put in front of the network.
        dropped: ``{"what", "reason"}`` for parts of the learner that inference does not need.
        open_axes: names of an input's axes that differ between batches, apart from the first, by their number.
    """

    fields: tuple[Field, ...]
    steps: tuple[State, ...]
    positions: tuple[str, ...]
    target_transforms: list[Any]
    targets: tuple[str, ...]
    notices: list[State]
    layers: tuple[Layer, ...] = ()
    dropped: list[dict[str, str]] = field(default_factory=list)
    open_axes: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    @property
    def layer_states(self) -> tuple[State, ...]:
        """States of the layers, for the spec."""
        return tuple(layer.state for layer in self.layers)
