"""Verdicts, from the least to the most severe, and the rule that gives them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

NOT_COMPARED, NOT_ENOUGH_DATA, NONE, WATCH, DRIFT = "not_compared", "not_enough_data", "none", "watch", "drift"
VERDICTS = (NOT_COMPARED, NOT_ENOUGH_DATA, NONE, WATCH, DRIFT)
"""`NOT_COMPARED` is the verdict of a field without values in the live data, such as one that the request log hides."""

MIN_ROWS = 200  # of the reference and of the live data
REFUSED_LIMIT = 0.05  # share of refused records above which there is a notice
ALPHA = 0.01  # share of the significant variables that may be due to chance
PSI_LIMIT, PSI_LARGE = 0.1, 0.25
JS_LIMIT = 0.1
"""Normal distributions with these effects differ by 0.32, 0.5 and 0.24 standard deviations. PSI alone is over its
limit if few records are in slots that were nearly empty, and JS alone if many slots changed a little."""


@dataclass(frozen=True, slots=True)
class Effect:
    """How much a variable changed.

    Attributes:
        psi: population stability index.
        js: Jensen-Shannon distance, the root of the divergence in bits, from 0 to 1.
    """

    psi: float
    js: float

    def level(self) -> str:
        """The verdict, if the change is neither due to chance nor usual."""
        over = (self.psi >= PSI_LIMIT) + (self.js >= JS_LIMIT)
        return DRIFT if over == 2 or self.psi >= PSI_LARGE else WATCH if over else NONE


def worst(verdicts: Iterable[str]) -> str:
    """The most severe verdict of what was compared."""
    compared = (each for each in verdicts if each != NOT_COMPARED)
    return max(compared, key=VERDICTS.index, default=NOT_ENOUGH_DATA)


def too_few(records: int, reference: int | None = None) -> str:
    """Why there is no verdict: the number of records, or of those of the reference if these are too few."""
    if reference is not None and reference < min(records, MIN_ROWS):
        return f"too few records of the reference ({reference:,} of {MIN_ROWS})"
    return f"too few records ({records:,} of {MIN_ROWS})"
