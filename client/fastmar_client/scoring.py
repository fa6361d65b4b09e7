"""Scores CSV files of any size in constant memory; interrupted runs can be resumed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol

from fastmar_client.bulk import answer_or_bisect, batches, check_sizes, map_in_order
from fastmar_client.csv_answers import AnswerColumns
from fastmar_client.encoding import JSON, encode
from fastmar_client.errors import CsvUnreadable, CsvUnwritable, RecordRefused, wrong_count_error
from fastmar_client.flows import Flow, run_without_io
from fastmar_client.journal import Output, working_files
from fastmar_client.schema import Schema
from fastmar_contract.csv_rows import UTF8, CsvFile, CsvRows, CsvWriter, Row
from fastmar_contract.errors import TableUnreadable
from fastmar_contract.faults import combine
from fastmar_contract.files import CSV

log = logging.getLogger(__name__)

Answer = dict[str, Any]

ROWS_A_REQUEST = 1000
BYTES_A_REQUEST = 1_500_000  # the server's limits are 16 MB for a request and 6.5 MB for a response


class RowModel(Protocol):
    """A model that answers rows of tables: on a server, or in this process."""

    @property
    def schema(self) -> Mapping[str, Any]:
        """The schema, as `Client.schema` returns it."""
        ...

    @property
    def identity(self) -> str:
        """Identifies the model and version, so that a run is not resumed with another model."""
        ...

    def answer(self, body: bytes, content_type: str) -> Sequence[Answer]:
        """Answer each row of a CSV with a header, or each record of a JSON list.

        Raises:
            RecordRefused: the body is refused as a whole.
        """
        ...


@dataclass(frozen=True, slots=True)
class Scored:
    """The progress or the result of a run.

    Attributes:
        rows: processed rows, including those of earlier runs.
        errors: rows that could not be scored; the column "error" has the reasons.
        warned: rows that were scored with warnings.
        resumed: rows that were processed before this run.
        share: processed share of the table's bytes, from 0 to 1.
    """

    rows: int
    errors: int
    warned: int
    resumed: int
    share: float


def score_csv(
    model: RowModel,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    encoding: str = UTF8,
    resume: bool = True,
    overwrite: bool = True,
    progress: Callable[[Scored], None] | None = None,
    batch_size: int = ROWS_A_REQUEST,
    concurrency: int = 4,
) -> Scored:
    """Score the CSV `source` and write the answers to the CSV `target`. See `Client.score_csv`."""
    source, target = Path(source), Path(target)
    check_sizes(batch_size, concurrency)
    schema = Schema(model.schema)
    if not schema.reads_csv:
        raise CsvUnreadable(
            f"{schema.name} reads {schema.traits.records}, not tables.",
            fix=f"pass {schema.traits.records} to predict_many, or to `fastmar predict`.",
            code="not_tabular",
        )
    with _open(source) as file, _table_errors():
        rows = CsvFile(file, schema.names, encoding=encoding, name=str(source))
        rows.check_not_empty()
        _check_columns(rows, schema)
        report_unused(schema, rows.header, str(source))
        _check_target(source, target, overwrite)
        answers = AnswerColumns(rows.header, model.schema, columns)
        fingerprint = _fingerprint(file, rows)
        description = {"table": fingerprint, "model": model.identity, "columns": answers.header, "encoding": encoding}
        output = Output(target, description, resume=resume)
        try:
            run = _Run(model, schema, rows, answers, output, os.fstat(file.fileno()).st_size)
            for scored in run.scored(batch_size, concurrency):
                if progress is not None:
                    progress(scored)
            if _fingerprint(file, rows) != fingerprint:
                raise CsvUnreadable(
                    f"{source} changed during the run.",
                    fix="run it again with resume=False (--no-resume).",
                    code="table_changed",
                )
            output.finish()
        finally:
            output.close()
    return run.progress(1.0)


class _Run:
    """One run: reads rows, sends them in chunks, and writes their answers."""

    def __init__(
        self, model: RowModel, schema: Schema, rows: CsvFile, answers: AnswerColumns, output: Output, size: int
    ) -> None:
        self._rows = rows
        self._answers = answers
        self._output = output
        self._size = max(size, 1)
        self._answer = _RowScorer(model, schema, rows.header, schema.names)

    def progress(self, share: float) -> Scored:
        state = self._output.state
        return Scored(state.rows, state.errors, state.warned, self._output.resumed, share)

    def scored(self, batch_size: int, concurrency: int) -> Iterator[Scored]:
        """Score and write chunk by chunk; yields the progress at the start and after each chunk.

        A resumed run starts at the boundary of a chunk, so its requests and answers are those of an uninterrupted run.
        """
        writer = CsvWriter(self._rows.delimiter, self._rows.line_end)
        if self._output.is_empty:
            bom = "\ufeff" if self._rows.has_bom else ""
            self._output.append((bom + writer.text([self._answers.header])).encode("utf-8", "replace"))
        rows = iter(self._rows)
        for _ in islice(rows, self._output.state.rows):
            pass
        yield self.progress(self._rows.position / self._size if self._output.resumed else 0.0)
        chunks = self._with_positions(batches(rows, _size, batch_size, BYTES_A_REQUEST))
        scored_chunks = map_in_order(chunks, lambda item: self._answer(item[0]), concurrency=concurrency)
        for (chunk, position), answers in scored_chunks:
            lines = (self._answers.cells(row.cells, answer) for row, answer in zip(chunk, answers, strict=True))
            self._output.append(
                writer.text(lines).encode("utf-8", "replace"),
                rows=len(chunk),
                errors=sum("error" in answer for answer in answers),
                warned=sum(bool(answer.get("warnings")) for answer in answers),
            )
            yield self.progress(min(position / self._size, 1.0))

    def _with_positions(self, chunks: Iterable[list[Row]]) -> Iterator[tuple[list[Row], int]]:
        for chunk in chunks:
            yield chunk, self._rows.position


def answer_rows(
    model: RowModel, rows: CsvRows, *, batch_size: int = ROWS_A_REQUEST, concurrency: int = 4
) -> Iterator[tuple[list[Row], list[Answer]]]:
    """Score a table; yields chunks of rows with their answers.

    Only columns that the model uses are sent, unless a required one is missing: the errors of rows name similar ones.

    Raises:
        TableUnreadable: the table has no rows.
    """
    rows.check_not_empty()
    schema = Schema(model.schema)
    is_complete = not schema.missing_faults(rows.header)
    if is_complete:
        report_unused(schema, rows.header, rows.name)
    scorer = _RowScorer(model, schema, rows.header, schema.names if is_complete else rows.header)
    return map_in_order(batches(rows, _size, batch_size, BYTES_A_REQUEST), scorer, concurrency=concurrency)


def report_unused(schema: Schema, names: Sequence[str], table: str) -> None:
    """Log which columns of a table the model does not use: once, because answers to its rows have no such warnings."""
    if text := schema.unused(names):
        log.warning("%s: %s", table, text)


class _RowScorer:
    """Sends rows of a table to a model: the cells of the columns `sent`.

    They are sent as CSV if the server is known to read CSV, and as JSON otherwise.
    """

    def __init__(self, model: RowModel, schema: Schema, header: Sequence[str], sent: Container[str]) -> None:
        self._model = model
        self._header = header
        self._places = [place for place, name in enumerate(header) if name in sent]
        columns = [schema.columns.get(header[place]) for place in self._places]
        self._readers = [column.cell_reader() if column else str for column in columns]
        self._schema = schema
        self._as_csv = schema.traits.reads_csv is True

    def __call__(self, rows: list[Row]) -> list[Answer]:
        """The answer to each row; a row that can't be read is not sent, its answer is the error."""
        readable = [row for row in rows if row.error is None]
        found = iter(self._answers(readable) if readable else ())
        return [next(found) if row.error is None else row.error.as_dict() for row in rows]

    def _answers(self, rows: list[Row]) -> list[Answer]:
        def send(chunk: list[Row]) -> Flow[Sequence[Answer]]:
            yield from ()  # a flow without I/O: `model` sends
            if self._as_csv:
                answers = self._model.answer(self._csv(chunk), CSV)
            else:
                answers = self._model.answer(encode([self._record(row.cells) for row in chunk]), JSON)
            if len(answers) != len(chunk):
                raise wrong_count_error(len(answers), len(chunk))
            return answers

        found = run_without_io(answer_or_bisect(rows, send, RecordRefused))
        return [each.as_dict() if isinstance(each, RecordRefused) else each for each in found]

    def _csv(self, rows: list[Row]) -> bytes:
        table = [self._header, *(row.cells for row in rows)]
        return CsvWriter().text([cells[place] for place in self._places] for cells in table).encode()

    def _record(self, cells: Sequence[str]) -> dict[str, Any]:
        """The record of a row, for JSON."""
        return {
            self._header[place]: read(cells[place])
            for place, read in zip(self._places, self._readers, strict=True)
            if not self._schema.omits(self._header[place], cells[place])
        }


