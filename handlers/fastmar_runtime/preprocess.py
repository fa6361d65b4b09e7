"""Records to the graph's inputs: one way for tables, one for pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastmar_contract.errors import RecordError
from fastmar_runtime import columns, pictures
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.frames import Frame, through_layers
from fastmar_runtime.ranges import expected_ranges
from fastmar_runtime.report import Report
from fastmar_runtime.spec import IMAGE, TABULAR, VISION, Spec
from fastmar_runtime.steps import load_step

Arrays = dict[str, npt.NDArray[Any]]
Answer = dict[str, Any]

CHUNK = 4096  # records that go through the graph at once: more would only take memory
PICTURES = 32  # pictures that are looked at together
PIXELS = PICTURES * 224 * 224  # of them, pixels that go through the graph at once: it keeps maps of each
MASK_PIXELS = PIXELS // 8  # where answers are masks: such networks keep maps of the full size to the end


@dataclass(frozen=True, slots=True)
class Group:
    """Records that go through the graph together.

    Attributes:
        rows: their positions among the records.
        inputs: the graph's inputs for them, in the order of `rows`.
        frames: where their pixels lie in the pictures sent; empty for tables.
    """

    rows: list[int]
    inputs: Arrays
    frames: list[Frame] = field(default_factory=list)

    def single(self) -> Iterator[Group]:
        """Each record as a group of its own."""
        for place, row in enumerate(self.rows):
            inputs = {name: array[place : place + 1] for name, array in self.inputs.items()}
            yield Group([row], inputs, self.frames[place : place + 1])


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


class TablePreprocessor:
    """The fields' checks, then the steps in order, on columns."""

    chunk = CHUNK

    def __init__(self, spec: Spec) -> None:
        self._gather = columns.Gatherer(spec.fields, expected_ranges(spec))
        self._steps = [load_step(state) for state in spec.steps]

    def __call__(self, records: Sequence[Any]) -> tuple[Arrays, Report]:
        """See `Preprocessor`."""
        report = Report(len(records))
        return self._run(self._gather(records, report), report), report

    def _run(self, batch: dict[str, Any], report: Report) -> Arrays:
        for step in self._steps:
            batch = step(batch, report)
        return batch

    def groups(self, records: Sequence[Any]) -> tuple[list[Group], Report]:
        """One group of all records that were not refused.

        Of records that are refused by their fields' checks, only those that are explained go through the steps, which
        may find more faults.
        """
        report = Report(len(records))
        batch = self._gather(records, report)
        rows = list(range(len(records)))
        if report.errors:
            rows = [row for row in rows if row not in report.errors or row in report.explained]
            batch = {name: [column[row] for row in rows] for name, column in batch.items()}
        if not rows:
            return [], report
        part = report.part(rows) if len(rows) < len(records) else report
        inputs = self._run(batch, part)
        if part is not report:
            report.take_back(part, rows)
        good = [place for place in range(len(rows)) if place not in part.errors]
        if len(good) < len(rows):
            inputs = {name: array[good] for name, array in inputs.items()}
        return ([Group([rows[place] for place in good], inputs)] if good else []), report

    def named(self, records: Sequence[Any], answers: list[Answer]) -> list[Answer]:  # noqa: ARG002
        """Rows of a table have no names."""
        return answers


class PicturePreprocessor:
    """The steps in order, picture by picture, so that one at a time is in memory at its full size."""

    chunk = PICTURES

    def __init__(self, spec: Spec) -> None:
        self._input = spec.inputs[0].name if spec.inputs else IMAGE
        self._steps = [load_step(state) for state in spec.steps]
        self._layers = spec.layers
        answers_pixels = bool(spec.outputs) and len(spec.outputs[0].shape) > 2
        self._pixels = MASK_PIXELS if answers_pixels else PIXELS

    def __call__(self, records: Sequence[Any]) -> tuple[Arrays, Report]:
        """See `Preprocessor`; for pictures that end up in one size.

        Raises:
            ValueError: they are of several sizes.
        """
        groups, report = self.groups(records)
        pixels = [group.inputs[self._input] for group in groups]
        return ({self._input: np.concatenate(pixels)} if pixels else {}), report

    def groups(self, records: Sequence[Any]) -> tuple[list[Group], Report]:
        """Groups for each size that pictures end up in, as large as memory should be taken for."""
        report = Report(len(records))
        found = pictures.gather(records, report)
        by_shape: dict[tuple[int, ...], list[tuple[int, npt.NDArray[Any], Frame]]] = {}
        for row, picture in enumerate(found):
            if picture is None:
                continue
            batch = self._run(picture, row, report)
            if batch is not None:
                pixels = batch["image"][0]
                by_shape.setdefault(pixels.shape, []).append((row, pixels, batch["frame"][0]))
        groups = []
        for shape, members in by_shape.items():
            at_once = max(1, self._pixels // (shape[1] * shape[2]))
            groups += [self._group(members[start : start + at_once]) for start in range(0, len(members), at_once)]
        return groups, report

    def _group(self, members: list[tuple[int, npt.NDArray[Any], Frame]]) -> Group:
        return Group(
            [row for row, _, _ in members],
            {self._input: np.stack([pixels for _, pixels, _ in members])},
            [through_layers(frame, self._layers) for _, _, frame in members],
        )

    def _run(self, picture: pictures.Picture, row: int, report: Report) -> dict[str, Any] | None:
        """The picture as a batch of one behind the last step, or None where it was refused."""
        alone = Report(1)
        batch: dict[str, Any] = {"picture": [picture]}
        for step in self._steps:
            batch = step(batch, alone)
            if alone.errors:
                report.refuse(row, _named(alone.errors[0], picture.name))
                return None
        report.warnings[row] += alone.warnings[0]
        return batch

    def named(self, records: Sequence[Any], answers: list[Answer]) -> list[Answer]:
        """What the caller calls each picture comes first in its answer."""
        names = [pictures.name_of(record) for record in records]
        return [
            answer if name is None else {"name": name, **answer} for name, answer in zip(names, answers, strict=True)
        ]


def _named(error: RecordError, name: str | None) -> RecordError:
    """`error` with the picture's name in its message."""
    if name is None or pictures.called(name) in error.message:
        return error
    message = error.message.replace("the picture", pictures.called(name), 1)
    return RecordError(error.code, message, fix=error.fix, field=error.field)


_PREPROCESSORS: dict[str, Callable[[Spec], Preprocessor]] = {TABULAR: TablePreprocessor, VISION: PicturePreprocessor}


def load_preprocessor(spec: Spec) -> Preprocessor:
    """The preprocessor of a model of `spec`'s kind.

    Raises:
        BundleUnreadable: there is none.
    """
    make = _PREPROCESSORS.get(spec.kind)
    if make is None:
        raise BundleUnreadable(
            f"spec.json is of the kind {spec.kind!r}, which this runtime does not know.",
            fix="use the version of fastmar that wrote the archive, or export the learner again.",
        )
    return make(spec)
