"""Scores tables with a loaded model."""

from __future__ import annotations

import numpy as np

from fastmar_bulk.answers import Answers
from fastmar_bulk.encoding import TableEncoder
from fastmar_bulk.tables import Table
from fastmar_contract.errors import TableUnreadable
from fastmar_runtime.activations import all_finite
from fastmar_runtime.modalities.tabular.preprocessing import TablePreprocessor
from fastmar_runtime.predictor import Predictor, not_finite

ROWS_A_RUN = 2048  # of the graph: its intermediate results stay in a core's cache


class TableScorer:
    """Answers tables as `Predictor.predict` answers their records; safe to call from several threads."""

    def __init__(self, predictor: Predictor) -> None:
        """Prepare `predictor` for tables.

        Raises:
            TableUnreadable: the model does not read tables.
        """
        if not reads_tables(predictor):
            raise TableUnreadable(
                f"{predictor.spec.name} reads {predictor.spec.kind} records, not tables.",
                fix="use `predict`.",
                code="not_tabular",
            )
        self._predictor = predictor
        self._encode = TableEncoder(predictor.spec, predictor.preprocess)

    def __call__(self, table: Table) -> Answers:
        """The answers to the rows of `table`."""
        encoded = self._encode(table)
        starts = range(0, max(table.size, 1), ROWS_A_RUN)
        parts = [
            self._predictor.run({name: array[at : at + ROWS_A_RUN] for name, array in encoded.inputs.items()})
            for at in starts
        ]
        output = np.concatenate(parts)
        output[list(encoded.errors)] = 0
        if not all_finite(output):
            for row in np.flatnonzero(~np.isfinite(output).reshape(len(output), -1).all(axis=1)).tolist():
                encoded.errors[row] = not_finite()
                encoded.warnings.pop(row, None)
            output[list(encoded.errors)] = 0
        return Answers(output, encoded.errors, encoded.warnings)


def reads_tables(predictor: Predictor) -> bool:
    """Whether a model's records are rows of a table, which can be scored by column."""
    return isinstance(predictor.preprocess, TablePreprocessor)
