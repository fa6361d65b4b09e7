"""Scores files of tables of any size in constant memory, on all cores; interrupted runs can be resumed."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa

from fastmar_bulk.answers import AnswerTable
from fastmar_bulk.layout import FAIL, SEPARATE, Layout, Options
from fastmar_bulk.outputs import Outputs, check_target, first_refused, refused_rows, taken
from fastmar_bulk.parallel import map_in_order
from fastmar_bulk.parts import Parts, write_errors
from fastmar_bulk.records import header_fix
from fastmar_bulk.scorer import Scorer, open_scorer, reads_tables, rows_a_chunk
from fastmar_bulk.sinks import CsvFormat
from fastmar_bulk.sources import STDIN, Chunk, Reading, Source, find_files, fingerprint, open_source, table_errors
from fastmar_bulk.stores import local_path
from fastmar_bulk.tables import Table
from fastmar_bulk.unused import UnusedColumns
from fastmar_client.csv_answers import ERROR, WARNINGS
from fastmar_client.errors import CsvUnreadable
from fastmar_client.scoring import Scored
from fastmar_contract.csv_rows import NO_HEADER
from fastmar_contract.machine import usable_cores
from fastmar_runtime.memory import release_freed
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Spec

_CHUNKS_A_RELEASE = 2  # after so many, freed memory is returned to the system; else it adds up as a run goes on


def score_files(predictor: Predictor, identity: str, table: str, target: str, options: Options) -> Scored:
    """Score the files of `table` and write one output file.

    Args:
        predictor: the model.
        identity: identifies the model and its version; a run is resumed only with the same identity.
        table: a path or URL, a folder, a pattern, or "-" for standard input.
        target: a path or URL, or "-" for standard output. Its ending is its format.
        options: the options of the run.

    Raises:
        CsvUnreadable: a table can't be read, or does not have a column that the model needs.
        CsvUnwritable: the output can't be written, or a chosen column does not exist.
        ResumeRefused: the table or the model has changed since the interrupted run.
        RecordRefused: a row can't be scored, and `errors` is "fail".
    """
    table, target = local_path(table), local_path(target)
    spec = predictor.spec
    answer_table = AnswerTable(spec)
    files = find_files(table, spec)
    rows = options.batch_size or rows_a_chunk(predictor)
    reading = Reading(spec, rows, options.encoding, options.column)
    with closing(_open_first(files[0], reading, predictor)) as source:
        with table_errors():
            scorer = open_scorer(predictor, options.column, source.names, files[0])
        return _score_files(scorer, answer_table, identity, files, source, reading, target, options)


def _score_files(
    scorer: Scorer,
    answer_table: AnswerTable,
    identity: str,
    files: Sequence[str],
    source: Source,
    reading: Reading,
    target: str,
    options: Options,
) -> Scored:
    pictures = {*source.bytes_columns} & {*scorer.wanted}  # would make the output as large as the table
    layout = Layout(source.names, scorer, answer_table, options, hidden=pictures)
    check_target(target, files, options)
    parts = None
    if STDIN not in (files[0], target):
        description = {
            "table": [fingerprint(file, reading.spec) for file in files],
            "model": identity,
            "columns": [list(column) for column in layout.columns],
            "options": [options.errors, options.encoding, reading.rows, options.column],
        }
        parts = Parts(target, description, resume=options.resume)
    run = _Run(scorer, answer_table, layout, parts, options, reading.spec)
    outputs = Outputs(target, CsvFormat(source.delimiter, source.line_end, source.bom), options)
    try:
        run.score(files, source, reading, outputs)
        if parts is not None and [fingerprint(file, reading.spec) for file in files] != description["table"]:
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


def _open_first(path: str, reading: Reading, predictor: Predictor) -> Source:
    try:
        return open_source(path, reading)
    except CsvUnreadable as error:
        if error.code == NO_HEADER and not reads_tables(predictor):
            error.fix = header_fix(reading.spec) or error.fix
        raise


@dataclass(slots=True)
class _Job:
    number: int
    chunk: Chunk | None
    share: float

    def load(self) -> Table:
        """The rows; can be called once, because the chunk of a file would stay in memory until they are written."""
        assert self.chunk is not None  # noqa: S101 - for the type checker
        table = self.chunk.load()
        self.chunk = None
        return table


class _Run:
    def __init__(
        self,
        scorer: Scorer,
        answer_table: AnswerTable,
        layout: Layout,
        parts: Parts | None,
        options: Options,
        spec: Spec,
    ) -> None:
        self._scorer = scorer
        self._answer_table = answer_table
        self._layout = layout
        self._parts = parts
        self._options = options
        self._unused = UnusedColumns(spec, scorer, options)
        self._rows = self._errors = self._warned = 0
        self._resumed = sum(parts.resumed.values()) if parts is not None else 0

    def progress(self, share: float) -> Scored:
        return Scored(max(self._rows, self._resumed), self._errors, self._warned, self._resumed, share)

    def score(self, files: Sequence[str], first: Source, reading: Reading, outputs: Outputs) -> None:
        """Score and write chunk by chunk, in the order of the rows."""
        workers = self._options.workers or usable_cores()
        self._options.progress(self.progress(0.0))
        for job, (table, answers) in map_in_order(self._score, self._jobs(files, first, reading), workers):
            if self._parts is not None:
                self._parts.check()
            error = answers[ERROR]
            failed = len(error) - error.null_count
            if failed and self._options.errors == FAIL:
                raise first_refused(answers, lambda row: f"row {self._rows + row + 1}")
            self._rows += table.size
            self._errors += failed
            self._warned += table.size - answers[WARNINGS].null_count
            rows = self._layout.rows(table, answers)
            if failed and self._options.errors == SEPARATE:
                with write_errors(outputs.target):
                    outputs.write_errors(refused_rows(rows, answers))
                rows = {name: taken(values, error.is_null()) for name, values in rows.items()}
            with write_errors(outputs.target):
                outputs.write(rows)
            self._options.progress(self.progress(job.share))
            if job.number % _CHUNKS_A_RELEASE == 0:
                release_freed()
        if not self._rows:
            raise CsvUnreadable(f"{files[0]} has no rows.", fix="add rows to the table.", code="no_rows")

    def _jobs(self, files: Sequence[str], first: Source, reading: Reading) -> Generator[_Job, None, None]:
        number = 0
        for place, path in enumerate(files):
            with closing(first if place == 0 else open_source(path, reading)) as source:
                self._check_columns(source, path)
                for chunk in source.chunks([*self._scorer.wanted, *self._layout.kept]):
                    yield _Job(number, chunk, (place + chunk.share) / len(files))
                    number += 1

    def _check_columns(self, source: Source, path: str) -> None:
        with table_errors():
            self._scorer.check(source.names, path)
        self._unused.report(source.names, path)
        if absent := [name for name in self._layout.kept if name not in source.names]:
            raise CsvUnreadable(
                f"{path} has no column {absent[0]!r}.", fix="keep columns that all tables have.", code="unknown_column"
            )

    def _score(self, job: _Job) -> tuple[Table, pa.Table]:
        table = job.load()
        if self._parts is not None and job.number in self._parts.resumed:
            return table, self._parts.load(job.number)
        scored = self._scorer(table)
        answers = pa.table(self._answer_table.columns(scored, self._layout.computed))
        if self._parts is not None:
            self._parts.save(job.number, answers)
        return table, answers
