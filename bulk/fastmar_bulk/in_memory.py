"""Scores a table in memory."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from fastmar_bulk.answers import Answers, AnswerTable
from fastmar_bulk.frames import answer_names, read_frame
from fastmar_bulk.scorer import open_scorer, rows_a_chunk
from fastmar_bulk.tables import Table
from fastmar_contract.errors import RecordError, TableUnreadable
from fastmar_runtime.predictor import Predictor

ALL = "all"
COLUMN, FAIL = "column", "fail"


class FrameScorer:
    """Scores DataFrames and Arrow tables; safe to call from several threads."""

    def __init__(self, predictor: Predictor) -> None:
        """Prepare `predictor` for tables.

        Raises:
            TableUnreadable: the model's answers can't be columns of a table.
        """
        self._predictor = predictor
        self._answer_table = AnswerTable(predictor.spec)

    def __call__(
        self,
        frame: Any,
        *,
        column: str | None = None,
        keep: str | Sequence[str] = ALL,
        columns: Sequence[str] | None = None,
        errors: str = COLUMN,
        workers: int = 1,
    ) -> Any:
        """Score `frame`. See `fastmar.Model.score`."""
        check_errors(errors)
        table, join = read_frame(frame)
        names = list(table.columns)
        scorer = open_scorer(self._predictor, column, names, "the table")
        rows = rows_a_chunk(self._predictor)
        kept = select(keep, names)
        chosen = select_answers(columns, self._answer_table)

        def score(number: int, part: Table) -> pa.Table:
            answers = scorer(part)
            if answers.errors and errors == FAIL:
                raise _first_error(answers, number * rows)
            return pa.table(self._answer_table.columns(answers, chosen))

        parts = list(table.slices(rows)) or [table]
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
