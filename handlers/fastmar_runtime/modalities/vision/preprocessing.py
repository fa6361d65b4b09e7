"""Pictures to the graph's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_contract.errors import RecordError
from fastmar_runtime import pictures
from fastmar_runtime.frames import Frame, through_layers
from fastmar_runtime.preprocess import Answer, Arrays, Group
from fastmar_runtime.report import Report
from fastmar_runtime.spec import IMAGE, Spec
from fastmar_runtime.steps import load_step

PICTURES = 32  # pictures that are looked at together
PIXELS = PICTURES * 224 * 224  # of them, pixels that go through the graph at once: it keeps maps of each
MASK_PIXELS = PIXELS // 8  # where answers are masks: such networks keep maps of the full size to the end


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
