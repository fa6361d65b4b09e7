"""The interface of preprocessors, which turn records into the graph's inputs."""

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


@dataclass(slots=True)  # not frozen: assigning the attributes of a frozen one takes three times as long
class Group:
    """Records that go through the graph together.

    Attributes:
        rows: positions of the records.
        inputs: the graph's inputs for them, in the order of `rows`.
        geometries: position of each picture's pixels in the original picture; empty for tables.
        columns: values of `rows` for profiles. For tables, the checked values of the columns, with the parts of dates
            instead of the dates, because a record may have either; for pictures and texts, measures of them.
    """

    rows: list[int]
    inputs: Arrays
    geometries: list[Geometry] = field(default_factory=list)
    columns: Columns = field(default_factory=dict)

    def split(self) -> Iterator[Group]:
        """A group for each record."""
        for place, row in enumerate(self.rows):
            inputs = {name: array[place : place + 1] for name, array in self.inputs.items()}
            yield Group([row], inputs, self.geometries[place : place + 1])


class Preprocessor(Protocol):
    """Turns records into the graph's inputs. Keeps no state between calls."""

    chunk: int
    """Number of records to process together: more only take memory."""

    def groups(self, records: Sequence[Any]) -> tuple[list[Group], Report]:
        """The graph's inputs for records that are not refused, and a report on all records."""
        ...

    def add_names(self, records: Sequence[Any], answers: list[Answer]) -> list[Answer]:
        """`answers`, with the ``name`` of each record that has one."""
        ...

    def __call__(self, records: Sequence[Any]) -> tuple[Arrays, Report]:
        """The graph's inputs for all of `records`; rows of refused records are meaningless."""
        ...