def _size(row: Row) -> int:
    return row.size


def _check_columns(rows: CsvRows, schema: Schema) -> None:
    """Refuse a table without a required column, instead of reporting an error for each row."""
    if missing := schema.missing_faults(rows.header):
        error = combine(missing)
        message = error.message.replace("the record", rows.name, 1)
        raise CsvUnreadable(message, fix=error.fix, code=error.code, field=error.field)


def _check_target(source: Path, target: Path, overwrite: bool) -> None:
    if target.is_dir():
        raise CsvUnwritable(f"{target} is a folder.", fix="choose a file.", code="not_a_file")
    for written in (target, *working_files(target)):
        if written.exists() and written.samefile(source):
            raise CsvUnwritable(f"{written} is the input table.", fix="choose another output file.", code="same_file")
    if not overwrite and target.is_file():
        raise CsvUnwritable(
            f"{target} already exists.",
            fix="choose another output file, or replace it with --force (overwrite=True).",
            code="file_exists",
        )


def _fingerprint(file: IO[bytes], rows: CsvRows) -> dict[str, Any]:
    status = os.fstat(file.fileno())
    header = hashlib.sha256(json.dumps(rows.header).encode("utf-8", "surrogatepass")).hexdigest()
    return {"bytes": status.st_size, "changed": status.st_mtime_ns, "header": header}


@contextmanager
def _table_errors() -> Iterator[None]:
    try:
        yield
    except TableUnreadable as error:
        code = None if error.code == TableUnreadable.code else error.code
        raise CsvUnreadable(error.message, fix=error.fix, code=code) from error


@contextmanager
def _open(source: Path) -> Iterator[IO[bytes]]:
    try:
        file = source.open("rb")
    except OSError as error:
        raise CsvUnreadable(f"{source} can't be read ({error.strerror or error}).", fix="check the path.") from error
    with file:
        if not file.seekable():
            raise CsvUnreadable(
                f"{source} is a pipe, so the run can't be resumed.",
                fix="save the table to a file first.",
                code="not_seekable",
            )
        yield file
