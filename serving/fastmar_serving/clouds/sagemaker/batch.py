"""Input of a Batch Transform job, cut so that SageMaker can send it, and its answers put together again.

SageMaker cuts a file at line ends and sends as many lines as fit in a request. JSON lines can be cut so; a table can't,
for each of its pieces needs the header. So a table is cut here, into files with a header each, which are sent whole.
Its rows go as they are written: which delimiter they have, and what is wrong with them, is the model's to find out.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastmar_serving.clouds.sagemaker.errors import RequestRefused, TransformFailed

CSV, LINES = "text/csv", "application/jsonlines"
TYPES = {
    ".csv": CSV,
    ".jsonl": LINES,
    ".ndjson": LINES,
    ".json": "application/json",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
}
MEGABYTES = 2  # of lines in one request: of the shortest, 250,000, which are all that the model takes at once
WHOLE_MEGABYTES = 15  # of a file that is sent whole: the server takes 16 MiB
DELIMITERS = ",;\t"  # that a model reads
PIECE = 1_000_000  # bytes of a piece of a table, for the same reason


@dataclass(frozen=True)
class Input:
    """What a job is given.

    Attributes:
        content_type: of each request.
        cuttable: whether SageMaker may cut files at line ends.
    """

    content_type: str
    cuttable: bool


def kind_of(source: str, content_type: str | None) -> Input:
    """How files named like `source` are sent.

    Raises:
        RequestRefused: their name does not tell.
    """
    found = content_type or TYPES.get(Path(source).suffix.lower())
    if found is None:
        raise RequestRefused(
            f"{source} does not tell by its name what it holds.", fix=f"give --content-type, such as {LINES} or {CSV}."
        )
    return Input(found, cuttable=found == LINES)


def pieces(path: Path, kind: Input, size: int = PIECE) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the objects that a local file becomes; one, but for long tables."""
    try:
        if kind.content_type != CSV:
            yield path.name, path.read_bytes()
            return
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, piece in enumerate(_tables(file, size), start=1):
                yield f"{number:06}.csv", piece
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RequestRefused(f"{path} can't be read: {error}.", fix="give a file of records in UTF-8.") from error


def _tables(file: io.TextIOBase, size: int) -> Iterator[bytes]:
    """The rows of a table, in tables of about `size` bytes with the same header."""
    rows = _rows(file, _delimiter(file))
    head = next(rows, None)
    if head is None:
        return
    piece = [head]
    length = len(head)
    for line in rows:
        if length + len(line) > size and len(piece) > 1:
            yield b"".join(piece)
            piece, length = [head], len(head)
        piece.append(line)
        length += len(line)
    yield b"".join(piece)


def _rows(file: io.TextIOBase, delimiter: str) -> Iterator[bytes]:
    """The rows of a table as they are written, the header first; empty lines are none.

    Only csv knows where a row ends: a quoted cell may hold line ends, and a quote begins one behind a delimiter only.
    """
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in file:
            taken.append(line)
            yield line

    for cells in csv.reader(lines(), delimiter=delimiter):
        if cells:
            yield "".join(taken).encode()
        taken.clear()


def _delimiter(file: io.TextIOBase) -> str:
    """The one that makes most columns out of the header."""

    def columns(delimiter: str) -> int:
        file.seek(0)
        return len(next(filter(None, csv.reader(file, delimiter=delimiter)), []))

    found = max(DELIMITERS, key=columns)
    file.seek(0)
    return found


def answers(body: bytes, name: str) -> Iterator[bytes]:
    """An answer a line, out of one of SageMaker's .out files: JSON lines already, or one JSON list.

    Raises:
        TransformFailed: it holds something else.
    """
    for line in body.splitlines():
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            raise TransformFailed(f"{name} does not hold answers.", fix="look at the file in S3.") from error
        if isinstance(found, list):
            yield from (json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode() for answer in found)
        else:
            yield line
