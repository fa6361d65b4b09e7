"""Verdicts, from the least to the most severe, and the rule that gives them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

NOT_ENOUGH_DATA, NONE, WATCH, DRIFT = "not_enough_data", "none", "watch", "drift"
VERDICTS = (NOT_ENOUGH_DATA, NONE, WATCH, DRIFT)

MIN_ROWS = 200  # of the reference and of the live data
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
    """The most severe verdict."""
    return max(verdicts, key=VERDICTS.index, default=NOT_ENOUGH_DATA)
