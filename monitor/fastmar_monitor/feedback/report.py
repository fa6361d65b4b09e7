"""The report about feedback, as a page of the same style as the report about drift."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from fastmar_contract.display import printable
from fastmar_monitor import plots, report
from fastmar_monitor.drift import Drift, measure
from fastmar_monitor.errors import MonitorError
from fastmar_monitor.feedback.calibration import BINS, MIN_DECISIONS, Calibration
from fastmar_monitor.feedback.measuring import ALPHA, FELL, MIN_GROWTH, MIN_TRUTHS, STEADY, Feedback
from fastmar_monitor.feedback.wording import (
    ESTIMATE,
    FIGURES,
    TITLES,
    counts,
    date,
    figure_rows,
    headline,
    number_text,
    period_table,
)
from fastmar_monitor.page import page, write
from fastmar_monitor.verdicts import DRIFT, NONE, NOT_ENOUGH_DATA

MAX_LABELS = 8  # rows and columns of the confusion; the other labels are one
MAX_ROWS = 50  # of a table
_CLASSES = {FELL: DRIFT, STEADY: NONE}  # of the style sheet


def write_report(feedback: Feedback, path: Path, drift: Drift | None = None) -> None:
    """Write the report, with that about drift below if there is one.

    Raises:
        MonitorError: the file can't be written.
    """
    title = f"{plots.text(f'{feedback.model} {feedback.version}')}: {TITLES[feedback.verdict]}"
    write(page(title, "".join([*parts(feedback), *(report.parts(drift) if drift else ())])), path)


def drift_of(archive: Path, log: str, since: datetime | None = None) -> Drift | None:
    """The drift of the logged records since a time; None if it can't be measured."""
    try:
        return measure(archive, log, since=since)
    except MonitorError:
        return None


def parts(feedback: Feedback) -> Iterator[str]:
    """The report as HTML without the page around it."""
    chip = f'<span class="chip {_CLASSES.get(feedback.verdict, NOT_ENOUGH_DATA)}">{TITLES[feedback.verdict]}</span>'
    yield f"""<header><p class="model">{escape(plots.text(f"{feedback.model} {feedback.version}"))}</p>
<h1>{chip} {escape(headline(feedback))}</h1><p>{counts(feedback)}</p>
{"".join(f'<p class="notice">{escape(printable(text))}</p>' for text in feedback.notices())}
</header><div><h2>By {feedback.by} (UTC)</h2>{_by_period(feedback)}
"""
    scores = feedback.all.measured
    if scores:
        yield '<h2>All answers with truth</h2><div class="cards">'
        yield _card("Figures", _table(("", "value (95% interval)"), figure_rows(feedback)))
        if scores.calibration:
            yield _card("Reliability", _reliability(scores.calibration))
        if "confusion" in scores.detail:
            yield _card("Confusion", _confusion(scores.detail["confusion"]))
        for name in ("labels", "targets"):
            if rows := scores.detail.get(name):
                yield _card(name.capitalize(), _detail(rows))
        yield "</div>"
    yield f"</div>{_FOOTER}"


def _by_period(feedback: Feedback) -> str:
    titles, rows = period_table(feedback)
    table = _table(titles, rows)
    if feedback.all.measured is None:
        return f'<section class="wide whole">{table}</section>'
    [name, *_] = feedback.all.measured.figures
    measured = [_bounds(each.measured.figures[name]) if each.measured else None for each in feedback.periods]
    estimates = [each.estimate.accuracy if each.estimate else None for each in feedback.periods]
    plot, low, high = plots.intervals(measured, estimates, f"{FIGURES[name]} by {feedback.by}")
    span = f"from {number_text(name, low)} to {number_text(name, high)}"
    first, last = date(feedback.periods[0].start), date(feedback.periods[-1].start)
    ends = f"<span>{first}</span><span>{last}</span>" if len(feedback.periods) > 1 else f"<span>{first}</span>"
    legend = '<span class="live"></span>measured, with its 95% interval'
    if any(each is not None for each in estimates):
        legend += f' <span class="reference"></span>{ESTIMATE}'
    return f"""<section class="wide whole"><p class="what">{FIGURES[name]}, {span}</p>{plot}
<p class="ends">{ends}</p><p class="legend">{legend}</p>{table}</section>"""


