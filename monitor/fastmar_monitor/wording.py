"""Sentences about a comparison, for the terminal and the report."""

from __future__ import annotations

from fastmar_monitor.comparison import Comparison
from fastmar_monitor.verdicts import DRIFT, MIN_ROWS, NONE, NOT_ENOUGH_DATA, WATCH

TITLES = {DRIFT: "drift", WATCH: "watch", NONE: "no drift", NOT_ENOUGH_DATA: "not enough data"}


def headline(comparison: Comparison) -> str:
    """What the verdict of a comparison is based on, as a sentence."""
    everything = (*comparison.fields, *comparison.answers)
    counts = {verdict: sum(each.verdict == verdict for each in everything) for verdict in TITLES}
    if comparison.verdict == NOT_ENOUGH_DATA:
        return f"A verdict needs {MIN_ROWS} live records, and as many of the reference."
    if comparison.verdict == NONE:
        return f"None of {counts[NONE]} variables changed."
    parts = [f"{counts[DRIFT]} drifted"] if counts[DRIFT] else []
    parts += [f"{counts[WATCH]} to watch"] if counts[WATCH] else []
    return f"Of {len(everything)} variables, {', '.join(parts)}."
