"""Scores files of tables of any size in constant memory, on all cores; interrupted runs can be resumed."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from fastmar_bulk.answers import ERROR_CODE, ERROR_FIELD, AnswerTable
from fastmar_bulk.frames import answer_names
from fastmar_bulk.in_memory import ALL
from fastmar_bulk.parts import Parts, folder_of, write_errors
from fastmar_bulk.scorer import TableScorer
from fastmar_bulk.sinks import CsvFormat, Rows, Sink, open_sink
from fastmar_bulk.sources import STDIN, Chunk, Reading, Source, find_files, fingerprint, open_source
from fastmar_bulk.tables import Table
from fastmar_client.csv_answers import ERROR, INPUT, WARNINGS
from fastmar_client.errors import CsvUnreadable, CsvUnwritable, RecordRefused
from fastmar_client.schema import Schema
from fastmar_client.scoring import Scored
from fastmar_contract.csv_rows import UTF8
from fastmar_contract.faults import combine
from fastmar_contract.machine import usable_cores
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.schema import describe

_Result: TypeAlias = "tuple[Table, Any]"

COLUMN, SEPARATE, FAIL = "column", "separate", "fail"
ROWS_A_CHUNK = 16_384  # with twice as many, memory grows by a tenth and rates do not
_STORED = (WARNINGS, ERROR, ERROR_CODE, ERROR_FIELD)  # answers that each run counts or may write


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a run.

    Attributes:
        columns: names of columns of the table or of answers, in the order of the output; "input" for all of the
            table's. None for the kept columns and the default ones of answers.
        keep: columns of the table in the output: "all", or names; without `columns`, None is "all".
        errors: "column": rows that can't be scored have their error in a column; "separate": they are written to a file
            of their own; "fail": the first one ends the run.
        encoding: of tables in CSV.
        batch_size: rows that a thread scores at a time.
        workers: number of threads; None for one per core.
        resume: whether to resume an interrupted run.
        overwrite: whether to replace an existing output file.
        progress: called after each chunk.
    """

    columns: Sequence[str] | None = None
    keep: str | Sequence[str] | None = None
    errors: str = COLUMN
    encoding: str = UTF8
    batch_size: int = ROWS_A_CHUNK
    workers: int | None = None
    resume: bool = True
    overwrite: bool = False
    progress: Callable[[Scored], None] = field(default=lambda _: None)


def score_files(predictor: Predictor, identity: str, table: str, target: str, options: Options) -> Scored:
    """Score the files of `table` and write one output file.

    Args:
        predictor: the model.
        identity: of the model and its version; a run is resumed only with the same one.
        table: a path, a folder, a pattern, or "-" for standard input.
        target: a path, or "-" for standard output. Its ending is its format.
        options: of the run.

    Raises:
        CsvUnreadable: a table can't be read, or does not have a column that the model needs.
        CsvUnwritable: the output can't be written, or a chosen column does not exist.
        ResumeRefused: the table or the model has changed since the interrupted run.
        RecordRefused: a row can't be scored, and `errors` is "fail".
    """
    files = find_files(table)
    reading = Reading(predictor.spec, options.batch_size, options.encoding)
    with closing(open_source(files[0], reading)) as source:
        return _score_files(predictor, identity, files, source, reading, target, options)


def _score_files(
    predictor: Predictor,
    identity: str,
    files: Sequence[str],
    source: Source,
    reading: Reading,
    target: str,
    options: Options,
) -> Scored:
    answer_table = AnswerTable(predictor.spec)
    scorer = TableScorer(predictor)
    nothing = scorer(Table({}, 0))
    columns_of = {name: list(answer_table.columns(nothing, [name])) for name in answer_table.choices}
    layout = _Layout(source.names, answer_table, columns_of, options)
    _check_target(target, files, options)
    parts = None
    if STDIN not in (files[0], target):
        description = {
            "table": [fingerprint(file) for file in files],
            "model": identity,
            "columns": [list(column) for column in layout.columns],
            "options": [options.errors, options.encoding, options.batch_size],
        }
        parts = Parts(Path(target), description, resume=options.resume)
    run = _Run(scorer, answer_table, Schema(describe(predictor.spec)), layout, parts, options)
    outputs = _Outputs(target, CsvFormat(source.delimiter, source.line_end, source.bom), options)
    try:
        run.score(files, source, reading, outputs)
        if parts is not None and [fingerprint(file) for file in files] != description["table"]:
            raise CsvUnreadable(
                f"{files[0]} or another table changed during the run.",
                fix="run it again with --no-resume.",
                code="table_changed",
            )
        if parts is not None:
            parts.flush()
        with write_errors(target):
            outputs.finish()
        if parts is not None:
            parts.remove()
    finally:
        outputs.close()
        if parts is not None:
            parts.close()
    return run.progress(1.0)


