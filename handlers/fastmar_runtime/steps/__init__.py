"""The preprocessing steps, one module each, named like the step.

A step is a frozen dataclass with its state as attributes and one pure method. Its module has a function `from_state`
that reads the state from `spec.json`. A step of a table is called with the columns of a batch and returns new ones; it
adds warnings and errors of records to the `Report`. A step of pictures is called with one picture, a step of texts with
one text; both raise `RecordError` to refuse it.
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
"""Columns by name (lists); after the last step, the graph's inputs (arrays)."""


class Step(Protocol):
    """A step of a table."""

    def __call__(self, batch: Batch, report: Report) -> Batch:
        """The transformed batch; errors and warnings are added to `report`."""
        ...


@dataclass(frozen=True, slots=True)
class DecodedPicture:
    """A picture between two steps.

    Attributes:
        image: a Pillow image; after the last step, uint8 [channels, height, width].
        geometry: position of its pixels in the original picture.
    """

    image: Any
    geometry: Geometry


class PictureStep(ABC):
    """A step of pictures. The first step is called with a `Picture` instead."""

    __slots__ = ()

    @abstractmethod
    def __call__(self, picture: DecodedPicture) -> DecodedPicture:
        """The transformed picture.

        Raises:
            RecordError: the picture is refused.
        """


class TextStep(ABC):
    """A step of texts. The first one is called with the text of one record; the last one returns its ids."""

    __slots__ = ()

    @abstractmethod
    def __call__(self, value: Any) -> Any:
        """A text (`str`), its tokens (`list[str]`) or their ids (`int64 [time]`), from one of these.

        Raises:
            RecordError: the text is refused.
        """


def load_step(state: dict[str, Any], path: str = "spec.json: steps[]") -> Any:
    """The step that `state`, ``{"step": NAME, ...}``, describes; `path` is its place, for messages.

    Raises:
        BundleUnreadable: the step is unknown, or its state is invalid.
    """
    name = state.get("step") if isinstance(state, dict) else state
    module = registry.load("steps", name)
    if module is None:
        raise BundleUnreadable(
            f"{path} has the step {name!r:.80}, which this runtime does not know.",
            fix="install the package that adds it, or export the learner again.",
        )
    from_state: Callable[[dict[str, Any], str], Any] = module.from_state
    try:
        return from_state(state, path)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleUnreadable(
            f"{path}, the step {name}, has an invalid state ({error!r}).",
            fix="export the learner again.",
        ) from error
