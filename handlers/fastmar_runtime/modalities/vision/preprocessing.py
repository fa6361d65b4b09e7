"""Pictures to the graph's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastmar_contract.errors import RecordError
from fastmar_runtime import pictures
from fastmar_runtime.geometry import apply_layers
from fastmar_runtime.preprocess import Answer, Arrays, Group
from fastmar_runtime.report import Report
from fastmar_runtime.spec import IMAGE, Spec
from fastmar_runtime.steps import DecodedPicture, load_step

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
        by_shape: dict[tuple[int, ...], list[tuple[int, DecodedPicture]]] = {}
        for row, sent in enumerate(pictures.gather(records, report)):
            if sent is None:
                continue
            try:
                picture = self._run(sent)
            except RecordError as error:
                report.refuse(row, _named(error, sent.name))
            else:
                by_shape.setdefault(picture.image.shape, []).append((row, picture))
        groups = []
        for shape, members in by_shape.items():
            at_once = max(1, self._pixels // (shape[1] * shape[2]))
            groups += [self._group(members[start : start + at_once]) for start in range(0, len(members), at_once)]
        return groups, report

    def _group(self, members: list[tuple[int, DecodedPicture]]) -> Group:
        return Group(
            [row for row, _ in members],
            {self._input: np.stack([picture.image for _, picture in members])},
            [apply_layers(picture.geometry, self._layers) for _, picture in members],
        )

    def _run(self, sent: pictures.Picture) -> DecodedPicture:
        picture: Any = sent
        for step in self._steps:
            picture = step(picture)
        return picture  # type: ignore[no-any-return]

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
