"""Scores tables with a loaded model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from fastmar_bulk.answers import Answers
from fastmar_bulk.encoding import TableEncoder
from fastmar_bulk.records import RecordScorer, choose_columns, known_names
from fastmar_bulk.tables import Table
from fastmar_client.schema import Schema
from fastmar_contract.errors import TableUnreadable
from fastmar_contract.faults import combine
from fastmar_runtime.activations import all_finite
from fastmar_runtime.modalities.tabular.preprocessing import TablePreprocessor
from fastmar_runtime.predictor import Predictor, not_finite
from fastmar_runtime.schema import describe

ROWS_A_CHUNK = 16_384  # with twice as many, memory grows by a tenth and rates do not
CHUNKS = 2  # of a preprocessor of pictures or texts: an interrupted run loses only seconds
ROWS_A_RUN = 512  # of the graph: its intermediate results stay in a core's cache, and take little memory


class Scorer(Protocol):
    """Answers the rows of tables as `Predictor.predict` answers their records; safe to call from several threads.

    Attributes:
        wanted: names of the columns that it reads, some of which a table may not have.
    """

    wanted: list[str]

    def check(self, names: Sequence[str], table: str) -> None:
        """Refuse a table without a required column, instead of reporting an error for each row.

        Args:
            names: the names of the table's columns.
            table: its name, for messages.

        Raises:
            TableUnreadable: a column is missing.
        """
        ...

    def __call__(self, table: Table) -> Answers:
        """The answers to the rows of `table`."""
        ...


def open_scorer(predictor: Predictor, column: str | None, names: Sequence[str], table: str) -> Scorer:
    """The scorer of a model for tables with the columns `names`.

    Args:
        predictor: the model.
        column: the column with the pictures or texts; None for the default, see `choose_columns`.
        names: the names of the columns of the first table.
        table: its name, for messages.

    Raises:
        TableUnreadable: the table does not have the columns.
    """
    if not reads_tables(predictor):
        return RecordScorer(predictor, choose_columns(predictor.spec, column, names, table))
    if column is not None:
        raise TableUnreadable(
            f"{predictor.spec.name} reads several columns, by their names.",
            fix="leave out the name of the column.",
            code="unknown_column",
        )
    scorer = TableScorer(predictor)
    scorer.check(names, table)
    return scorer


def rows_a_chunk(predictor: Predictor) -> int:
    """The number of rows to score at a time. Larger chunks take more memory and are not faster."""
    return ROWS_A_CHUNK if reads_tables(predictor) else CHUNKS * predictor.preprocess.chunk


def reads_tables(predictor: Predictor) -> bool:
    """Whether a model's records are rows of a table, which can be scored by column."""
    return isinstance(predictor.preprocess, TablePreprocessor)


class TableScorer:
    """See `Scorer`. Scores rows by column."""

    def __init__(self, predictor: Predictor) -> None:
        """Prepare `predictor`, whose records are rows of tables."""
        self._predictor = predictor
        self._schema = Schema(describe(predictor.spec))
        self._encode = TableEncoder(predictor.spec, predictor.preprocess)
        self.wanted = known_names(predictor.spec, None)

    def check(self, names: Sequence[str], table: str) -> None:
        """See `Scorer`."""
        if missing := self._schema.missing_faults(names):
            error = combine(missing)
            message = error.message.replace("the record", table, 1)
            raise TableUnreadable(message, fix=error.fix, code=error.code)

    def __call__(self, table: Table) -> Answers:
        """See `Scorer`."""
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
        return Answers(output, encoded.errors, encoded.warnings, {})
