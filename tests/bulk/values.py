"""Columns of tables with usual and bad values, in many Arrow types."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa

from fastmar_contract.values import CATEGORY, NUMBER
from fastmar_runtime.spec import TIMESTAMP, Field

NUMBERS = [0, 1, -3, 40, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]
FLOATS = [0.0, -0.0, 1.5, 40.0, 0.1, 1e9, 1e30, 3e38, 1e39, 1e300, math.nan, math.inf, -math.inf, 5e-324]
NUMBER_TEXTS = ["49", " 4.5 ", "1e3", "-7", "+7", ".5", "5.", "old", "", "NA", "nan", "NAN", "inf", "-inf", "1e999"]
NUMBER_TEXTS += ["True", "false", "1_000", "1,5", "0x10", "nan(1)", "1e-400", "\u0661", "1234567890123456789012"]
NUMBER_TEXTS += ["-0", "1e", "007", "1e-5"]
TEXTS = [
    "red",
    " green",
    "green",
    "blue",
    "M",
    "m",
    "never seen",
    "",
    "NA",
    "3",
    "3.0",
    "1.5",
    "True",
    " 7 ",
    "x\ny",
    '"',
]
DATES = [
    "2015-03-31",
    " 2016-02-29 ",
    "2015-12-31T10:11:12",
    "2015-01-01T00:00:00+02:00",
    "winter",
    "",
    "NaN",
    "1900-01-01",
]
MOMENTS = [dt.datetime(2015, 3, 31), dt.datetime(2016, 2, 29, 10, 11, 12), dt.datetime(1969, 12, 31)]
OBJECTS = [1, 3, 7, 1.0, 0.1, True, False, None, "red", "49", "", math.nan, math.inf, 10**30, 2**53 + 1, Decimal("1.5")]
OBJECTS += [np.float64(40), np.int64(3), np.bool_(True), Decimal("NaN"), dt.date(2015, 3, 31), MOMENTS[1], "2015-03-31"]
STRINGS = [pa.string(), pa.large_string(), pa.string_view()]
ARROW: list[tuple[Any, list[Any]]] = [
    (pa.int64(), NUMBERS),
    (pa.uint64(), [0, 1, 2**64 - 1]),
    (pa.int8(), [0, 1, 3, 7]),
    (pa.float64(), FLOATS),
    (pa.float32(), [0.0, 1.5, 0.1, math.nan, math.inf]),
    (pa.float16(), [0.0, 1.5, 40.0]),
    (pa.bool_(), [True, False]),
    (pa.null(), []),
    (pa.decimal128(10, 2), [Decimal("1.50"), Decimal("3.00")]),
    (pa.date32(), [dt.date(2015, 3, 31), dt.date(2016, 2, 29)]),
    (pa.timestamp("us"), MOMENTS),
    (pa.binary(), [b"a", b"\xff"]),
    (pa.list_(pa.string()), [["a"], []]),
]
NESTED = [[1], {"a": 1}, b"bytes", 1j]


def column(field: Field, size: int, rng: Random) -> Any:
    """A column of a table: an Arrow array or a list, mostly of usual values."""
    known = known_values(field)
    texts = {NUMBER: NUMBER_TEXTS, CATEGORY: TEXTS + [str(value) for value in known]}.get(field.kind, DATES)
    if rng.random() < 0.5:
        values = [*known, None] if rng.random() < 0.5 else known
        if any(type(value) is not type(known[0]) for value in known):
            return rng.choices(values, k=size)
        kind = pa.timestamp("us") if isinstance(known[0], dt.datetime) else None
        return pa.array(rng.choices(values, k=size), kind)
    kind, values = rng.choice(
        [*ARROW, *((kind, texts) for kind in STRINGS), (None, OBJECTS), (None, [*OBJECTS, *NESTED])]
    )
    chosen = rng.choices([*values, None] if rng.random() < 0.7 or not values else values, k=size)
    if kind is None:
        return chosen
    array = pa.array(chosen, kind)
    return array.dictionary_encode() if kind in (pa.string(), pa.int64()) and rng.random() < 0.5 else array


def cells(field: Field, size: int, rng: Random) -> pa.Array:
    """A column of a CSV."""
    usual = [str(value) for value in known_values(field)]
    bad = {NUMBER: NUMBER_TEXTS, CATEGORY: TEXTS}.get(field.kind, DATES)
    return pa.array(rng.choices(usual if rng.random() < 0.5 else [*usual, *bad], k=size), pa.string())


def known_values(field: Field) -> list[Any]:
    """Values that the model was trained with, or numbers like these."""
    if field.kind == NUMBER:
        middle = field.default if isinstance(field.default, int | float) else 1.0
        return [float(middle), middle + 0.5, middle * 1.01]
    if field.kind != CATEGORY:
        return DATES[:3]
    found = [
        dt.datetime.fromisoformat(value[TIMESTAMP]) if isinstance(value, dict) else value for value in field.categories
    ]
    return found or ["a"]