class _Layout:
    """The columns of the output.

    Attributes:
        kept: the table's columns in the output.
        answers: the chosen names of answers.
        columns: name in the output, whether it is a column of the table, and its name there or among the answers.
    """

    def __init__(
        self, names: Sequence[str], answer_table: AnswerTable, columns_of: Mapping[str, Sequence[str]], options: Options
    ) -> None:
        keep = options.keep if options.keep is not None else ALL if options.columns is None else ()
        kept = names if keep == ALL else [keep] if isinstance(keep, str) else keep
        items = [(True, name) for name in kept]
        for name in answer_table.default if options.columns is None else options.columns:
            items += [(True, each) for each in names] if name == INPUT else [(name not in columns_of, name)]
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


@dataclass(frozen=True, slots=True)
class _Job:
    number: int
    chunk: Chunk
    share: float


class _Run:
    def __init__(
        self,
        scorer: TableScorer,
        answer_table: AnswerTable,
        schema: Schema,
        layout: _Layout,
        parts: Parts | None,
        options: Options,
    ) -> None:
        self._scorer = scorer
        self._answer_table = answer_table
        self._schema = schema
        self._layout = layout
        self._parts = parts
        self._options = options
        self._rows = self._errors = self._warned = 0
        self._resumed = sum(parts.resumed.values()) if parts is not None else 0

    def progress(self, share: float) -> Scored:
        return Scored(max(self._rows, self._resumed), self._errors, self._warned, self._resumed, share)

    def score(self, files: Sequence[str], first: Source, reading: Reading, outputs: _Outputs) -> None:
        """Score and write chunk by chunk, in the order of the rows."""
        workers = self._options.workers or usable_cores()
        self._options.progress(self.progress(0.0))
        for job, (table, answers) in _map_in_order(self._score, self._jobs(files, first, reading), workers):
            if self._parts is not None:
                self._parts.check()
            error = answers[ERROR]
            failed = len(error) - error.null_count
            if failed and self._options.errors == FAIL:
                self._fail(answers)
            self._rows += table.size
            self._errors += failed
            self._warned += table.size - answers[WARNINGS].null_count
            rows = self._layout.rows(table, answers)
            if failed and self._options.errors == SEPARATE:
                with write_errors(outputs.target):
                    outputs.write_errors(_refused_rows(rows, answers))
                rows = {name: _taken(values, error.is_null()) for name, values in rows.items()}
            with write_errors(outputs.target):
                outputs.write(rows)
            self._options.progress(self.progress(job.share))
        if not self._rows:
            raise CsvUnreadable(f"{files[0]} has no rows.", fix="add rows to the table.", code="no_rows")

    def _jobs(self, files: Sequence[str], first: Source, reading: Reading) -> Generator[_Job, None, None]:
        fields = [name for f in reading.spec.fields for name in (f.name, *f.aliases)]
        number = 0
        for place, path in enumerate(files):
            with closing(first if place == 0 else open_source(path, reading)) as source:
                self._check_columns(source, path)
                for chunk in source.chunks([*fields, *self._layout.kept]):
                    yield _Job(number, chunk, (place + chunk.share) / len(files))
                    number += 1

    def _check_columns(self, source: Source, path: str) -> None:
        if missing := self._schema.missing_faults(source.names):
            error = combine(missing)
            message = error.message.replace("the record", path, 1)
            raise CsvUnreadable(message, fix=error.fix, code=error.code, field=error.field)
        if absent := [name for name in self._layout.kept if name not in source.names]:
            raise CsvUnreadable(
                f"{path} has no column {absent[0]!r}.", fix="keep columns that all tables have.", code="unknown_column"
            )

    def _score(self, job: _Job) -> tuple[Table, pa.Table]:
        table = job.chunk.load()
        if self._parts is not None and job.number in self._parts.resumed:
            return table, self._parts.load(job.number)
        scored = self._scorer(table)
        answers = pa.table(self._answer_table.columns(scored, [*dict.fromkeys((*self._layout.answers, *_STORED))]))
        if self._parts is not None:
            self._parts.save(job.number, answers)
        return table, answers

    def _fail(self, answers: pa.Table) -> None:
        row = pc.index(answers[ERROR].is_valid(), True).as_py()
        message, _, fix = answers[ERROR][row].as_py().partition(" Fix: ")
        raise RecordRefused(
            f"row {self._rows + row + 1}: {message}",
            fix=fix,
            code=answers[ERROR_CODE][row].as_py(),
            field=answers[ERROR_FIELD][row].as_py(),
        )


