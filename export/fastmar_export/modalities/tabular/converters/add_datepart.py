"""add_datepart: recognised by the columns that it adds.

Users call the function before they make the learner, so the pickle has no record of it, and there is no converter to
register.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import pstdev
from typing import Any

from fastmar_contract.date_parts import ELAPSED, date_names
from fastmar_export.conversion import State
from fastmar_runtime.steps.add_datepart import LIMITS, PARTS

# fastai always adds these parts; Hour, Minute and Second only with time=True. A user may have removed some columns, so
# six of the parts with one prefix are enough; three are, if all columns that are present can be computed from a date.
_ALWAYS = [part for part in PARTS if part not in ("Hour", "Minute", "Second")]
_ENOUGH, _ENOUGH_IF_COMPUTED = 6, 3

# Seconds in a unit of Elapsed, for dates that pandas stored in nanoseconds, microseconds, milliseconds or seconds.
_DIVISORS = (1, 10**3, 10**6, 10**9)
_YEAR = 31556952.0  # seconds of the mean Gregorian year
_DAY = 86400.0
_SLACK = 0.05  # relative to the years since 1970: filled rows and float32 make the statistics inexact
_YEAR_ERROR = 0.01  # years, because their lengths differ
_RECENT = (1990, 2040)  # years in which a date without the part Year is expected; see `_divisor_without_year`
_SPREAD_FACTOR = 5.0  # allowed ratio of spreads, which are estimates for categories; divisors differ by 1000

Typical = dict[str, tuple[float, float]]
"""Mean and standard deviation of number columns."""

_Range = tuple[float, float, float]
"""Lower and upper bound of a mean, and the standard deviation."""


def add_datepart(
    columns: list[str], targets: Sequence[str], typical: Typical, vocabularies: dict[str, list[Any]]
) -> list[State]:
    """A step for each date that was replaced by its parts; without the part ``Elapsed`` if its unit is unknown.

    Args:
        columns: all input columns of the table.
        targets: target columns, whose names the date can't have.
        typical: statistics of number columns, if the learner has them.
        vocabularies: categories of category columns.
    """
    steps = []
    for prefix, parts in _parts(columns).items():
        dates = [name for name in date_names(prefix) if name not in {*columns, *targets}]
        divisor = _elapsed_divisor(prefix, typical, vocabularies)
        count = sum(part in parts for part in _ALWAYS)
        if count < _ENOUGH and not (
            prefix
            and count >= _ENOUGH_IF_COMPUTED
            and (divisor or ELAPSED not in parts)
            and all(_is_computed(prefix + part, part, typical, vocabularies) for part in parts)
        ):
            continue
        if dates:
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


def parts_without_date(columns: list[str], dates: Sequence[State]) -> list[list[str]]:
    """The columns that look like parts of a date for which `add_datepart` found no step, for each such date."""
    found = {date["prefix"] for date in dates}
    return [
        [prefix + part for part in parts]
        for prefix, parts in _parts(columns).items()
        if prefix and prefix not in found and len(parts) > 1
    ]


def _parts(columns: list[str]) -> dict[str, list[str]]:
    """The parts that columns have, by the prefix of their names."""
    names = set(columns)
    prefixes = {name.removesuffix(part) for name in columns for part in _ALWAYS if name.endswith(part)}
    return {prefix: [part for part in (*PARTS, ELAPSED) if prefix + part in names] for prefix in sorted(prefixes)}


def _is_computed(name: str, part: str, typical: Typical, vocabularies: dict[str, list[Any]]) -> bool:
    """Whether the values of a column are those of a part of a date, as far as the learner has them."""
    low, high = LIMITS.get(part, (-math.inf, math.inf))
    if name in vocabularies:
        return all(isinstance(value, int | float) and low <= value <= high for value in vocabularies[name])
    return name not in typical or low <= typical[name][0] <= high


def typical_date(step: State, typical: Typical, vocabularies: dict[str, list[Any]]) -> tuple[float, float] | None:
    """Mean and standard deviation of a step's dates, in days since 1970; None if they are unknown."""
    elapsed, divisor = typical.get(step["prefix"] + ELAPSED), step["elapsed_divisor"]
    if elapsed and ELAPSED in step["parts"] and divisor != max(_DIVISORS):  # units of 32 years are too coarse
        mean, std = elapsed
        return (mean + 0.5) * divisor / _DAY, std * divisor / _DAY  # + 0.5, because Elapsed was rounded down
    years = _years(step["prefix"], typical, vocabularies)
    if years is None:
        return None
    low, high, least, most = (value * _YEAR / _DAY for value in years)
    return (low + high) / 2, (least + most) / 2


