"""add_datepart: users call it before the learner sees the table, so it is recognised by the columns that it leaves.

There is no record of it in the pickle, and so nothing to register.
"""

from __future__ import annotations

from fastmar_export.converters import State
from fastmar_runtime.steps.add_datepart import ELAPSED, PARTS

# fastai's function always adds these; Hour, Minute and Second come with time=True, and a user may have dropped some
# columns afterwards. Half a dozen of them under one prefix is no accident.
_ALWAYS = [part for part in PARTS if part not in ("Hour", "Minute", "Second")]
_ENOUGH = 6

# Seconds since 1970 of any date from 1973 on are over this; pandas 3 made fastai's Elapsed a thousandth of that.
_SECONDS_FROM = 1e8


def add_datepart(columns: list[str], elapsed: dict[str, float]) -> list[State]:
    """A step for each date that was taken apart.

    Args:
        columns: all input columns of the table.
        elapsed: typical values of number columns, which tell the unit of ``Elapsed``.
    """
    names = set(columns)
    prefixes = {name.removesuffix(part) for name in columns for part in _ALWAYS if name.endswith(part)}
    steps = []
    for prefix in sorted(prefixes):
        parts = [part for part in (*PARTS, ELAPSED) if prefix + part in names]
        if sum(part in parts for part in _ALWAYS) >= _ENOUGH and date_names(prefix, names):
            thousandth = abs(elapsed.get(prefix + ELAPSED, _SECONDS_FROM)) < _SECONDS_FROM
            steps.append(
                {
                    "step": "add_datepart",
                    "date": date_names(prefix, names)[0],
                    "prefix": prefix,
                    "parts": parts,
                    "elapsed_divisor": 1000 if thousandth else 1,
                }
            )
    return steps


def date_names(prefix: str, taken: set[str]) -> list[str]:
    """What the date's column may have been called, the likeliest first.

    fastai cut a trailing "date" or "Date" off its name: "saledate", "saleDate" and "sale" all leave "saleYear".
    """
    candidates = [f"{prefix}date", f"{prefix}Date", prefix]
    return [name for name in candidates if name and name not in taken]
