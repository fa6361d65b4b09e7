"""CSV, in the format of `fastmar_contract.csv_rows.CsvWriter`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastmar_bulk.sinks import CsvFormat, Rows, Sink, open_output
from fastmar_bulk.sinks.json_lines import plain
from fastmar_bulk.tables import Values
from fastmar_client.csv_answers import LABEL_SEPARATOR

_EMPTY = pa.scalar("", pa.large_string())


class _CsvFile:
    """See `Sink`."""

    def __init__(self, target: str, path: Path, csv: CsvFormat) -> None:
        self._file = open_output(target, path)
        self._csv = csv
        self._quoted = '["\r\n' + ("\\t" if csv.delimiter == "\t" else csv.delimiter) + "]"
        self._has_header = False

    def write(self, rows: Rows) -> None:
        if not self._has_header:
            self._has_header = True
            header = [pa.array([name], pa.large_string()) for name in rows]
            self._write(self._csv.bom, [self._cells(name, is_only=len(rows) == 1) for name in header])
        self._write("", [self._cells(_texts(values), is_only=len(rows) == 1) for values in rows.values()])

    def close(self) -> None:
        self._file.close()

    def _write(self, start: str, columns: list[Any]) -> None:
        *others, last = columns
        last = pc.binary_join_element_wise(last, pa.scalar(self._csv.line_end, pa.large_string()), _EMPTY)
        lines = pc.binary_join_element_wise(*others, last, pa.scalar(self._csv.delimiter, pa.large_string()))
        if len(lines):
            self._file.write(start.encode())
            _, ends, texts = lines.buffers()  # the texts of all lines, one after another
            self._file.write(texts.slice(0, int(np.frombuffer(ends, np.int64)[len(lines)])))

    def _cells(self, texts: Any, *, is_only: bool) -> Any:
        """Texts as cells: quoted where `csv.writer` quotes them."""
        needs = pc.match_substring_regex(texts, self._quoted)
        if is_only:  # a line without a cell would be skipped
            needs = pc.or_(needs, pc.equal(texts, _EMPTY))
        if not pc.any(needs).as_py():
            return texts
        doubled = pc.replace_substring(texts, '"', '""')
        quote = pa.scalar('"', pa.large_string())
        return pc.if_else(needs, pc.binary_join_element_wise(quote, doubled, quote, _EMPTY), texts)


def _texts(values: Values) -> Any:
    """The texts of values; a null is empty."""
    if isinstance(values, list):
        return pa.array([_text(value) for value in plain(values)], pa.large_string())
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.dictionary_decode()
        kind = values.type
    if pa.types.is_null(kind):
        return pa.array([""] * len(values), pa.large_string())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind):
        texts = values.cast(pa.large_string())
    elif pa.types.is_floating(kind):
        texts = _float_texts(values)
    elif pa.types.is_boolean(kind):
        texts = pc.if_else(values, pa.scalar("true", pa.large_string()), pa.scalar("false", pa.large_string()))
    else:
        return pa.array([_text(value) for value in plain(values)], pa.large_string())
    return texts.fill_null(_EMPTY) if texts.null_count else texts


def _float_texts(values: Any) -> Any:
    """The shortest exact texts of float64 numbers, as Python writes them.

    Arrow writes the same digits, and the same text for numbers from 0.0001 to 10**9 that are not integers.
    """
    numbers = values.cast(pa.float64())
    floats = numbers.fill_null(0.5).to_numpy(zero_copy_only=False)
    size = np.abs(floats)
    rows = np.flatnonzero(~((size >= 1e-4) & (size < 1e9) & (floats != np.rint(floats))))
    texts = numbers.cast(pa.large_string())
    if not len(rows):
        return texts
    others = pa.array([repr(x) for x in floats[rows].tolist()], pa.large_string())
    mask = np.zeros(len(floats), dtype=bool)
    mask[rows] = True
    return pc.replace_with_mask(texts, pa.array(mask), others)


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if type(value) is float:
        return repr(value)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return LABEL_SEPARATOR.join(value)
    return "" if value == [] else json.dumps(value, ensure_ascii=False)


def open_sink(target: str, path: Path, csv: CsvFormat) -> Sink:
    """See `sinks.open_sink`."""
    return _CsvFile(target, path, csv)
