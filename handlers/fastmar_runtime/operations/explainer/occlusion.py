"""Which parts of a picture its answer depends on: `{"image": ..., "explain": true}`.

The part of the picture that the network sees is divided into a grid. For each cell the network gets a copy in which the
cell has the mean colour, and the answers are compared (Zeiler and Fergus, 2014, section 4.2: occlusion sensitivity).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_contract.errors import RecordError
from fastmar_runtime.geometry import Geometry, apply_layers
from fastmar_runtime.operations import Answer, Model, Operations
from fastmar_runtime.operations.explainer.what_if import EXPLAIN, value_of

CELLS = 7  # of the grid, in a row and in a column
_AT_ONCE = 8  # copies that go through the graph together

Pixels = npt.NDArray[np.uint8]


class Occlusion(Operations):
    """Answers pictures that request an explanation."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._input = model.spec.inputs[0].name
        self._target = model.spec.targets[0]
        self._layers = model.spec.layers

    def option(self, record: Any) -> str | None:
        """See `Operations`."""
        return EXPLAIN if self.is_requested(record) else None

    def is_requested(self, record: Any) -> bool:
        """See `Operations`. Only a picture in JSON can request an explanation."""
        return isinstance(record, dict) and record.get(EXPLAIN) is True

    def size(self, record: dict[str, Any]) -> int:  # noqa: ARG002
        """See `Operations`."""
        return 2 + CELLS * CELLS

    def answer(self, record: dict[str, Any]) -> Answer:
        """The answer to a picture, and how it depends on its parts.

        Returns:
            ``{"answer", "outcome", "value", "area", "grid", "warnings"}``. `answer` and `warnings` are those of a
            prediction. `outcome` is the predicted label or the name of the target, `value` its probability or the
            predicted number. `area` is what the network sees, ``[left, top, right, bottom]`` in pixels of the picture
            that was sent; it may be larger than the picture. `grid` has a list for each row of cells in it: `value`
            minus the value of the picture without this cell.

        Raises:
            RecordError: the picture can't be predicted.
        """
        sent = {name: value for name, value in record.items() if name != EXPLAIN}
        [answer] = self._model.predict([sent])
        if "error" in answer:
            raise RecordError.from_dict(answer["error"])
        [group], _ = self._model.preprocess.groups([sent])
        [pixels], [geometry] = group.inputs[self._input], group.geometries
        outcome = answer["prediction"] if "probabilities" in answer else None
        value = value_of(answer, outcome)
        without = [
            value_of(other, outcome) or 0.0
            for copies in _batches(_occluded(pixels, self._seen(pixels)))
            for other in self._decoded(copies, geometry)
        ]
        grid = (value - np.array(without).reshape(CELLS, CELLS)).tolist()
        warnings = answer.pop("warnings")
        outcome = self._target if outcome is None else outcome
        area = [*geometry.offset, *_far_corner(geometry)]
        return {"answer": answer, "outcome": outcome, "value": value, "area": area, "grid": grid, "warnings": warnings}

    def _decoded(self, copies: Pixels, geometry: Geometry) -> Sequence[Answer]:
        return self._model.decode(self._model.run({self._input: copies}), [geometry] * len(copies))

    def _seen(self, pixels: Pixels) -> tuple[float, float, float, float]:
        """The part of the graph's input that the layers in the graph leave: left, top, right, bottom."""
        height, width = pixels.shape[1:]
        geometry = apply_layers(Geometry((width, height), (width, height)), self._layers)
        return (*geometry.offset, *_far_corner(geometry))


def _far_corner(geometry: Geometry) -> tuple[float, float]:
    """Original coordinates of the lower right corner."""
    return (
        geometry.offset[0] + geometry.size[0] * geometry.scale[0],
        geometry.offset[1] + geometry.size[1] * geometry.scale[1],
    )


def _occluded(pixels: Pixels, seen: tuple[float, float, float, float]) -> Iterator[Pixels]:
    """A copy of the picture, [channels, height, width], for each cell, row by row."""
    left, top, right, bottom = seen
    columns = np.linspace(left, right, CELLS + 1).round().astype(int)
    rows = np.linspace(top, bottom, CELLS + 1).round().astype(int)
    mean = pixels.mean(axis=(1, 2), keepdims=True).round().astype(pixels.dtype)
    for row in range(CELLS):
        for column in range(CELLS):
            copy = pixels.copy()
            copy[:, rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = mean
            yield copy


def _batches(copies: Iterator[Pixels]) -> Iterator[Pixels]:
    """Arrays [at most `_AT_ONCE`, channels, height, width]."""
    waiting: list[Pixels] = []
    for copy in copies:
        waiting.append(copy)
        if len(waiting) == _AT_ONCE:
            yield np.stack(waiting)
            waiting = []
    if waiting:
        yield np.stack(waiting)