class _Outputs:
    """The output file, and that of the refused rows. They are written beside their names, which they get at the end."""

    def __init__(self, target: str, csv: CsvFormat, options: Options) -> None:
        self._csv = csv
        self.target = target
        self._targets = [target, errors_file(target)] if options.errors == SEPARATE else [target]
        self._sinks: dict[str, Sink] = {}

    def write(self, rows: Rows) -> None:
        self._sink(self._targets[0]).write(rows)

    def write_errors(self, rows: Rows) -> None:
        self._sink(self._targets[1]).write(rows)

    def close(self) -> None:
        """Close the files of a run that failed."""
        for sink in self._sinks.values():
            with suppress(OSError, pa.ArrowException):
                sink.close()

    def finish(self) -> None:
        """Complete the files."""
        for target in reversed(self._targets):
            if target not in self._sinks:
                with suppress(FileNotFoundError):
                    Path(target).unlink()  # of an earlier run
                continue
            self._sinks.pop(target).close()
            if target != STDIN:
                with _part(target).open("rb") as file:
                    os.fsync(file.fileno())
                _part(target).replace(target)

    def _sink(self, target: str) -> Sink:
        if target not in self._sinks:
            self._sinks[target] = open_sink(target, _part(target), self._csv)
        return self._sinks[target]


def _map_in_order(
    function: Callable[[_Job], _Result], jobs: Generator[_Job, None, None], workers: int
) -> Iterator[tuple[_Job, _Result]]:
    """Each job with its result, in their order; at most `workers` + 1 of them are in memory."""
    pending: deque[tuple[_Job, Future[_Result]]] = deque()
    with closing(jobs), ThreadPoolExecutor(workers, "fastmar-score") as pool:
        try:
            for job in jobs:
                pending.append((job, pool.submit(function, job)))
                if len(pending) > workers:
                    done, future = pending.popleft()
                    yield done, future.result()
            while pending:
                done, future = pending.popleft()
                yield done, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def errors_file(target: str) -> str:
    """The file of the rows that can't be scored: ``out.errors.csv`` for ``out.csv``."""
    path = Path(target)
    first, *suffixes = path.name.split(".")
    return str(path.with_name(".".join([first, "errors", *suffixes])))


def _part(target: str) -> Path:
    return Path(target + ".part")


def _check_target(target: str, files: Sequence[str], options: Options) -> None:
    if target == STDIN:
        return
    path = Path(target)
    if path.is_dir():
        raise CsvUnwritable(f"{target} is a folder.", fix="choose a file.", code="not_a_file")
    for written in (path, _part(target)):
        if written.exists() and any(file != STDIN and written.samefile(file) for file in files):
            raise CsvUnwritable(f"{written} is the input table.", fix="choose another output file.", code="same_file")
    # With answers beside it, the file is of a run that was interrupted after it had written all rows.
    if not options.overwrite and path.is_file() and not folder_of(path).exists():
        raise CsvUnwritable(
            f"{target} already exists.",
            fix="choose another output file, or replace it with --force.",
            code="file_exists",
        )


def _decoded(values: Any, size: int) -> Any:
    """A column of the table without dictionaries, which can differ between chunks."""
    if values is None:
        return pa.nulls(size)
    if not isinstance(values, list) and pa.types.is_dictionary(values.type):
        return values.dictionary_decode()
    return values


def _refused_rows(rows: Rows, answers: pa.Table) -> Rows:
    refused = answers[ERROR].is_valid()
    errors = {name: answers[name].combine_chunks() for name in (ERROR_CODE, ERROR_FIELD, ERROR)}
    return {name: _taken(values, refused) for name, values in {**rows, **errors}.items()}


def _taken(values: Any, chosen: Any) -> Any:
    if isinstance(values, list):
        return [value for value, is_chosen in zip(values, chosen.to_pylist(), strict=True) if is_chosen]
    return values.filter(chosen.combine_chunks())
