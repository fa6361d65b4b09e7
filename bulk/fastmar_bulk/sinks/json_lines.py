"""JSON lines: an object for each row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson

from fastmar_bulk.sinks import CsvFormat, Rows, Sink, open_output
from fastmar_bulk.tables import Values
from fastmar_client.encoding import encode
from fastmar_runtime.columns import MISSING


class _JsonLines:
    """See `Sink`."""

    def __init__(self, target: str, path: Path) -> None:
        self._file = open_output(target, path)

    def write(self, rows: Rows) -> None:
        columns = [plain(values) for values in rows.values()]
        lines = (
            {name: value for name, value in zip(rows, row, strict=True) if value is not MISSING}
            for row in zip(*columns, strict=True)
        )
        self._file.write(b"".join(_line(line) for line in lines))

    def close(self) -> None:
        self._file.close()


def plain(values: Values) -> list[Any]:
    """Values of a column in JSON's types; maps are objects."""
    found = values if isinstance(values, list) else values.to_pylist(maps_as_pydicts="strict")
    return [value if isinstance(value, str | int | float | None) else _plain(value) for value in found]


def _plain(value: Any) -> Any:
    return value if value is MISSING else json.loads(encode(value))


def _line(record: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # an integer of more than 64 bits, an unpaired surrogate
        return encode(record) + b"\n"


def open_sink(target: str, path: Path, csv: CsvFormat) -> Sink:  # noqa: ARG001
    """See `sinks.open_sink`."""
    return _JsonLines(target, path)
