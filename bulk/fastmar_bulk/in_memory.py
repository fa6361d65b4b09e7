"""Scores a table in memory."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from fastmar_bulk.answers import Answers, AnswerTable
from fastmar_bulk.frames import answer_names, read_frame
from fastmar_bulk.scorer import TableScorer
from fastmar_bulk.tables import Table
from fastmar_client.schema import Schema
from fastmar_contract.errors import RecordError, TableUnreadable
from fastmar_contract.faults import combine
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.schema import describe

ALL = "all"
COLUMN, FAIL = "column", "fail"
ROWS_A_TABLE = 65_536  # that a thread scores at a time


class FrameScorer:
    """Scores DataFrames and Arrow tables; safe to call from several threads."""

    def __init__(self, predictor: Predictor) -> None:
        """Prepare `predictor` for tables.

        Raises:
            TableUnreadable: the model does not read tables.
        """
        self._scorer = TableScorer(predictor)
        self._answer_table = AnswerTable(predictor.spec)
        self._schema = Schema(describe(predictor.spec))

    def __call__(
        self,
        frame: Any,
        *,
        keep: str | Sequence[str] = ALL,
        columns: Sequence[str] | None = None,
        errors: str = COLUMN,
        workers: int = 1,
    ) -> Any:
        """Score `frame`. See `fastmar.Model.score`."""
        check_errors(errors)
        table, join = read_frame(frame)
        names = list(table.columns)
        check_columns(self._schema, names, "the table")
        kept = select(keep, names)
        chosen = select_answers(columns, self._answer_table)

        def score(number: int, part: Table) -> pa.Table:
            answers = self._scorer(part)
            if answers.errors and errors == FAIL:
                raise _first_error(answers, number * ROWS_A_TABLE)
            return pa.table(self._answer_table.columns(answers, chosen))

        parts = list(table.slices(ROWS_A_TABLE)) or [table]
        with ThreadPoolExecutor(min(workers, len(parts))) as pool:
            joined = pa.concat_tables(pool.map(score, range(len(parts)), parts))
        return join(kept, joined.rename_columns(answer_names(kept, joined.column_names)))


def check_errors(errors: str) -> None:
    """Refuse an unknown value of the option `errors`.

    Raises:
        ValueError: it is unknown.
    """
    if errors not in (COLUMN, FAIL):
        raise ValueError(f"errors is {errors!r}. Fix: use {COLUMN!r} or {FAIL!r}.")


def _first_error(answers: Answers, start: int) -> RecordError:
    """The error of the first refused row; `start` is the number of rows before these."""
    row = min(answers.errors)
    error = answers.errors[row]
    return RecordError(error.code, f"row {start + row + 1}: {error.message}", fix=error.fix, field=error.field)


def check_columns(schema: Schema, names: Sequence[str], table: str) -> None:
    """Refuse a table without a required column, instead of reporting an error for each row.

    Raises:
        TableUnreadable: a column is missing.
    """
    if missing := schema.missing_faults(names):
        error = combine(missing)
        message = error.message.replace("the record", table, 1)
        raise TableUnreadable(message, fix=error.fix, code=error.code)


def select(keep: str | Sequence[str], names: Sequence[str]) -> list[str]:
    """The columns of a table to keep: "all", or some of its `names`.

    Raises:
        TableUnreadable: the table does not have one of them.
    """
    if keep == ALL:
        return list(names)
    kept = [keep] if isinstance(keep, str) else list(keep)
    _check_known(kept, names, "the table has")
    return kept


def select_answers(columns: Sequence[str] | None, answer_table: AnswerTable) -> list[str]:
    """The columns of answers; None for the default.

    Raises:
        TableUnreadable: answers do not have one of them.
    """
    chosen = list(answer_table.default if columns is None else columns)
    _check_known(chosen, answer_table.choices, "the answers have")
    return chosen


def _check_known(chosen: Sequence[str], known: Sequence[str], what: str) -> None:
    for name in chosen:
        if name not in known:
            raise TableUnreadable(
                f"{what} no column {name!r}.", fix=f"choose from {', '.join(known)}.", code="unknown_column"
            )
