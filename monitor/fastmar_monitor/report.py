"""The report: one HTML file without scripts, which loads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from pathlib import Path

from fastmar_contract.display import printable
from fastmar_monitor import plots
from fastmar_monitor.comparison import VariableComparison
from fastmar_monitor.drift import Drift
from fastmar_monitor.page import page, write
from fastmar_monitor.verdicts import ALPHA, DRIFT, JS_LIMIT, MIN_ROWS, NOT_COMPARED, PSI_LARGE, PSI_LIMIT, WATCH
from fastmar_monitor.wording import TITLES, headline
from fastmar_runtime.profiles.variables import CONFIDENCE, FIELD, MEASURE, PREDICTION

LISTED = 12  # slots in the table of a field, those with the largest changes
SOURCES = {FIELD: "column", MEASURE: "measure", PREDICTION: "prediction", CONFIDENCE: "confidence of the prediction"}

_Periods = Sequence[tuple[datetime, dict[tuple[str, str], float]]]


def write_report(drift: Drift, path: Path) -> None:
    """Write the report.

    Raises:
        MonitorError: the file can't be written.
    """
    write(report(drift), path)


def report(drift: Drift) -> str:
    """The report as HTML."""
    title = f"{plots.text(f'{drift.model} {drift.version}')}: {TITLES[drift.comparison.verdict]}"
    return page(title, "".join(parts(drift)))


def parts(drift: Drift) -> Iterator[str]:
    """The report as HTML without the page around it."""
    comparison = drift.comparison
    title = escape(plots.text(f"{drift.model} {drift.version}"))
    sentence = escape(headline(comparison))
    yield f"""<header><p class="model">{title}</p>
<h1>{chip(comparison.verdict)} {sentence}</h1>
<p>{comparison.rows:,} live records{_refused(drift)}, {comparison.reference_rows:,} records of the reference.</p>
{"".join(f'<p class="notice">{escape(printable(text))}</p>' for text in drift.live.notices)}
<p class="legend"><span class="reference"></span>reference <span class="live"></span>live</p></header><div>
"""
    labels = [f"{start:%Y-%m-%d %H:%M}" for start, _ in drift.periods]
    if drift.periods:
        yield _overview(drift, labels)
    values: _Periods = [
        (start, {_key(each): each.excess.psi for each in (*found.fields, *found.answers) if each.excess})
        for start, found in drift.periods
    ]
    if comparison.answers:
        yield '<h2>Answers</h2><div class="cards">'
        yield from (card(each, values, labels) for each in comparison.answers)
        yield "</div>"
    quiet = sum(each.verdict not in (DRIFT, WATCH) for each in comparison.fields)
    yield f"<h2>{len(comparison.fields):,} fields</h2>"
    if quiet and quiet < len(comparison.fields):
        yield '<input type="checkbox" id="changed"><label for="changed">Only those that changed</label>'
    yield '<div class="cards">'
    yield from (card(each, values, labels) for each in comparison.fields)
    yield f"</div></div>{_FOOTER}"


def chip(verdict: str) -> str:
    """A verdict as HTML."""
    return f'<span class="chip {verdict}">{TITLES[verdict]}</span>'


def _refused(drift: Drift) -> str:
    return f" (and {drift.live.refused:,} that the model refused)" if drift.live.refused else ""


def _overview(drift: Drift, labels: Sequence[str]) -> str:
    found = [
        (f"{label}: {each.rows:,} records, {TITLES[each.verdict]}", each.rows, each.verdict)
        for label, (_, each) in zip(labels, drift.periods, strict=True)
    ]
    plot = plots.periods(found, "Records and verdict of each period")
    verdicts = {each.verdict for _, each in drift.periods}
    chips = " ".join(chip(name) for name in TITLES if name in verdicts)
    return f'<h2>Records by period (UTC)</h2><section class="wide">{plot}{_ends(labels)}<p>{chips}</p></section>'


def card(each: VariableComparison, periods: _Periods = (), labels: Sequence[str] = ()) -> str:
    """The comparison of one variable as HTML: verdict, plots, figures, and the shares of its slots.

    Args:
        each: the comparison.
        periods: the start of each period, and PSI beyond chance by source and name of the variables.
        labels: the labels of the periods.
    """
    name = escape(plots.text(each.variable.name))
    kind = f"{SOURCES[each.variable.source]}, {each.variable.kind}"
    if each.verdict == NOT_COMPARED:
        return f"""<article class="card {each.verdict}"><h3>{name}</h3>
