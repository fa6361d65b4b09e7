"""Records of a table to the graph's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmar_runtime import columns
from fastmar_runtime.preprocess import Answer, Arrays, Group
from fastmar_runtime.ranges import expected_ranges
from fastmar_runtime.report import Report
from fastmar_runtime.spec import Spec
from fastmar_runtime.steps import load_step

CHUNK = 4096  # records that go through the graph at once: more would only take memory


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
            batch = {name: [column[place] for place in good] for name, column in batch.items()}
        return ([Group([rows[place] for place in good], inputs, columns=batch)] if good else []), report

    def named(self, records: Sequence[Any], answers: list[Answer]) -> list[Answer]:  # noqa: ARG002
        """Rows of a table have no names."""
        return answers