def _bounds(figure: Any) -> tuple[float, float, float]:
    low, high = (figure.value if bound is None else bound for bound in (figure.low, figure.high))
    return figure.value, low, high


def _reliability(calibration: Calibration) -> str:
    found = [(each.confidence, *_bounds(each.right)) for each in calibration.bins]
    plot = plots.reliability(found, "Share of right decisions by confidence, from 0 to 1")
    rows = [
        (
            f"{each.low:.1f} to {each.high:.1f}",
            f"{each.decisions:,}",
            f"{each.confidence:.1%}",
            f"{each.right.value:.1%}",
        )
        for each in calibration.bins
    ]
    table = _table(("confidence", "decisions", "mean", "right"), rows)
    return (
        f'<p class="what">right decisions by confidence, both from 0 to 1</p>{plot}'
        f"<details><summary>Table</summary>{table}</details>"
    )


def _confusion(pairs: Sequence[dict[str, Any]]) -> str:
    """A matrix of the labels with the most records; rows are truths."""
    sizes: dict[str | None, int] = {}
    for pair in pairs:
        for name in {pair["truth"], pair["prediction"]}:
            sizes[name] = sizes.get(name, 0) + pair["records"]
    shown = sorted(sizes, key=lambda name: -sizes[name])[: MAX_LABELS if len(sizes) > MAX_LABELS else None]
    names: list[Any] = [*shown, *([_OTHERS] if len(sizes) > len(shown) else [])]
    cells = {(truth, prediction): 0 for truth in names for prediction in names}
    for pair in pairs:
        truth, prediction = (pair[key] if pair[key] in shown else _OTHERS for key in ("truth", "prediction"))
        cells[truth, prediction] += pair["records"]
    titles = [*map(_label, names)]
    columns = [name for name in names if name is not None]  # unknown labels are never predicted
    rows = [
        (title, *(f"{cells[truth, each]:,}" for each in columns)) for title, truth in zip(titles, names, strict=True)
    ]
    return _table(("truth / answer", *(_label(name) for name in columns)), rows)


_OTHERS = object()  # a label may have any name


def _label(name: Any) -> str:
    return "(unknown)" if name is None else "(others)" if name is _OTHERS else plots.text(name)


def _detail(rows: Sequence[dict[str, Any]]) -> str:
    titles = list(rows[0])
    more = f"<p>{len(rows) - MAX_ROWS:,} more</p>" if len(rows) > MAX_ROWS else ""
    return _table(titles, [[_cell(row[name]) for name in titles] for row in rows[:MAX_ROWS]]) + more


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        value = value["value"]
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else plots.text(value)


def _card(title: str, content: str) -> str:
    return f'<article class="card"><h3>{title}</h3>{content}</article>\n'


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(title)}" for title in titles)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}" for cell in row) for row in rows)
    return f'<div class="scroll"><table><tr>{head}{body}</table></div>'


_FOOTER = f"""<footer><p>Performance fell if the mean loss grew by more than {MIN_GROWTH:.0%} from the first to the last
period with {MIN_TRUTHS} truths, and if chance explains it with a probability below {ALPHA} (one-sided: two-proportion
test of right and wrong answers; otherwise Welch's test). Intervals: 95%, Wilson's for shares, Student's t for means.
The calibration error is the mean distance of confidence and share of right decisions in {BINS} bins. An estimate
without truth is the mean confidence of the answers that have no truth yet; in bins with {MIN_DECISIONS} decisions,
the measured share of right ones takes the place of the confidence. It holds only if the answers with truth are like
the others. The report has counts; only its notes name single request ids and truths.</p></footer>"""
