"""Records to the graph's inputs: what the preprocessor of every modality offers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy.typing as npt

from fastmar_runtime.geometry import Geometry
from fastmar_runtime.report import Report

Arrays = dict[str, npt.NDArray[Any]]
Columns = Mapping[str, Sequence[Any]]
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Group:
    """Records that go through the graph together.

    Attributes:
        rows: their positions among the records.
        inputs: the graph's inputs for them, in the order of `rows`.
        geometries: where their pixels lie in the pictures sent; empty for tables.
        columns: of tables, the values of `rows` behind their checks, before the first step.
    """

    rows: list[int]
    inputs: Arrays
    geometries: list[Geometry] = field(default_factory=list)
    columns: Columns = field(default_factory=dict)

    def single(self) -> Iterator[Group]:
        """Each record as a group of its own."""
        for place, row in enumerate(self.rows):
            inputs = {name: array[place : place + 1] for name, array in self.inputs.items()}
            yield Group([row], inputs, self.geometries[place : place + 1])


class Preprocessor(Protocol):
    """From records to the graph's inputs. Holds no state between calls."""

    chunk: int
    """Records that are worth taking at once: more would only take memory."""

    def groups(self, records: Sequence[Any]) -> tuple[list[Group], Report]:
        """The graph's inputs for the records that can be answered, and what there is to say about each record."""
        ...

    def named(self, records: Sequence[Any], answers: list[Answer]) -> list[Answer]:
        """`answers`, each with the ``name`` of its record where it has one."""
        ...

    def __call__(self, records: Sequence[Any]) -> tuple[Arrays, Report]:
        """The graph's inputs for all of `records` at once; without meaning for rows that were refused."""
        ...