<p class="what">{chip(each.verdict)} {kind}: {escape(each.reason or "")}</p></article>
"""
    found = plots.bars(each)
    plot = plots.histogram(found, f"Shares of {plots.text(each.variable.name)}: reference and live")
    ends = _ends([label for label, *_ in found])
    line = ""
    if periods:
        values = [of_period.get(_key(each)) for _, of_period in periods]
        largest = max((value for value in values if value is not None), default=0.0)
        plot_title = f"PSI beyond chance by period, up to {largest:.2f}"
        line = f'<p class="what">{plot_title}</p>{plots.timeline(values, plot_title)}{_ends(labels)}'
    return f"""<article class="card {each.verdict}"><h3>{name}</h3>
<p class="what">{chip(each.verdict)} {kind}{escape(f": {each.reason}" if each.reason else "")}</p>
{plot}{ends}{"" if each.reason else _figures(each)}{line}{_slots(found)}</article>
"""


def _ends(labels: Sequence[str]) -> str:
    """Labels below the first and the last bar."""
    if len(labels) < 2:
        return f'<p class="ends"><span>{escape("".join(labels))}</span></p>'
    return f'<p class="ends"><span>{escape(labels[0])}</span><span>{escape(labels[-1])}</span></p>'


def _figures(each: VariableComparison) -> str:
    row = each.as_dict()
    found = [(name, f"{row[key]:.3f}") for name, key in _STATISTICS if row[key] is not None]
    if each.p_value is not None:
        found.append(("p", f"{each.p_value:.1g}"))
    if each.effect_on_prediction is not None:
        found.append(("effect on prediction", f"{each.effect_on_prediction:.3f}"))
    for key in ("missing", "unseen"):
        shares = row[key]
        if shares and any(shares.values()):
            found.append((key, f"{shares['reference']:.1%} → {shares['live']:.1%}"))
    return f"<dl>{''.join(f'<div><dt>{name}</dt><dd>{value}</dd></div>' for name, value in found)}</dl>"


_STATISTICS = (
    ("PSI", "psi"),
    ("PSI beyond chance", "psi_beyond_chance"),
    ("JS", "js"),
    ("KS", "ks"),
    ("shift of the mean", "shift"),
)


def _slots(found: plots.Bars) -> str:
    """A table of the slots that changed most."""
    largest = set(sorted(found, key=lambda bar: -abs(bar[2] - bar[1]))[:LISTED])
    rows = "".join(
        f"<tr><td>{escape(label)}<td>{before:.1%}<td>{after:.1%}"
        for label, before, after in found
        if (label, before, after) in largest
    )
    return f"<details><summary>Shares</summary><table><tr><th>value<th>reference<th>live{rows}</table></details>"


def _key(each: VariableComparison) -> tuple[str, str]:
    return each.variable.source, each.variable.name


_FOOTER = f"""<footer><p>A field drifts if its population stability index (PSI) is {PSI_LARGE} or more, or if PSI is
{PSI_LIMIT} or more and the Jensen-Shannon distance (JS) {JS_LIMIT} or more. If only one of them is, it is to be
watched. The part that samples of these sizes show by chance is subtracted first: this is PSI beyond chance. Such a
change counts only if it is significant (chi-squared, Benjamini-Hochberg over all variables, {ALPHA}), larger than
between parts of the reference, and if there are {MIN_ROWS} records. KS: Kolmogorov-Smirnov statistic of the binned
numbers. The effect on the prediction is the change of the mean answer that the new shares would cause alone: of the
probability that changes most, or in standard deviations of a predicted number. The report has counts only, no
records.</p></footer>"""
