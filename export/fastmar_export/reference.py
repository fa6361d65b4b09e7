"""The reference table: typical rows, from which defaults and ranges of the fields are computed.

Only statistics go into the archive: the median, minimum and maximum of a number column, and the most frequent category
of a category column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from fastmar_contract.errors import RecordError
from fastmar_contract.values import CATEGORY, FLOAT32_MAX, NUMBER
from fastmar_export.errors import ExportError
from fastmar_runtime.csv_records import read_csv
from fastmar_runtime.schema import json_value
from fastmar_runtime.spec import Field


def refine(fields: Sequence[Field], path: Path) -> tuple[Field, ...]:
    """`fields` with defaults and ranges from the CSV at `path`; see `read_reference`."""
    records = [row for row in read_reference(path, fields) if not isinstance(row, RecordError)]
    return tuple(_refine(field, [record.get(field.name) for record in records]) for field in fields)


def read_reference(path: Path, fields: Sequence[Field]) -> list[Any]:
    """The records of the CSV at `path`, with a `RecordError` in place of a row that can't be read.

    Raises:
        ExportError: the file can't be read.
        TableUnreadable: it has none of the columns.
    """
    try:
        return read_csv(path.read_text(encoding="utf-8-sig"), fields)
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(
            f"{path} can't be read ({error}).", fix="pass a CSV file in UTF-8.", code="reference_unreadable"
        ) from error


def _refine(field: Field, values: list[Any]) -> Field:
    if field.kind == NUMBER:
        numbers = [v for v in values if isinstance(v, int | float) and -FLOAT32_MAX <= v <= FLOAT32_MAX]
        if numbers:
            return replace(field, default=median(numbers), minimum=min(numbers), maximum=max(numbers))
    if field.kind == CATEGORY:
        known = {json_value(category) for category in field.categories}
        common = Counter(v for v in values if v in known).most_common(1)
        if common:
            return replace(field, default=common[0][0])
    return field
