"""Split the input of a Batch Transform job into files for SageMaker, and read its answers.

SageMaker splits a file at line ends and sends as many lines as fit into a request. That works for JSON lines, but not
for CSV, since each part needs the header. A CSV file is therefore split here into files that each have the header and
are sent as a whole. Rows are not parsed or changed, so the model itself detects delimiter and errors.
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
MAX_LINES_MB = 2  # of JSON lines in one request: up to 250,000 records, the limit of a model
MAX_FILE_MB = 15  # of a file that is not split: the limit of the server is 16 MiB
DELIMITERS = ",;\t"  # that models accept
PART_SIZE = 1_000_000  # bytes of a part of a CSV file, also because of the limit of records


@dataclass(frozen=True)
class InputFormat:
    """Format of a job's input.

    Attributes:
        content_type: media type of each request.
        is_splittable: whether SageMaker may split files at line ends.
    """

    content_type: str
    is_splittable: bool


def input_format(source: str, content_type: str | None) -> InputFormat:
    """The format of `source`, by its file extension unless `content_type` is given.

    Raises:
        RequestRefused: the extension is unknown.
    """
    found = content_type or TYPES.get(Path(source).suffix.lower())
    if found is None:
        raise RequestRefused(
            f"{source} has no known file extension.",
            fix=f"give --content-type, such as {LINES} or {CSV}.",
            code="unknown_content_type",
        )
    return InputFormat(found, is_splittable=found == LINES)


def split_input(path: Path, kind: InputFormat, size: int = PART_SIZE) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the S3 objects for a local file: several for a long CSV file, else one."""
    try:
        if kind.content_type != CSV:
            yield path.name, path.read_bytes()
            return
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, part in enumerate(_split_csv(file, size), start=1):
                yield f"{number:06}.csv", part
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RequestRefused(
            f"{path} can't be read: {error}.", fix="give a file of records in UTF-8.", code="input_unreadable"
        ) from error


def _split_csv(file: io.TextIOBase, size: int) -> Iterator[bytes]:
    """The rows of a CSV file, in CSV files of about `size` bytes with the same header."""
    rows = _rows(file, _delimiter(file))
    header = next(rows, None)
    if header is None:
        return
    part = [header]
    length = len(header)
    for line in rows:
        if length + len(line) > size and len(part) > 1:
            yield b"".join(part)
            part, length = [header], len(header)
        part.append(line)
        length += len(line)
    yield b"".join(part)


def _rows(file: io.TextIOBase, delimiter: str) -> Iterator[bytes]:
    """The unchanged rows of a CSV file, the header first; skips empty lines.

    The csv module finds the end of each row, since quoted cells may contain line ends.
    """
    row: list[str] = []

    def lines() -> Iterator[str]:
        for line in file:
            row.append(line)
            yield line

    for cells in csv.reader(lines(), delimiter=delimiter):
        if cells:
            yield "".join(row).encode()
        row.clear()


def _delimiter(file: io.TextIOBase) -> str:
    """The delimiter that gives the header most columns."""

    def columns(delimiter: str) -> int:
        file.seek(0)
        return len(next(filter(None, csv.reader(file, delimiter=delimiter)), []))

    found = max(DELIMITERS, key=columns)
    file.seek(0)
    return found


def read_answers(body: bytes, name: str) -> Iterator[bytes]:
    """The answers in one of SageMaker's .out files, each as one line of JSON. The file has JSON lines or a JSON list.

    Raises:
        TransformFailed: the file has other content.
    """
    for line in body.splitlines():
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            raise TransformFailed(
                f"{name} is not a file of answers.", fix="check the file in S3.", code="invalid_answers"
            ) from error
        if isinstance(found, list):
            yield from (json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode() for answer in found)
        else:
            yield line
