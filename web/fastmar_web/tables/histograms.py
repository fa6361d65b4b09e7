"""Histograms of the numbers in a scored table."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from fastmar_client.csv_answers import PROBABILITY
from fastmar_web.presentation import format_alike, format_share
from fastmar_web.tables.results import Choice, Column, Results

BINS = 20  # about so many for numbers
_SHARE_WIDTH = 0.05  # of an interval of probabilities


@dataclass(frozen=True, slots=True)
class Bin:
    """An interval: its ends as a text, its number of rows, and the length of its bar, from 0 to 100."""

    text: str
    count: int
    length: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram as a page shows it.

    Attributes:
        title: what is counted.
        bins: the intervals.
        low, high: the ends of the axis.
        facts: name and value of the smallest number, the median and the largest number.
    """

    title: str
    bins: list[Bin]
    low: str
    high: str
    facts: list[tuple[str, str]]

    @property
    def summary(self) -> str:
        """The histogram as a text, for screen readers."""
        return "; ".join(f"{each.text}: {each.count:,} rows" for each in self.bins if each.count)


def histogram(results: Results, choice: Choice, column: Column, title: str, unit: str = "") -> Histogram | None:
    """The histogram of a column of numbers; None if its numbers can't be divided into intervals."""
    smallest, largest = results.range_of(column)
    text: Callable[[float], str]
    if column.role == PROBABILITY:
        low, width = (0.5 if smallest >= 0.5 else 0.0), _SHARE_WIDTH
        bins = round((1 - low) / width)
        text = format_share
        end: Callable[[float], str] = "{:.0%}".format
    else:
        if not math.isfinite(largest - smallest):
            return None
        width = nice_width((largest - smallest) / BINS)
        low = math.floor(smallest / width) * width
        bins = max(1, math.ceil((largest - low) / width - 1e-9))
        size = max(abs(smallest), abs(largest))
        text = lambda number: f"{format_alike(number, size)} {unit}".strip()  # noqa: E731
        end = lambda number: f"{format_alike(number, max(size, abs(low + bins * width)))}"  # noqa: E731
    counts = results.histogram(choice, column, low, width, bins)
    highest = max(counts) or 1
    edges = [low + width * place for place in range(bins + 1)]
    spread = results.spread(choice, column)
    facts = list(zip(("Lowest", "Median", "Highest"), map(text, spread), strict=True)) if spread else []
    return Histogram(
        title,
        [
            Bin(f"{end(edges[place])} to {end(edges[place + 1])}", count, round(100 * count / highest, 1))
            for place, count in enumerate(counts)
        ],
        end(edges[0]),
        end(edges[-1]),
        facts,
    )


def nice_width(width: float) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that is at least `width`; 1 for 0."""
    if width <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(width))
    return next((factor * power for factor in (1, 2, 2.5, 5) if factor * power >= width * (1 - 1e-9)), 10 * power)
