"""Checks of the fields, the steps and the graph's inputs of a text model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmar_contract.values import TEXT
from fastmar_runtime.modalities.text.preprocessing import IDS, LENGTHS
from fastmar_runtime.spec import Spec
from fastmar_runtime.steps import TextStep
from fastmar_runtime.validation import invalid, unreadable

_MAX_STATE = 1 << 16  # numbers of a state


def check_fields(spec: Spec) -> None:
    """Raise `BundleUnreadable` unless all fields are texts."""
    if not spec.fields or any(field.kind != TEXT for field in spec.fields):
        raise unreadable(f"spec.json: fields must be of the kind {TEXT!r} if kind is {spec.kind!r}")


def check_steps(steps: Sequence[Any]) -> None:
    """Raise `BundleUnreadable` unless all steps are steps of texts."""
    for at, step in enumerate(steps):
        if not isinstance(step, TextStep):
            raise unreadable(f"spec.json: steps[{at}] is not a step of texts")


def check_inputs(spec: Spec) -> None:
    """Raise `BundleUnreadable` unless the graph's inputs are ids, lengths and the states of a language model."""
    found = {tensor.name: (tensor.dtype, len(tensor.shape)) for tensor in spec.inputs}
    states = [tensor for tensor in spec.inputs if tensor.name not in (IDS, LENGTHS)]
    if {name: found.get(name) for name in (IDS, LENGTHS)} != {IDS: ("int64", 2), LENGTHS: ("int64", 1)}:
        raise unreadable(f"spec.json: graph.inputs must be {IDS!r} and {LENGTHS!r} if kind is {spec.kind!r}")
    for tensor in states:
        size = tensor.shape[-1]
        if found[tensor.name] != ("float32", 2) or not isinstance(size, int) or not 0 < size <= _MAX_STATE:
            raise invalid(f"spec.json: graph.{tensor.name}", "a state of the network, float32 [batch, size]", tensor)
