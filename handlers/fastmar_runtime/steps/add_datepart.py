"""fastai's `add_datepart`, which users apply to their table before training: a date becomes many columns.

A caller may send these columns instead of the date; absent ones are computed from the date.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastmar_contract.date_parts import ELAPSED
from fastmar_contract.errors import RecordError
from fastmar_contract.values import invalid_date, missing_date
from fastmar_runtime.columns import MISSING
from fastmar_runtime.report import Report
from fastmar_runtime.steps import Batch
from fastmar_runtime.validation import build, invalid


def _month_end(d: datetime) -> bool:
    return d.day == calendar.monthrange(d.year, d.month)[1]


PARTS: dict[str, Callable[[datetime], Any]] = {
    "Year": lambda d: d.year,
    "Month": lambda d: d.month,
    "Week": lambda d: d.isocalendar().week,
    "Day": lambda d: d.day,
    "Dayofweek": lambda d: d.weekday(),
    "Dayofyear": lambda d: d.timetuple().tm_yday,
    "Is_month_end": _month_end,
    "Is_month_start": lambda d: d.day == 1,
    "Is_quarter_end": lambda d: d.month % 3 == 0 and _month_end(d),
    "Is_quarter_start": lambda d: d.month % 3 == 1 and d.day == 1,
    "Is_year_end": lambda d: d.month == 12 and d.day == 31,
    "Is_year_start": lambda d: d.month == 1 and d.day == 1,
    "Hour": lambda d: d.hour,
    "Minute": lambda d: d.minute,
    "Second": lambda d: d.second,
}
"""The functions of pandas' `.dt` for dates without a time zone."""

LIMITS: dict[str, tuple[int, int]] = {
    "Month": (1, 12),
    "Week": (1, 53),
    "Day": (1, 31),
    "Dayofweek": (0, 6),
    "Dayofyear": (1, 366),
    "Hour": (0, 23),
    "Minute": (0, 59),
    "Second": (0, 59),
    **{part: (0, 1) for part in PARTS if part.startswith("Is_")},
}
"""The smallest and the largest value of each part that has limits. All values are whole."""

_EPOCH = datetime(1970, 1, 1)  # local time, like all dates here
_FALSE_IF_NULL = frozenset(name for name in PARTS if name.startswith("Is_"))  # as in pandas; others are NaN


@dataclass(frozen=True, slots=True)
class AddDatepart:
    """The step for one date.

    Attributes:
        date: name of the field with the date.
        prefix: the prefix of the names of the columns.
        parts: names of the columns, without the prefix.
        elapsed_divisor: seconds per unit of ``Elapsed``. fastai divides pandas' integers by 10**9, whatever their
            unit: 1 for nanoseconds, 10**3 for microseconds, 10**6 for milliseconds, 10**9 for seconds.
    """

    date: str
    prefix: str
    parts: tuple[str, ...]
    elapsed_divisor: int

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that are computed."""
        return tuple(self.prefix + part for part in self.parts)

    def __call__(self, batch: Batch, report: Report) -> Batch:
        """Compute the absent columns of each record, and drop the column of the date."""
        out = {name: column for name, column in batch.items() if name != self.date}
        columns = {part: list(batch[self.prefix + part]) for part in self.parts}
        for row, value in enumerate(batch[self.date]):
            absent = [part for part in self.parts if columns[part][row] is MISSING]
            if not absent:
                continue
            try:
                values = self._compute(value, absent, row, report)
            except RecordError as error:
                report.refuse(row, error)
                values = dict.fromkeys(absent)
            for part in absent:
                columns[part][row] = values[part]
        out.update({self.prefix + part: column for part, column in columns.items()})
        return out

    def _compute(self, value: Any, parts: list[str], row: int, report: Report) -> dict[str, Any]:
        if value is MISSING:
            raise missing_date(self.date, self.prefix + parts[0])
        if value is None:
            return {part: False if part in _FALSE_IF_NULL else None for part in parts}
        try:
            date = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise invalid_date(self.date, value) from error
        if date.utcoffset():
            message = f"the UTC offset of {self.date!r} was ignored; the date is read as local time."
            report.warn(row, field=self.date, code="offset_ignored", value=value, message=message)
        date = date.replace(tzinfo=None)  # the learner records no time zone
        return {part: self._elapsed(date) if part == ELAPSED else PARTS[part](date) for part in parts}

    def _elapsed(self, date: datetime) -> int:
        return (date - _EPOCH) // timedelta(seconds=self.elapsed_divisor)


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> AddDatepart:
    """Read ``{"date", "prefix", "parts", "elapsed_divisor"}``; `path` is its place, for messages."""
    step = build(AddDatepart, state, path, ignored=("step",))
    for part in step.parts:
        if part != ELAPSED and part not in PARTS:
            raise invalid(f"{path}.parts", "known parts of a date", part)
    if step.elapsed_divisor < 1:
        raise invalid(f"{path}.elapsed_divisor", "at least 1", step.elapsed_divisor)
    return step
