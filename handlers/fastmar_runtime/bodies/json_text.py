"""Lenient parsing of JSON and JSON lines: accepts NaN and Infinity, unpaired surrogates, and numbers that overflow.

NaN becomes null, as in pandas. Infinity and numbers that overflow become an infinite float or a long integer, which the
checks of the fields refuse.
"""

from __future__ import annotations

import io
import json
from itertools import islice
from typing import Any

import orjson

from fastmar_contract.errors import RecordError, RequestError

_CONSTANTS = {"NaN": None, "Infinity": float("inf"), "-Infinity": float("-inf")}
_CORRECT = "correct it there; names and texts need double quotes in JSON."
_READER = json.JSONDecoder(parse_constant=_CONSTANTS.__getitem__)


def loads(text: bytes | bytearray | memoryview | str) -> Any:
    """Parse JSON.

    Raises:
        orjson.JSONDecodeError: the text is not valid JSON.
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
    """Parse the JSON of a body; `fix` is for a text that was probably not meant as JSON.

    Raises:
        RequestError: the text is not valid JSON.
    """
    try:
        return loads(text)
    except orjson.JSONDecodeError as error:
        fix = _CORRECT if text.lstrip()[:1] in ("{", "[") else fix
        raise RequestError(f"the body is not valid JSON ({error}).", fix=fix) from error


def is_lines(text: str) -> bool:
    """Whether text that is not JSON is JSON lines: its first line is an object, and another line follows."""
    lines = (line for line in io.StringIO(text, newline="\n") if line.strip())
    first = next(lines, "")
    if not first.lstrip().startswith("{") or next(lines, None) is None:
        return False
    try:
        return isinstance(loads(first), dict)
    except orjson.JSONDecodeError:
        return False


def read_lines(text: str, max_records: int | None) -> list[Any]:
    """One record per line; a `RecordError` for a line that is not valid JSON."""
    lines = enumerate(io.StringIO(text, newline="\n"), start=1)
    return list(islice((read_line(line, number) for number, line in lines if line.strip()), max_records))


def read_line(line: str, number: int) -> Any:
    """The record of line `number` of JSON lines; a `RecordError` if it is not valid JSON."""
    try:
        return loads(line)
    except orjson.JSONDecodeError as error:
        return RecordError("bad_json", f"line {number} is not valid JSON ({error}).", fix="send one record per line.")
