"""Formats of tables that visitors upload and download. The model server gets CSV or JSON in any case."""

from __future__ import annotations

from fastmar_web.answers import join_names
from fastmar_web.errors import RequestRefused
from fastmar_web.tables.files.base import CsvFormat, TableFormat, Upload
from fastmar_web.tables.files.excel import ExcelFormat
from fastmar_web.tables.files.parquet import ParquetFormat

__all__ = ["CSV", "FORMATS", "TableFormat", "available", "convert", "format_named"]

CSV = CsvFormat()
FORMATS: tuple[TableFormat, ...] = (ExcelFormat(), ParquetFormat(), CSV)  # the first one that fits reads a file
_START = 16  # bytes that identify a format


def available() -> list[TableFormat]:
    """The formats whose packages are installed, CSV first."""
    return [CSV, *(each for each in FORMATS if each is not CSV and each.is_available)]


def format_named(extension: str) -> TableFormat:
    """The format with this extension.

    Raises:
        RequestRefused: there is none, or its package is not installed.
    """
    found = next((each for each in FORMATS if each.extension == extension), None)
    if found is None:
        raise RequestRefused(
            f"There is no format “{extension[:20]}”.",
            fix=f"choose from {', '.join(each.extension for each in FORMATS)}.",
            code="unknown_format",
            status=404,
        )
    _check_available(found)
    return found


def convert(upload: Upload) -> tuple[TableFormat, list[str]]:
    """Write an uploaded file as a CSV file. Its format is recognized by its first bytes.

    Returns:
        The format, and remarks for the visitor.

    Raises:
        RequestRefused: the file is invalid or too large, or the package for its format is not installed.
    """
    with upload.source.open("rb") as file:
        start = file.read(_START)
    found = next(each for each in FORMATS if each.is_begin(start))
    _check_available(found)
    remarks = found.convert(upload)
    upload.source.unlink(missing_ok=True)
    return found, remarks


def _check_available(chosen: TableFormat) -> None:
    """Raise an error for the visitor if the package for a format is not installed."""
    if chosen.is_available:
        return
    raise RequestRefused(
        f"This web app reads {join_names([each.name for each in available()])} files.",
        fix="save the table as CSV.",
        code="format_not_installed",
        status=415,
        title=f"No {chosen.name} files",
    )
