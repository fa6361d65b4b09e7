"""Options of a run over files, and the columns of its output."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from fastmar_bulk.answers import ERROR_CODE, ERROR_FIELD, AnswerTable
from fastmar_bulk.frames import answer_names
from fastmar_bulk.in_memory import ALL, COLUMN, FAIL
from fastmar_bulk.scorer import Scorer
from fastmar_bulk.sinks import Rows
from fastmar_bulk.tables import Table
from fastmar_client.csv_answers import ERROR, INPUT, WARNINGS
from fastmar_client.errors import CsvUnwritable
from fastmar_client.scoring import Scored
from fastmar_contract.csv_rows import UTF8

__all__ = ["COLUMN", "FAIL", "SEPARATE", "Layout", "Options"]

SEPARATE = "separate"


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a run.

    Attributes:
        column: the table's column with the pictures or texts; None for the default, see `records.choose_columns`.
        columns: names of columns of the table or of answers, in the order of the output; "input" for all of the
            table's. None for the kept columns and the default ones of answers.
        keep: columns of the table in the output: "all", or names; without `columns`, None is "all".
        errors: "column": rows that can't be scored have their error in a column; "separate": they are written to a file
            of their own; "fail": the first one ends the run.
        encoding: the encoding of tables in CSV.
        batch_size: rows that a thread scores at a time; None for the scorer's number.
        workers: number of threads; None for one per core.
        resume: whether to resume an interrupted run.
        overwrite: whether to replace an existing output file.
        progress: called after each chunk.
    """

    column: str | None = None
    columns: Sequence[str] | None = None
    keep: str | Sequence[str] | None = None
    errors: str = COLUMN
    encoding: str = UTF8
    batch_size: int | None = None
    workers: int | None = None
    resume: bool = True
    overwrite: bool = False
    progress: Callable[[Scored], None] = field(default=lambda _: None)


class Layout:
    """The columns of the output.

    Attributes:
        kept: the table's columns in the output.
        answers: the chosen names of answers.
        computed: the answers to compute: `answers`, and those that each run counts or may write.
        columns: name in the output, whether it is a column of the table, and its name there or among the answers.
    """

    def __init__(
        self,
        names: Sequence[str],
        scorer: Scorer,
        answer_table: AnswerTable,
        options: Options,
        hidden: Container[str] = (),
    ) -> None:
        """Choose the columns.

        Args:
            names: the names of the table's columns.
            scorer: the scorer of the table.
            answer_table: the columns of answers.
            options: the options of the run.
            hidden: columns of the table that are in the output only if they are named.

        Raises:
            CsvUnwritable: a chosen column does not exist.
        """
        nothing = scorer(Table({}, 0))
        columns_of = {name: list(answer_table.columns(nothing, [name])) for name in answer_table.choices}
        shown = [name for name in names if name not in hidden]
        keep = options.keep if options.keep is not None else ALL if options.columns is None else ()
        kept = shown if keep == ALL else [keep] if isinstance(keep, str) else keep
        items = [(True, name) for name in kept]
        for name in answer_table.default if options.columns is None else options.columns:
            items += [(True, each) for each in shown] if name == INPUT else [(name not in columns_of, name)]
        if options.errors == SEPARATE:
            items = [item for item in items if item != (False, ERROR)]
        if unknown := [name for is_kept, name in items if is_kept and name not in names]:
            raise CsvUnwritable(
                f"neither the table nor the answers have a column {unknown[0]!r}.",
                fix=f"choose from {', '.join([INPUT, *answer_table.choices])}, and the table's columns.",
                code="unknown_column",
            )
        self.kept = list(dict.fromkeys(name for is_kept, name in items if is_kept))
        self.answers = list(dict.fromkeys(name for is_kept, name in items if not is_kept))
        self.computed = list(dict.fromkeys((*self.answers, WARNINGS, ERROR, ERROR_CODE, ERROR_FIELD)))
        answers = answer_names(self.kept, [column for name in self.answers for column in columns_of[name]])
        renamed = dict(zip((column for name in self.answers for column in columns_of[name]), answers, strict=True))
        self.columns = [
            (column if is_kept else renamed[column], is_kept, column)
            for is_kept, name in items
            for column in ([name] if is_kept else columns_of[name])
        ]

    def rows(self, table: Table, answers: pa.Table) -> Rows:
        """The output of a chunk."""
        return {
            name: _decoded(table.columns.get(source), table.size) if is_kept else answers[source].combine_chunks()
            for name, is_kept, source in self.columns
        }


def _decoded(values: Any, size: int) -> Any:
    """A column of the table without dictionaries, which can differ between chunks."""
    if values is None:
        return pa.nulls(size)
    if not isinstance(values, list) and pa.types.is_dictionary(values.type):
        return values.dictionary_decode()
    return values
