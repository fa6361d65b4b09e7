"""The steps between a record's columns and the graph's inputs, one file each, named like its step.

A step is a frozen dataclass with its state as attributes, `from_state` to read that state from `spec.json`, and one
pure method: it is called with the columns of a batch and returns new ones. It changes nothing it was given, and says
what it has to say about a record to the `Report`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from fastmar_runtime import registry
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.report import Report

Batch = dict[str, Any]
"""Columns by name (lists), and after the last step the graph's inputs (arrays)."""


class Step(Protocol):
    """One transform, as data and a pure function."""

    def __call__(self, batch: Batch, report: Report) -> Batch:
        """`batch` transformed; refusals and warnings go to `report`."""
        ...


def load_step(state: dict[str, Any], path: str = "spec.json: steps[]") -> Step:
    """The step that `state` describes: ``{"step": NAME, ...}``; `path` is where it stands, for messages.

    Raises:
        BundleUnreadable: there is no step of that name, or its state lacks a part.
    """
    name = state.get("step") if isinstance(state, dict) else state
    module = registry.load("steps", name)
    if module is None:
        raise BundleUnreadable(
            f"{path} names the step {name!r:.80}, which this runtime does not know.", fix="export the learner again."
        )
    from_state: Callable[[dict[str, Any], str], Step] = module.from_state
    try:
        return from_state(state, path)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleUnreadable(
            f"{path}, the step {name}, lacks a part or has one of another shape ({error!r}).",
            fix="export the learner again.",
        ) from error
