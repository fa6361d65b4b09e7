"""Scores a table in memory."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from fastmar_bulk.answers import AnswerTable
from fastmar_bulk.frames import answer_names, read_frame
from fastmar_bulk.scorer import TableScorer
from fastmar_bulk.tables import Table
from fastmar_client.schema import Schema
from fastmar_contract.errors import TableUnreadable
from fastmar_contract.faults import combine

ALL = "all"
ROWS_A_TABLE = 65_536  # that a thread scores at a time


def score_frame(
    scorer: TableScorer,
    answer_table: AnswerTable,
    schema: Schema,
    frame: Any,
    *,
    keep: str | Sequence[str],
    columns: Sequence[str] | None,
    workers: int,
) -> Any:
    """Score `frame`. See `fastmar.Model.score`."""
    table, join = read_frame(frame)
    names = list(table.columns)
    check_columns(schema, names, "the table")
    kept = select(keep, names)
    chosen = select_answers(columns, answer_table)

    def score(part: Table) -> pa.Table:
        return pa.table(answer_table.columns(scorer(part), chosen))

    parts = list(table.slices(ROWS_A_TABLE)) or [table]
    with ThreadPoolExecutor(min(workers, len(parts))) as pool:
        joined = pa.concat_tables(pool.map(score, parts))
    return join(kept, joined.rename_columns(answer_names(kept, joined.column_names)))


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
