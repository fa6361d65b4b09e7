"""Preprocessing of pictures: records to the graph's inputs."""

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

PICTURES = 32  # processed together
PIXELS = PICTURES * 224 * 224  # that go through the graph together: it keeps feature maps of each
MEASURES = ("width", "height", "aspect ratio", "brightness", "contrast", "sharpness")
"""Measures of pictures, for profiles. Brightness, contrast and sharpness are the mean of the grey values, their
standard deviation, and their mean difference between neighbours, from 0 to 255."""
COPIES = "copies"  # layer of test-time augmentation: the graph multiplies the batch
MASK_PIXELS = PIXELS // 8  # for masks: such networks keep feature maps of full size to the end


class PicturePreprocessor:
    """Runs the steps picture by picture, so that only one picture of full size is in memory."""

    chunk = PICTURES

    def __init__(self, spec: Spec) -> None:
        self._input = spec.inputs[0].name if spec.inputs else IMAGE
        self._steps = [load_step(state) for state in spec.steps]
        self._layers = spec.layers
        predicts_masks = bool(spec.outputs) and len(spec.outputs[0].shape) > 2
        copies = sum(layer["copies"] for layer in spec.layers if layer["layer"] == COPIES)
        self._pixels = (MASK_PIXELS if predicts_masks else PIXELS) // (1 + copies)

    def __call__(self, records: Sequence[Any]) -> tuple[Arrays, Report]:
        """See `Preprocessor`.

        Raises:
            ValueError: the pictures have different sizes after the steps.
        """
        groups, report = self.groups(records)
        pixels = [group.inputs[self._input] for group in groups]
        return ({self._input: np.concatenate(pixels)} if pixels else {}), report

    def groups(self, records: Sequence[Any]) -> tuple[list[Group], Report]:
        """See `Preprocessor`. Pictures of a group have the same size; groups are limited by pixels."""
        report = Report(len(records))
        by_shape: dict[tuple[int, ...], list[tuple[int, DecodedPicture]]] = {}
        for row, sent in enumerate(pictures.gather(records, report)):
            if sent is None:
                continue
            try:
                picture = self._run(sent)
            except RecordError as error:
                report.refuse(row, _add_name(error, sent.name))
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
            measures([picture for _, picture in members]),
        )

    def _run(self, sent: pictures.Picture) -> DecodedPicture:
        picture: Any = sent
        for step in self._steps:
            picture = step(picture)
        return picture  # type: ignore[no-any-return]

    def add_names(self, records: Sequence[Any], answers: list[Answer]) -> list[Answer]:
        """See `Preprocessor`. The name comes first in the answer."""
        names = [pictures.name_of(record) for record in records]
        return [
            answer if name is None else {"name": name, **answer} for name, answer in zip(names, answers, strict=True)
        ]


def measures(members: Sequence[DecodedPicture]) -> dict[str, list[float]]:
    """Measures of pictures for profiles: of the sent picture its size, and of the network's input its pixels."""
    found: dict[str, list[float]] = {name: [] for name in MEASURES}
    for picture in members:
        width, height = picture.geometry.sent
        grey = picture.image[:, ::2, ::2].mean(axis=0, dtype=np.float32)  # a quarter of the pixels takes 0.1 ms
        edges = np.abs(np.diff(grey)).mean() if grey.shape[1] > 1 else 0.0
        values = (width, height, width / height, grey.mean(), grey.std(), edges)
        for name, value in zip(MEASURES, values, strict=True):
            found[name].append(float(value))
    return found


def _add_name(error: RecordError, name: str | None) -> RecordError:
    """`error` with the picture's name in its message."""
    if name is None or pictures.describe_picture(name) in error.message:
        return error
    message = error.message.replace("the picture", pictures.describe_picture(name), 1)
    return RecordError(error.code, message, fix=error.fix, field=error.field)
