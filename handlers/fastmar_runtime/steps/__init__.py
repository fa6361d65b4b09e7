"""The steps between a record and the graph's inputs, one file each, named like its step.

A step is a frozen dataclass with its state as attributes and one pure method, and its module has `from_state` to read
that state from `spec.json`. A step of a table is called with the columns of a batch and returns new ones; it reports
what it finds in a record to the `Report`. A step of pictures is called with one picture; it raises `RecordError` for
one that it refuses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from fastmar_runtime import registry
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.geometry import Geometry
from fastmar_runtime.report import Report

Batch = dict[str, Any]
"""Columns by name (lists), and after the last step the graph's inputs (arrays)."""


class Step(Protocol):
    """One transform of a table, as data and a pure function."""

    def __call__(self, batch: Batch, report: Report) -> Batch:
        """`batch` transformed; refusals and warnings go to `report`."""
        ...


@dataclass(frozen=True, slots=True)
class DecodedPicture:
    """A picture between two steps.

    Attributes:
        image: Pillow's; behind the last step uint8 [channels, height, width].
        geometry: where its pixels lie in the picture that was sent.
    """

    image: Any
    geometry: Geometry


class PictureStep(ABC):
    """One transform of a picture. The first step is called with the `Picture` that was sent instead."""

    __slots__ = ()

    @abstractmethod
    def __call__(self, picture: DecodedPicture) -> DecodedPicture:
        """The picture transformed.

        Raises:
            RecordError: it is refused.
        """


def load_step(state: dict[str, Any], path: str = "spec.json: steps[]") -> Any:
    """The `Step` or `PictureStep` that `state`, ``{"step": NAME, ...}``, describes; `path` is its place in messages.

    Raises:
        BundleUnreadable: there is no step of that name, or its state lacks a part.
    """
    name = state.get("step") if isinstance(state, dict) else state
    module = registry.load("steps", name)
    if module is None:
        raise BundleUnreadable(
            f"{path} names the step {name!r:.80}, which this runtime does not know.",
            fix="install the package that adds it, or export the learner again.",
        )
    from_state: Callable[[dict[str, Any], str], Any] = module.from_state
    try:
        return from_state(state, path)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleUnreadable(
            f"{path}, the step {name}, lacks a part or has one of another shape ({error!r}).",
            fix="export the learner again.",
        ) from error
