"""A table in a file to a file of answers: any number of rows in constant memory, and no row lost or scored twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol

from fastmar_client.bulk import batches, halved, in_order
from fastmar_client.csv_answers import AnswerColumns
from fastmar_client.encoding import JSON, encode
from fastmar_client.errors import CsvUnreadable, CsvUnwritable, RecordRefused, wrong_count
from fastmar_client.journal import Output, beside
from fastmar_client.schema import Schema
from fastmar_client.steps import Steps, result_of
from fastmar_contract.csv_rows import UTF8, CsvFile, CsvRows, CsvWriter, Row
from fastmar_contract.errors import TableUnreadable
from fastmar_contract.files import CSV

Answer = dict[str, Any]

ROWS_A_REQUEST = 1000
BYTES_A_REQUEST = 1_500_000  # well below the 16 MB that the server takes, and the 6.5 MB that its answer may have


class Model(Protocol):
    """A model that answers the rows of a table: on a server, or in this process."""

    @property
    def schema(self) -> Mapping[str, Any]:
        """What it takes and gives, as `Client.schema` has it."""
        ...

    @property
    def identity(self) -> str:
        """Another text for another model: answers of two may not stand in one file."""
        ...

    def answer(self, body: bytes, content_type: str) -> Sequence[Answer]:
        """An answer for each row of a CSV with a header, or for each record of a JSON list.

        Raises:
            RecordRefused: the body is refused as a whole.
        """
        ...


@dataclass(frozen=True, slots=True)
class Scored:
    """How far a run is, or how it ended.

    Attributes:
        rows: that were dealt with, those of earlier runs among them.
        errors: rows that could not be scored; the column "error" says why.
        warned: rows that were scored, with something to say about them.
        resumed: rows that were dealt with before this run.
        share: of the table's bytes, from 0 to 1.
    """

    rows: int
    errors: int
    warned: int
    resumed: int
    share: float


def score_csv(
    model: Model,
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
    """Answer each row of the CSV `source` in the CSV `target`. See `Client.score_csv`."""
    source, target = Path(source), Path(target)
    if batch_size < 1 or concurrency < 1:
        raise ValueError("batch_size and concurrency are 1 or more")
    schema = Schema(model.schema)
    if not schema.reads_csv:
        raise CsvUnreadable(
            f"{schema.name} reads {schema.traits.records}, not tables.",
            fix=f"give {schema.traits.to_give} to predict_many, or `fastmar predict`.",
        )
    with _opened(source) as file, _as_client_error():
        rows = CsvFile(file, schema.names, encoding=encoding, name=str(source))
        rows.check_not_empty()
        _check_columns(rows, schema)
        _check_target(source, target, overwrite)
        answers = AnswerColumns(rows.header, model.schema, columns)
        before = _fingerprint(file, rows)
        about = {"the table": before, "the model": model.identity, "the choice of columns": answers.header}
        output = Output(target, {**about, "the encoding": encoding}, resume=resume)
        try:
            run = _Run(model, schema, rows, answers, output, os.fstat(file.fileno()).st_size)
            for scored in run.scored(batch_size, concurrency):
                if progress is not None:
                    progress(scored)
            if _fingerprint(file, rows) != before:
                raise CsvUnreadable(
                    f"{source} changed while it was being scored.", fix="run it again with resume=False (--no-resume)."
                )
            output.finish()
        finally:
            output.close()
    return run.so_far(1.0)


class _Run:
    """The rows of one table on their way."""

    def __init__(
        self, model: Model, schema: Schema, rows: CsvFile, answers: AnswerColumns, output: Output, size: int
    ) -> None:
        self._rows = rows
        self._answers = answers
        self._output = output
        self._size = max(size, 1)
        self._ask = _Asking(model, schema, rows.header, schema.names)

    def so_far(self, share: float) -> Scored:
        state = self._output.state
        return Scored(state.rows, state.errors, state.warned, self._output.resumed, share)

    def scored(self, batch_size: int, concurrency: int) -> Iterator[Scored]:
        """Score and write chunk by chunk; the value is how far it is, at the beginning and after each chunk.

        Chunks begin where they would have without an interruption: so the requests are the same, and the answers.
        """
        writer = CsvWriter(self._rows.delimiter, self._rows.line_end)
        if self._output.is_empty:
            bom = "\ufeff" if self._rows.has_bom else ""
            self._output.append((bom + writer.text([self._answers.header])).encode("utf-8", "replace"))
        rows = iter(self._rows)
        for _ in islice(rows, self._output.state.rows):
            pass
        yield self.so_far(self._rows.position / self._size if self._output.resumed else 0.0)
        chunks = self._with_positions(batches(rows, _size, batch_size, BYTES_A_REQUEST))
        asked = in_order(chunks, lambda sent: self._ask(sent[0]), concurrency=concurrency)
        for (chunk, position), answers in asked:
            lines = (self._answers.cells(row.cells, answer) for row, answer in zip(chunk, answers, strict=True))
            self._output.append(
                writer.text(lines).encode("utf-8", "replace"),
                rows=len(chunk),
                errors=sum("error" in answer for answer in answers),
                warned=sum(bool(answer.get("warnings")) for answer in answers),
            )
            yield self.so_far(min(position / self._size, 1.0))

    def _with_positions(self, chunks: Iterable[list[Row]]) -> Iterator[tuple[list[Row], int]]:
        for chunk in chunks:
            yield chunk, self._rows.position


def answered(
    model: Model, rows: CsvRows, *, batch_size: int = ROWS_A_REQUEST, concurrency: int = 4
) -> Iterator[tuple[list[Row], list[Answer]]]:
    """The rows of a table with their answers, chunk by chunk; all of their columns are sent.

    Raises:
        CsvUnreadable: the table has no row.
    """
    rows.check_not_empty()
    ask = _Asking(model, Schema(model.schema), rows.header, rows.header)
    return in_order(batches(rows, _size, batch_size, BYTES_A_REQUEST), ask, concurrency=concurrency)


class _Asking:
    """Asks a model for the answers to rows of a table; of their cells those under the names `sent` are sent.

    They go as CSV where the server is known to read that, and as JSON otherwise.
    """

    def __init__(self, model: Model, schema: Schema, header: Sequence[str], sent: Container[str]) -> None:
        self._model = model
        self._header = header
        self._places = [place for place, name in enumerate(header) if name in sent]
        columns = [schema.columns.get(header[place]) for place in self._places]
        self._readers = [column.cell_reader() if column else str for column in columns]
        self._schema = schema
        self._as_csv = schema.traits.reads_csv is True

    def __call__(self, rows: list[Row]) -> list[Answer]:
        """The answer to each row; a row that can't be read has its error already."""
        readable = [row for row in rows if row.error is None]
        found = iter(self._answers(readable) if readable else ())
        return [next(found) if row.error is None else row.error.as_dict() for row in rows]

    def _answers(self, rows: list[Row]) -> list[Answer]:
        def ask(some: list[Row]) -> Steps[Sequence[Answer]]:
            yield from ()  # `model` sends by itself
            if self._as_csv:
                answers = self._model.answer(self._csv(some), CSV)
            else:
                answers = self._model.answer(encode([self._record(row.cells) for row in some]), JSON)
            if len(answers) != len(some):
                raise wrong_count(len(answers), len(some))
            return answers

        found = result_of(halved(rows, ask, RecordRefused))
        return [each.as_dict() if isinstance(each, RecordRefused) else each for each in found]

    def _csv(self, rows: list[Row]) -> bytes:
        table = [self._header, *(row.cells for row in rows)]
        return CsvWriter().text([cells[place] for place in self._places] for cells in table).encode()

    def _record(self, cells: Sequence[str]) -> dict[str, Any]:
        """The record of a row, for JSON."""
        return {
            self._header[place]: read(cells[place])
            for place, read in zip(self._places, self._readers, strict=True)
            if not self._schema.leaves_out(self._header[place], cells[place])
        }


