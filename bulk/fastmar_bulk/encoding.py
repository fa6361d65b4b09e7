"""Tables to the graph's inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmar_bulk.columns import Bools, Findings
from fastmar_bulk.gathering import TableGatherer
from fastmar_bulk.steps import RULES, NotColumnar
from fastmar_bulk.tables import Table, without_views
from fastmar_contract.errors import RecordError
from fastmar_runtime.preprocess import Arrays, Preprocessor
from fastmar_runtime.spec import Spec
from fastmar_runtime.steps import load_step


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows of a table as the graph reads them.

    Attributes:
        inputs: the graph's inputs for all rows; meaningless for refused ones.
        errors: the errors of refused rows, by row.
        warnings: the warnings by row.
    """

    inputs: Arrays
    errors: dict[int, RecordError]
    warnings: dict[int, list[dict[str, Any]]]


class TableEncoder:
    """Encodes usual rows by column, and unusual ones as records, so that the results are those of records.

    Unusual rows are those with values that get an error or a warning, and those of tables or models that the columnar
    rules do not cover.
    """

    def __init__(self, spec: Spec, preprocess: Preprocessor) -> None:
        self._inputs = spec.inputs
        self._gather = TableGatherer(spec)
        self._preprocess = preprocess
        steps = [load_step(state) for state in spec.steps]
        self._steps = [(RULES.get(type(step)), step) for step in steps]

    def __call__(self, table: Table) -> Encoded:
        """Encode the columns of the model; the table's other columns are ignored."""
        sources = self._gather.sources(table.columns)
        columns = {name: without_views(table.columns[name]) for name in sources}
        table = Table(columns, table.size, table.is_text, table.faults)
        findings = Findings(table.size)
        try:
            inputs = self._encode_columns(table, findings)
        except NotColumnar:
            findings = Findings(table.size)
            findings.unusual[:] = True
            inputs = {
                tensor.name: np.zeros((table.size, *map(int, tensor.shape[1:])), tensor.dtype)
                for tensor in self._inputs
            }
        encoded = Encoded(inputs, dict(table.faults), findings.warnings)
        self._encode_records(table, findings.unusual, encoded)
        return encoded

    def _encode_columns(self, table: Table, findings: Findings) -> Arrays:
        columns = self._gather(table, findings)
        inputs: Arrays = {}
        for rule, step in self._steps:
            if rule is None:
                raise NotColumnar
            inputs = rule(step, columns, findings) or inputs
        return inputs

    def _encode_records(self, table: Table, unusual: Bools, encoded: Encoded) -> None:
        fields = self._gather.sources(table.columns)
        rows = np.flatnonzero(unusual)
        if encoded.errors:
            encoded_errors = [*encoded.errors]
            for row in encoded_errors:
                encoded.warnings.pop(row, None)
            rows = np.setdiff1d(rows, encoded_errors)
        for start in range(0, len(rows), self._preprocess.chunk):
            part = rows[start : start + self._preprocess.chunk]
            groups, report = self._preprocess.groups(table.records(part.tolist(), fields))
            for group in groups:
                for name, array in group.inputs.items():
                    encoded.inputs[name][part[group.rows]] = array
            for place, warnings in enumerate(report.warnings):
                row = int(part[place])
                encoded.warnings.pop(row, None)
                if warnings:
                    encoded.warnings[row] = warnings
            for place, error in report.errors.items():
                row = int(part[place])
                encoded.errors[row] = error
                encoded.warnings.pop(row, None)
