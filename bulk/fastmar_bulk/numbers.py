"""Cells of a CSV to numbers, as `fastmar_contract.cells.read_number` reads each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastmar_contract.cells import NULLS, read_number

_NULLS = pa.array(sorted(NULLS), pa.string())
_PLAIN = r"^-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?$"  # Arrow and Python read the same number


def cells_to_numbers(cells: pa.Array) -> tuple[Any, Any, Any]:
    """Numbers of cells.

    Args:
        cells: strings without nulls.

    Returns:
        float64 numbers, bool nulls, and bool cells that are neither numbers nor null, or None.
    """
    nulls = pc.is_in(cells, value_set=_NULLS)
    has_nulls = pc.any(nulls).as_py()
    texts = pc.if_else(nulls, pa.scalar(None, pa.string()), cells) if has_nulls else cells
    is_plain = pc.match_substring_regex(texts, _PLAIN)
    if pc.all(is_plain).as_py() is not False:
        numbers, odd = _cast(texts), None
    else:
        numbers, odd = _one_by_one(texts, is_plain)
    return numbers, nulls.to_numpy(zero_copy_only=False) if has_nulls else None, odd


def _cast(texts: pa.Array) -> Any:
    return texts.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)


def _one_by_one(texts: pa.Array, is_plain: pa.Array) -> tuple[Any, Any]:
    numbers = _cast(pc.if_else(is_plain, texts, pa.scalar(None, pa.string()))).copy()
    odd = np.zeros(len(texts), dtype=bool)
    unusual = np.flatnonzero(pc.invert(is_plain).fill_null(False).to_numpy(zero_copy_only=False))
    for row, cell in zip(unusual.tolist(), texts.take(pa.array(unusual)).to_pylist(), strict=True):
        value = read_number(cell)
        if type(value) is float or type(value) is bool:
            numbers[row] = value
        else:
            odd[row] = True
    return numbers, odd
