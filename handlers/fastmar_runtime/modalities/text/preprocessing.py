"""Preprocessing of texts: records to the graph's inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_contract.errors import RecordError
from fastmar_runtime import columns
from fastmar_runtime.preprocess import Answer, Arrays, Group
from fastmar_runtime.report import Report
from fastmar_runtime.spec import Spec
from fastmar_runtime.steps import load_step

IDS, LENGTHS = "ids", "lengths"  # the graph's inputs
UNK, PAD = 0, 1  # fastai's ids of an unknown token, `xxunk`, and of the padding, `xxpad`
LENGTH, UNKNOWN = "tokens", "share of unknown tokens"  # measures of texts, for profiles

CHUNK = 256  # records that are tokenized together
MAX_IDS = 8192  # ids of a group with its padding: the network keeps its state after each
_SIMILAR = 0.7  # the shortest text of a group has at least this share of the ids of the longest

Ids = npt.NDArray[np.int64]


class TextPreprocessor:
    """Runs the steps text by text, and pads texts of similar length to groups."""

    chunk = CHUNK

    def __init__(self, spec: Spec) -> None:
        self._names = [field.name for field in spec.fields]
        self._gather = columns.Gatherer(spec.fields, {}, spec.targets)
        self._steps = [load_step(state) for state in spec.steps]
        self._states = [(each.name, int(each.shape[1])) for each in spec.inputs if each.name not in (IDS, LENGTHS)]

    def __call__(self, records: Sequence[Any]) -> tuple[Arrays, Report]:
        """See `Preprocessor`."""
        report = Report(len(records))
        found = self._ids(records, report)
        return self._inputs([found.get(row, np.array([PAD])) for row in range(len(records))]), report

    def groups(self, records: Sequence[Any]) -> tuple[list[Group], Report]:
        """See `Preprocessor`. Texts of a group have similar lengths; groups are limited by ids."""
        report = Report(len(records))
        found = self._ids(records, report)
        return [self._group(rows, [found[row] for row in rows]) for rows in _by_length(found)], report

    def _group(self, rows: list[int], texts: Sequence[Ids]) -> Group:
        measures: dict[str, list[float]] = {
            LENGTH: [len(ids) for ids in texts],
            UNKNOWN: [float(np.mean(ids == UNK)) for ids in texts],
        }
        return Group(rows, self._inputs(texts), columns=measures)

    def _inputs(self, texts: Sequence[Ids]) -> Arrays:
        """The graph's inputs; the states of a language model are 0 before a text, float32 [batch, size]."""
        return {**_pad(texts), **{name: np.zeros((len(texts), size), np.float32) for name, size in self._states}}

    def _ids(self, records: Sequence[Any], report: Report) -> dict[int, Ids]:
        """The ids of the records that are not refused, by position."""
        if len(self._names) == 1:
            records = [{self._names[0]: record} if isinstance(record, str) else record for record in records]
        batch = self._gather(records, report)
        found = {}
        for row, texts in enumerate(zip(*batch.values(), strict=True)):
            if row in report.errors:
                continue
            try:
                found[row] = self._run(texts[0] if len(texts) == 1 else dict(zip(batch, texts, strict=True)))
            except RecordError as error:
                report.refuse(row, error)
        return found

    def _run(self, text: str | dict[str, str]) -> Ids:
        value: Any = text
        for step in self._steps:
            value = step(value)
        return value  # type: ignore[no-any-return]

    def add_names(self, records: Sequence[Any], answers: list[Answer]) -> list[Answer]:  # noqa: ARG002
        """See `Preprocessor`. Texts have no names."""
        return answers


def _by_length(found: dict[int, Ids]) -> Iterator[list[int]]:
    """Groups of positions, the longest texts first."""
    group: list[int] = []
    for row in sorted(found, key=lambda row: -len(found[row])):
        longest = len(found[group[0]]) if group else 0
        if group and (len(found[row]) < longest * _SIMILAR or longest * (len(group) + 1) > MAX_IDS):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _pad(texts: Sequence[Ids]) -> Arrays:
    """``ids``, int64 [batch, time], padded on the right, and ``lengths``, int64 [batch]."""
    lengths = np.array([len(ids) for ids in texts], np.int64)
    padded = np.full((len(texts), int(lengths.max(initial=1))), PAD, np.int64)
    for row, ids in enumerate(texts):
        padded[row, : len(ids)] = ids
    return {IDS: padded, LENGTHS: lengths}