def _elapsed_divisor(prefix: str, typical: Typical, vocabularies: dict[str, list[Any]]) -> int | None:
    """Seconds in a unit of ``Elapsed``, such that its dates match ``Year``; None if they match for no or several units.

    fastai divides all dates by 10**9, and the pickle does not contain the unit in which pandas stored them.
    """
    elapsed, years = _range(prefix + ELAPSED, typical, vocabularies), _years(prefix, typical, vocabularies)
    if elapsed is None:
        return None
    if years is None:
        return _divisor_without_year(elapsed, _range(prefix + "Dayofyear", typical, vocabularies))
    low, high, least, most = years
    slack = _SLACK * max(1.0, abs(low), abs(high))
    near_1970 = low - slack <= 0 <= high + slack  # with a small divisor, all dates are near 1970
    fits = []
    for divisor in _DIVISORS:
        unit = divisor / _YEAR
        first, last, spread = elapsed[0] * unit, (elapsed[1] + 1) * unit, elapsed[2] * unit  # + 1: rounded down
        smallest = (least - _YEAR_ERROR) / _SPREAD_FACTOR - unit / 2
        largest = (most + _YEAR_ERROR) * _SPREAD_FACTOR + unit / 2
        if first <= high + slack and last >= low - slack and (smallest <= spread <= largest or not near_1970):
            fits.append(divisor)
    return fits[0] if len(fits) == 1 else None


def _divisor_without_year(elapsed: _Range, day: _Range | None) -> int | None:
    """Seconds in a unit of ``Elapsed``, if the learner has no usable column ``Year``; None if they are not certain.

    Only nanoseconds and microseconds, which pandas has by default, can be told from a column that the user converted:
    as seconds or microseconds of recent years, hours since 1970 are later than 2040, and minutes earlier than 1975.
    Days and months can't be told from milliseconds and seconds. Seconds of January 1970 would have other values of
    ``Dayofyear``.
    """
    if day is None:
        return None
    low, high, spread = (value / _DAY for value in elapsed)
    if low <= day[1] and high >= day[0] - 2 and day[2] <= spread * _SPREAD_FACTOR + 1:
        return None
    for divisor in _DIVISORS[:2]:
        first, last = (1970 + value * divisor / _YEAR for value in (elapsed[0] - elapsed[2], elapsed[1] + elapsed[2]))
        if _RECENT[0] <= first and last <= _RECENT[1]:
            return divisor
    return None


def _years(
    prefix: str, typical: Typical, vocabularies: dict[str, list[Any]]
) -> tuple[float, float, float, float] | None:
    """The range of the dates in years since 1970, computed from ``Year`` and ``Dayofyear``.

    Returns:
        Lower and upper bound of the mean, and lower and upper bound of the standard deviation. A date is the sum of the
        two parts, whose correlation is unknown.
    """
    year, day = (_range(prefix + part, typical, vocabularies) for part in ("Year", "Dayofyear"))
    if year is None:
        return None
    if day is None:
        return year[0] - 1970, year[1] - 1969, max(0.0, year[2] - 0.5), year[2] + 0.5
    first, last, spread = (days * _DAY / _YEAR for days in day)
    return year[0] - 1970 + first, year[1] - 1970 + last, abs(year[2] - spread), year[2] + spread


def _range(name: str, typical: Typical, vocabularies: dict[str, list[Any]]) -> _Range | None:
    """The range of a column's values; each category counts once."""
    if name in typical:
        mean, std = typical[name]
        return mean, mean, std
    values = vocabularies.get(name)
    if not values or not all(type(value) in (int, float) for value in values):
        return None
    return min(values), max(values), pstdev(values)
