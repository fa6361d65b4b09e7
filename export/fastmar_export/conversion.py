"""What a learner becomes, before its network ran: the same for every kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import nn

from fastmar_runtime.spec import Field

State = dict[str, Any]


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
        fields: columns of a record, or its one picture.
        steps: states of the steps, in order.
        target_transforms: records of the targets' transforms.
        targets: names of the targets.
        notices: what a caller should know.
        layers: what is put in front of the network.
        dropped: ``{"what", "reason"}`` for transforms that inference does not need.
        open_axes: ``"H"`` and ``"W"`` where the steps leave pictures in several sizes.
    """

    fields: tuple[Field, ...]
    steps: tuple[State, ...]
    target_transforms: list[Any]
    targets: tuple[str, ...]
    notices: list[State]
    layers: tuple[Layer, ...] = ()
    dropped: list[dict[str, str]] = field(default_factory=list)
    open_axes: tuple[str, ...] = ()
