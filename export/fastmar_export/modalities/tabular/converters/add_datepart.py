"""add_datepart: users call it before the learner sees the table, so it is recognised by the columns that it leaves.

There is no record of it in the pickle, and so nothing to register.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import pstdev
from typing import Any

from fastmar_export.conversion import State
from fastmar_runtime.steps.add_datepart import ELAPSED, PARTS

# fastai's function always adds these; Hour, Minute and Second come with time=True, and a user may have dropped some
# columns afterwards. Half a dozen of them under one prefix is no accident.
_ALWAYS = [part for part in PARTS if part not in ("Hour", "Minute", "Second")]
_ENOUGH = 6

# Seconds in a unit of Elapsed, where pandas kept the dates in nano-, micro-, milliseconds or seconds.
_DIVISORS = (1, 10**3, 10**6, 10**9)
_YEAR = 31556952.0  # seconds of the calendar's mean year
_DAY = 86400.0
_SLACK = 0.05  # of the years since 1970: filled rows and float32 blur the statistics
_BLUR = 0.01  # years: not all are of one length
_ALIKE = 5.0  # times that a spread may be off, since of categories it is a guess: divisors are a thousand apart

Typical = dict[str, tuple[float, float]]
"""Mean and standard deviation of number columns."""

_Range = tuple[float, float, float]
"""Two values between which a mean lies, and the standard deviation."""


def add_datepart(
    columns: list[str], targets: Sequence[str], typical: Typical, vocabularies: dict[str, list[Any]]
) -> list[State]:
    """A step for each date that was taken apart; without ``Elapsed`` among its parts where nothing tells its unit.

    Args:
        columns: all input columns of the table.
        targets: columns that the date can't have been called like either.
        typical: of number columns, as far as the learner tells it.
        vocabularies: of category columns.
    """
    names = set(columns)
    prefixes = {name.removesuffix(part) for name in columns for part in _ALWAYS if name.endswith(part)}
    steps = []
    for prefix in sorted(prefixes):
        parts = [part for part in (*PARTS, ELAPSED) if prefix + part in names]
        dates = date_names(prefix, names.union(targets))
        if sum(part in parts for part in _ALWAYS) >= _ENOUGH and dates:
            divisor = _elapsed_divisor(prefix, typical, vocabularies)
            steps.append(
                {
                    "step": "add_datepart",
                    "date": dates[0],
                    "prefix": prefix,
                    "parts": [part for part in parts if part != ELAPSED or divisor],
                    "elapsed_divisor": divisor or 1,
                }
            )
    return steps


def date_names(prefix: str, taken: set[str]) -> list[str]:
    """What the date's column may have been called, the likeliest first.

    fastai cut a trailing "date" or "Date" off its name: "saledate", "saleDate" and "sale" all leave "saleYear".
    """
    candidates = [f"{prefix}date", f"{prefix}Date", prefix]
    return [name for name in candidates if name and name not in taken]


def typical_date(step: State, typical: Typical, vocabularies: dict[str, list[Any]]) -> tuple[float, float] | None:
    """Mean and standard deviation of a step's dates, in days since 1970, where the learner tells them."""
    elapsed, divisor = typical.get(step["prefix"] + ELAPSED), step["elapsed_divisor"]
    if elapsed and ELAPSED in step["parts"] and divisor != max(_DIVISORS):  # its units of 32 years tell too little
        mean, std = elapsed
        return (mean + 0.5) * divisor / _DAY, std * divisor / _DAY  # + 0.5: it was rounded down
    years = _years(step["prefix"], typical, vocabularies)
    if years is None:
        return None
    low, high, least, most = (value * _YEAR / _DAY for value in years)
    return (low + high) / 2, (least + most) / 2


def _elapsed_divisor(prefix: str, typical: Typical, vocabularies: dict[str, list[Any]]) -> int | None:
    """Seconds in a unit of ``Elapsed``: what makes its dates lie where ``Year`` says; None where that is not clear.

    The pickle does not tell in which unit pandas kept the dates, and fastai divided them all by 10**9.
    """
    elapsed, years = _range(prefix + ELAPSED, typical, vocabularies), _years(prefix, typical, vocabularies)
    if elapsed is None or years is None:
        return None
    low, high, least, most = years
    slack = _SLACK * max(1.0, abs(low), abs(high))
    near_1970 = low - slack <= 0 <= high + slack  # any dates come to lie there if the divisor is small enough
    fits = []
    for divisor in _DIVISORS:
        unit = divisor / _YEAR
        first, last, around = elapsed[0] * unit, (elapsed[1] + 1) * unit, elapsed[2] * unit  # + 1: it was rounded down
        alike = (least - _BLUR) / _ALIKE - unit / 2 <= around <= (most + _BLUR) * _ALIKE + unit / 2
        if first <= high + slack and last >= low - slack and (alike or not near_1970):
            fits.append(divisor)
    return fits[0] if len(fits) == 1 else None


def _years(
    prefix: str, typical: Typical, vocabularies: dict[str, list[Any]]
) -> tuple[float, float, float, float] | None:
    """Where the dates lie, in years since 1970, as ``Year`` and ``Dayofyear`` tell.

    Two values between which their mean lies, and two between which their standard deviation does: a date is a sum of
    the two parts, which may depend on each other in any way.
    """
    year, day = (_range(prefix + part, typical, vocabularies) for part in ("Year", "Dayofyear"))
    if year is None:
        return None
    if day is None:
        return year[0] - 1970, year[1] - 1969, max(0.0, year[2] - 0.5), year[2] + 0.5
    first, last, spread = (days * _DAY / _YEAR for days in day)
    return year[0] - 1970 + first, year[1] - 1970 + last, abs(year[2] - spread), year[2] + spread


def _range(name: str, typical: Typical, vocabularies: dict[str, list[Any]]) -> _Range | None:
    """Where a column's values lie; each of its categories counts once."""
    if name in typical:
        mean, std = typical[name]
        return mean, mean, std
    values = vocabularies.get(name)
    if not values or not all(type(value) in (int, float) for value in values):
        return None
    return min(values), max(values), pstdev(values)
