"""Sentences and tables about a comparison, for the terminal and the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from fastmar_monitor.comparison import Comparison, VariableComparison
from fastmar_monitor.verdicts import DRIFT, MIN_ROWS, NONE, NOT_COMPARED, NOT_ENOUGH_DATA, WATCH
from fastmar_runtime.profiles.variables import PREDICTION

MAX_ROWS = 20  # fields of a table; drift and watch are always shown
MAX_NAMES = 5  # fields that the row of a period names
COLUMNS = ("field", "verdict", "reason", "PSI", "JS", "KS", "shift", "p", "missing", "unseen", "effect on prediction")
PERIOD_COLUMNS = ("period (UTC)", "records", "verdict", "fields")
TITLES = {
    DRIFT: "drift",
    WATCH: "watch",
    NONE: "no drift",
    NOT_ENOUGH_DATA: "not enough data",
    NOT_COMPARED: "not compared",
}


def headline(comparison: Comparison) -> str:
    """What the verdict of a comparison is based on, as a sentence."""
    everything = (*comparison.fields, *comparison.answers)
    counts = {verdict: sum(each.verdict == verdict for each in everything) for verdict in TITLES}
    if comparison.verdict == NOT_ENOUGH_DATA:
        reference = ", and as many of the reference" if comparison.reference_rows else ""
        return f"A verdict needs {MIN_ROWS} live records{reference}."
    compared = counts[NONE] + counts[WATCH] + counts[DRIFT]
    others = len(everything) - compared
    rest = f" {others} more could not be compared." if others else ""
    if comparison.verdict == NONE:
        return f"None of {compared} variables changed.{rest}"
    parts = [f"{counts[DRIFT]} drifted"] if counts[DRIFT] else []
    parts += [f"{counts[WATCH]} to watch"] if counts[WATCH] else []
    return f"Of {compared} variables, {', '.join(parts)}.{rest}"


def field_rows(comparison: Comparison) -> tuple[list[str], list[list[str]], int]:
    """A table of the fields and parts of the answers: those of `COLUMNS` that have a value, and the rows.

    Also returns the number of unchanged fields without a row.
    """
    shown = comparison.fields[: max(len(_changed(comparison)), MAX_ROWS)]
    rows = [_row(each) for each in (*shown, *comparison.answers)]
    filled = [at for at in range(len(COLUMNS)) if any(row[at] for row in rows)]
    hidden = len(comparison.fields) - len(shown)
    return [COLUMNS[at] for at in filled], [[row[at] for at in filled] for row in rows], hidden


def period_rows(periods: Iterable[tuple[datetime, Comparison]]) -> list[list[str]]:
    """A row of `PERIOD_COLUMNS` for each period."""
    rows = []
    for start, each in periods:
        named = [field.variable.name for field in _changed(each)]
        more = f", {len(named) - MAX_NAMES} more" if len(named) > MAX_NAMES else ""
        fields = ", ".join(named[:MAX_NAMES]) + more
        rows.append([f"{start:%Y-%m-%d %H:%M}", f"{each.rows:,}", each.verdict.replace("_", " "), fields])
    return rows


def _changed(comparison: Comparison) -> Sequence[VariableComparison]:
    return [each for each in comparison.fields if each.verdict in (DRIFT, WATCH)]


def _row(each: VariableComparison) -> list[str]:
    figures = each.as_dict() if each.reason is None else dict.fromkeys(each.as_dict())
    name = f"{each.variable.name} (prediction)" if each.variable.source == PREDICTION else each.variable.name
    return [
        name,
        each.verdict.replace("_", " "),
        each.reason or "",
        *(_number(figures[key]) for key in ("psi", "js", "ks", "shift")),
        "" if figures["p_value"] is None else f"{figures['p_value']:.1g}",
        *(_shares(figures[key]) for key in ("missing", "unseen")),
        _number(figures["effect_on_prediction"]),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _shares(shares: dict[str, float] | None) -> str:
    if shares is None or not any(shares.values()):
        return ""
    return f"{shares['reference']:.1%} -> {shares['live']:.1%}"