def _size(row: Row) -> int:
    return row.size


def _check_columns(rows: CsvRows, schema: Schema) -> None:
    """A column that no row has need not be told a hundred thousand times."""
    missing = schema.missing(rows.header)
    if missing:
        more = f" {len(missing) - 1} more are missing." if len(missing) > 1 else ""
        message = missing[0].message.replace("the record", rows.name, 1)
        raise CsvUnreadable(message + more, fix=missing[0].fix, code=missing[0].code, field=missing[0].field)


def _check_target(source: Path, target: Path, overwrite: bool) -> None:
    if target.is_dir():
        raise CsvUnwritable(f"{target} is a folder.", fix="name a file.")
    for written in (target, *beside(target)):
        if written.exists() and written.samefile(source):
            raise CsvUnwritable(f"{written} is the table itself.", fix="name another file for the answers.")
    if not overwrite and target.is_file():
        raise CsvUnwritable(
            f"{target} is there already.",
            fix="name another file, or replace it with --force (overwrite=True).",
            code="file_exists",
        )


def _fingerprint(file: IO[bytes], rows: CsvRows) -> dict[str, Any]:
    about = os.fstat(file.fileno())
    header = hashlib.sha256(json.dumps(rows.header).encode("utf-8", "surrogatepass")).hexdigest()
    return {"bytes": about.st_size, "changed": about.st_mtime_ns, "header": header}


@contextmanager
def _as_client_error() -> Iterator[None]:
    try:
        yield
    except TableUnreadable as error:
        code = None if error.code == TableUnreadable.code else error.code
        raise CsvUnreadable(error.message, fix=error.fix, code=code) from error


@contextmanager
def _opened(source: Path) -> Iterator[IO[bytes]]:
    try:
        file = source.open("rb")
    except OSError as error:
        raise CsvUnreadable(f"{source} can't be read ({error.strerror or error}).", fix="check the path.") from error
    with file:
        if not file.seekable():
            raise CsvUnreadable(
                f"{source} is a pipe, which can't be gone on with.", fix="save the table in a file first."
            )
        yield file
