"""Sentences and tables about feedback, for the terminal and the report."""

from __future__ import annotations

from datetime import datetime

from fastmar_monitor.feedback.calibration import Estimate
from fastmar_monitor.feedback.intervals import Figure
from fastmar_monitor.feedback.measuring import FELL, MIN_TRUTHS, NOT_ENOUGH_TRUTHS, STEADY, Feedback, Period

TITLES = {FELL: "performance fell", STEADY: "steady", NOT_ENOUGH_TRUTHS: "not enough truths"}
FIGURES = {
    "accuracy": "accuracy",
    "exact_match": "all labels right",
    "micro_f1": "F1 (micro)",
    "macro_f1": "F1 (macro)",
    "log_loss": "log loss",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "bias": "bias",
}
_SHARES = ("accuracy", "exact_match")
_COUNTS = ("answered", "with truth")
_LEAST_P = 1e-9  # smaller p-values say nothing more
ESTIMATE = "estimate without truth"


def headline(feedback: Feedback) -> str:
    """What the verdict is based on, as a sentence."""
    change = feedback.change
    if change is None:
        return f"A verdict needs two {feedback.by}s with {MIN_TRUTHS} truths each."
    before, after = (loss_text(feedback.loss, value) for value in (change.before, change.after))
    return (
        f"The {feedback.loss} was {before} in the {feedback.by} of {date(change.first.start)}, and {after} in the "
        f"{feedback.by} of {date(change.last.start)} ({p_text(change.p_value)})."
    )


def counts(feedback: Feedback) -> str:
    """How many answers there are, as a sentence."""
    period = feedback.all
    refused = f" {period.refused:,} records were refused." if period.refused else ""
    return (
        f"{period.answered:,} answers: {period.with_truth:,} with truth, {period.without_truth:,} without truth so far."
        f"{refused}"
    )


def period_table(feedback: Feedback) -> tuple[list[str], list[list[str]]]:
    """The titles of the columns, and a row for each period."""
    names = list(feedback.all.measured.figures) if feedback.all.measured else []
    has_estimate = any(each.estimate for each in feedback.periods)
    titles = [f"{feedback.by} (UTC)", *_COUNTS, *(FIGURES[name] for name in names), *([ESTIMATE] * has_estimate)]
    return titles, [_row(each, names, has_estimate=has_estimate) for each in feedback.periods]


def figure_rows(feedback: Feedback) -> list[tuple[str, str]]:
    """Name and value of each figure of all answers with truth."""
    if feedback.all.measured is None:
        return []
    return [(FIGURES[name], figure_text(name, figure)) for name, figure in feedback.all.measured.figures.items()]


def figure_text(name: str, figure: Figure, sign: str = "") -> str:
    """A figure with its interval; `sign` is that of `number_text`."""
    value = number_text(name, figure.value, sign)
    if figure.low is None or figure.high is None:
        return value
    return f"{value} ({number_text(name, figure.low, sign)} to {number_text(name, figure.high, sign)})"


def number_text(name: str, value: float, sign: str = "") -> str:
    """A value of a figure, without its interval; with the sign "+", numbers above 0 have it, too."""
    style = ".1%" if name in _SHARES else ".4g" if name in ("mae", "rmse", "bias") else ".3f"
    return f"{value:{sign}{style}}"


def estimate_text(estimate: Estimate | None) -> str:
    """An estimated accuracy, always marked as an estimate."""
    return f"about {estimate.accuracy:.1%}" if estimate else ""


def date(start: datetime) -> str:
    """The first day of a period."""
    return f"{start:%Y-%m-%d}"


def _row(period: Period, names: list[str], *, has_estimate: bool) -> list[str]:
    figures = period.measured and period.measured.figures
    cells = [""] * len(names)
    if figures:
        cells = [
            figure_text(names[0], figures[names[0]]),
            *(number_text(name, figures[name].value) for name in names[1:]),
        ]
    last = [estimate_text(period.estimate)] if has_estimate else []
    return [date(period.start), f"{period.answered:,}", f"{period.with_truth:,}", *cells, *last]


def p_text(value: float) -> str:
    """A p-value."""
    return f"p = {value:.1g}" if value >= _LEAST_P else f"p < {_LEAST_P:g}"


def loss_text(name: str, value: float) -> str:
    """A value of the mean loss with this name."""
    return f"{value:.1%}" if name.startswith("share") else f"{value:.4g}"
