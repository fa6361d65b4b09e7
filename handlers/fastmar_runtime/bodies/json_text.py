"""JSON and JSON lines as tools write them: Python's NaN and Infinity, UTF-16, half surrogates, numbers that overflow.

NaN is null, as in pandas. Infinity and numbers that overflow become an infinite float or a long integer, which the
checks of the record's fields refuse by name.
"""

from __future__ import annotations

import io
import json
from itertools import islice
from typing import Any

import orjson

from fastmar_contract.errors import RecordError, RequestError

_CONSTANTS = {"NaN": None, "Infinity": float("inf"), "-Infinity": float("-inf")}
_READER = json.JSONDecoder(parse_constant=_CONSTANTS.__getitem__)


def loads(text: bytes | bytearray | memoryview | str) -> Any:
    """The value of JSON.

    Raises:
        orjson.JSONDecodeError: there is none.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if not isinstance(text, str) or "depth limit" in str(error):
            raise
        try:
            return _READER.decode(text)
        except (ValueError, RecursionError):
            raise error from None


def read_document(text: str, fix: str) -> Any:
    """One JSON value.

    Raises:
        RequestError: the text is no JSON.
    """
    try:
        return loads(text)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"the body is no valid JSON ({error}).", fix=fix) from error


def is_lines(text: str) -> bool:
    """Whether text that is no JSON is JSON lines: an object in the first line, and another line behind it."""
    lines = (line for line in io.StringIO(text, newline="\n") if line.strip())
    first = next(lines, "")
    if not first.lstrip().startswith("{") or next(lines, None) is None:
        return False
    try:
        return isinstance(loads(first), dict)
    except orjson.JSONDecodeError:
        return False


def read_lines(text: str, max_records: int | None) -> list[Any]:
    """A record a line; a `RecordError` for a line that is no JSON."""
    lines = enumerate(io.StringIO(text, newline="\n"), start=1)
    return list(islice((_read_line(line, number) for number, line in lines if line.strip()), max_records))


def _read_line(line: str, number: int) -> Any:
    try:
        return loads(line)
    except orjson.JSONDecodeError as error:
        return RecordError("bad_json", f"line {number} is no valid JSON ({error}).", fix="send one record a line.")
