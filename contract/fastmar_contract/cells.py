"""Cells of a CSV to values, as pandas reads them: null words, numbers, bools and categories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

# pandas' documentation of read_csv, `na_values`.
_NULL_WORDS = "#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null"
NULLS = frozenset(["", *_NULL_WORDS.split("|")])
_BOOLS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}


def read_text(cell: str) -> str | None:
    """The text of a cell, or None for a null word."""
    return None if cell in NULLS else cell


def read_number(cell: str) -> Any:
    """A number, bool or null; other text is returned unchanged, and refused later with the column's name."""
    if cell in NULLS:
        return None
    if cell in _BOOLS:
        return _BOOLS[cell]
    try:
        return cell if "_" in cell else float(cell)
    except ValueError:
        return cell


def category_reader(categories: Sequence[Any]) -> Callable[[str], Any]:
    """The function that parses the cells of a column of categories.

    Cells stay strings unless the vocabulary has numbers or bools.
    """
    strings = frozenset(x for x in categories if isinstance(x, str))
    has_bools = any(isinstance(x, bool) for x in categories)
    has_numbers = any(type(x) in (int, float) for x in categories)

    def read(cell: str) -> Any:
        if cell in strings:  # before the nulls: "NA" can be a category
            return cell
        if cell in NULLS:
            return None
        if has_bools and cell in _BOOLS:
            return _BOOLS[cell]
        if has_numbers or has_bools:
            try:
                return int(cell) if "_" not in cell else cell  # exact, however long an identifier is
            except ValueError:
                number = read_number(cell)
                return cell if isinstance(number, bool) else number
        return cell

    return read
