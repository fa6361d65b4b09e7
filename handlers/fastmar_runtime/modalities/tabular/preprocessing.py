"""Preprocessing of tables: records to the graph's inputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any

from fastmar_runtime import columns
from fastmar_runtime.preprocess import Answer, Arrays, Group
from fastmar_runtime.ranges import expected_ranges
from fastmar_runtime.report import Report
from fastmar_runtime.spec import Spec
from fastmar_runtime.steps import Step, load_step
from fastmar_runtime.steps.add_datepart import AddDatepart

CHUNK = 4096  # records that go through the graph together: more only take memory


class TablePreprocessor:
    """Checks the fields, then runs the steps in order, on columns."""

    chunk = CHUNK

    def __init__(self, spec: Spec) -> None:
        self._gather = columns.Gatherer(spec.fields, expected_ranges(spec), spec.targets)
        steps = [load_step(state) for state in spec.steps]
        self._dates = [*takewhile(lambda step: isinstance(step, AddDatepart), steps)]
        self._steps = steps[len(self._dates) :]

    def __call__(self, records: Sequence[Any]) -> tuple[Arrays, Report]:
        """See `Preprocessor`."""
        report = Report(len(records))
        return _run((*self._dates, *self._steps), self._gather(records, report), report), report

    def groups(self, records: Sequence[Any]) -> tuple[list[Group], Report]:
        """One group of all records that are not refused.

        Records that fail the checks of their fields still go through the steps if they are explained, because the steps
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
        part = report.subset(rows) if len(rows) < len(records) else report
        batch = _run(self._dates, batch, part)
        inputs = _run(self._steps, batch, part)
        if not part.errors:
            return [Group(rows, inputs, [], batch)], report
        if part is not report:
            report.merge(part, rows)
        good = [place for place in range(len(rows)) if place not in part.errors]
        inputs = {name: array[good] for name, array in inputs.items()}
        batch = {name: [column[place] for place in good] for name, column in batch.items()}
        return ([Group([rows[place] for place in good], inputs, columns=batch)] if good else []), report

    def add_names(self, records: Sequence[Any], answers: list[Answer]) -> list[Answer]:  # noqa: ARG002
        """See `Preprocessor`. Rows of a table have no names."""
        return answers


def _run(steps: Iterable[Step], batch: dict[str, Any], report: Report) -> dict[str, Any]:
    for step in steps:
        batch = step(batch, report)
    return batch
