"""Plots as inline SVG, with classes that the report's style sheet colours."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from fastmar_contract.display import printable
from fastmar_monitor.comparison import VariableComparison
from fastmar_monitor.verdicts import PSI_LARGE, PSI_LIMIT
from fastmar_runtime.profiles.variables import MISSING, NUMBER

WIDTH, HEIGHT = 300, 96  # of a plot, in units of its own
MAX_BARS = 24  # categories with the largest shares; the others are one bar
MAX_LABEL = 40  # characters

Shares = npt.NDArray[np.float64]
Bars = list[tuple[str, float, float]]
"""The name of a slot, its share of the reference, and its share of the live data."""


def bars(comparison: VariableComparison) -> Bars:
    """The slots to show: no empty ones, and only the largest of many categories."""
    reference, live = _shares(comparison.reference), _shares(comparison.live)
    labels = [text(label) for label in comparison.variable.labels()]
    shown = [at for at in range(len(labels)) if reference[at] or live[at]]
    if comparison.variable.kind == NUMBER or len(shown) <= MAX_BARS:
        return [(labels[at], float(reference[at]), float(live[at])) for at in shown]
    largest = set(sorted(shown, key=lambda at: -max(reference[at], live[at]))[: MAX_BARS - 1])
    rest = [at for at in shown if at not in largest]
    found = [(labels[at], float(reference[at]), float(live[at])) for at in shown if at in largest]
    return [*found, (f"{len(rest)} more", float(reference[rest].sum()), float(live[rest].sum()))]


def text(value: str) -> str:
    """A text from outside, short and printable; not yet escaped."""
    value = printable(value)
    return value if len(value) <= MAX_LABEL else f"{value[: MAX_LABEL - 1]}…"


def histogram(found: Bars, title: str) -> str:
    """Bars of the reference and of the live data side by side; missing values stand apart."""
    top = max([share for _, *pair in found for share in pair], default=0) or 1
    gap = 0.5 if found and found[0][0] == MISSING and len(found) > 1 else 0.0  # of a bar's width
    step = WIDTH / max(1, len(found) + gap)
    paths: list[list[str]] = [[], []]
    for at, (_, *pair) in enumerate(found):
        left = (at + (gap if at else 0)) * step
        for which, share in enumerate(pair):
            height = share / top * (HEIGHT - 2)
            if height:
                start = left + step * (0.08 + 0.42 * which)
                paths[which].append(f"M{start:.1f} {HEIGHT}v-{height:.1f}h{step * 0.42:.1f}V{HEIGHT}z")
    drawn = "".join(
        f'<path class="{name}" d="{"".join(path)}"/>' for name, path in zip(("reference", "live"), paths, strict=True)
    )
    return _svg(drawn + f'<path class="axis" d="M0 {HEIGHT}H{WIDTH}"/>', title)


def timeline(values: Sequence[float | None], title: str) -> str:
    """A line of PSI over the periods, with its limits; periods without a value are gaps."""
    top = max([PSI_LARGE * 1.2, *(value for value in values if value is not None)])
    step = WIDTH / max(1, len(values) - 1)
    line, dots, is_down = [], [], False
    for at, value in enumerate(values):
        if value is None:
            is_down = False
            continue
        x, y = at * step, _height(value, top)
        line.append(f"{'L' if is_down else 'M'}{x:.1f} {y:.1f}")
        dots.append(f"M{x:.1f} {y:.1f}h0")  # a line of no length with round ends
        is_down = True
    limits = "".join(f"M0 {_height(limit, top):.1f}H{WIDTH}" for limit in (PSI_LIMIT, PSI_LARGE))
    drawn = f'<path class="limit" d="{limits}"/><path class="line" d="{"".join(line)}"/>'
    return _svg(f'{drawn}<path class="dots" d="{"".join(dots)}"/>', title)


def periods(found: Sequence[tuple[str, int, str]], title: str) -> str:
    """A bar for each period, with its number of records as height and its verdict as class.

    Args:
        found: the label, the number of records and the verdict of each period.
        title: the title of the plot.
    """
    top = max([rows for _, rows, _ in found], default=0) or 1
    step = WIDTH / max(1, len(found))
    drawn = []
    for at, (label, rows, verdict) in enumerate(found):
        height = max(2.0, rows / top * (HEIGHT - 2))
        shape = f'x="{at * step:.1f}" y="{HEIGHT - height:.1f}" width="{step * 0.8:.1f}" height="{height:.1f}"'
        drawn.append(f'<rect class="{verdict}" {shape}><title>{escape(label)}</title></rect>')
    return _svg("".join(drawn), title)


def intervals(
    measured: Sequence[tuple[float, float, float] | None], estimates: Sequence[float | None], title: str
) -> tuple[str, float, float]:
    """Measured values with their intervals over the periods, and estimates as rings of their own.

    Args:
        measured: value and bounds of each period; None without a value.
        estimates: the estimates of the same periods.
        title: the title of the plot.

    Returns:
        the plot, and the values at its lower and upper end.
    """
    shown = [number for each in measured if each for number in each] + [each for each in estimates if each is not None]
    bottom, top = min(shown, default=0.0), max(shown, default=1.0)
    span = top - bottom or 1.0
    step = WIDTH / max(1, len(measured))
    bounds: list[str] = []
    line: list[str] = []
    dots: list[str] = []
    rings: list[str] = []
    for at, (found, estimate) in enumerate(zip(measured, estimates, strict=True)):
        x = (at + 0.5) * step
        if found:
            y, low, high = (_height(each - bottom, span) for each in found)
            bounds.append(f"M{x:.1f} {low:.1f}V{high:.1f}")
            line.append(f"{'L' if line else 'M'}{x:.1f} {y:.1f}")
            dots.append(f"M{x:.1f} {y:.1f}h0")
        if estimate is not None:
            rings.append(f"M{x + min(6, step / 4):.1f} {_height(estimate - bottom, span):.1f}h0")
    drawn = f'<path class="bounds" d="{"".join(bounds)}"/><path class="line" d="{"".join(line)}"/>'
    drawn += f'<path class="dots" d="{"".join(dots)}"/><path class="estimates" d="{"".join(rings)}"/>'
    return _svg(drawn, title), bottom, top


def reliability(found: Sequence[tuple[float, float, float, float]], title: str) -> str:
    """Confidence from left to right, share of right decisions upwards; the diagonal is perfect calibration.

    Args:
        found: the confidence of a bin, its share of right decisions, and the bounds of this share.
        title: the title of the plot.
    """
    bounds = "".join(f"M{x * WIDTH:.1f} {_height(low, 1):.1f}V{_height(high, 1):.1f}" for x, _, low, high in found)
    dots = "".join(f"M{x * WIDTH:.1f} {_height(right, 1):.1f}h0" for x, right, _, _ in found)
    diagonal = f'<path class="limit" d="M0 {_height(0, 1):.1f}L{WIDTH} {_height(1, 1):.1f}"/>'
    return _svg(f'{diagonal}<path class="bounds" d="{bounds}"/><path class="dots" d="{dots}"/>', title)


def _height(value: float, top: float) -> float:
    return 3 + (1 - value / top) * (HEIGHT - 6)


def _svg(content: str, title: str) -> str:
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none"'
    return f'<svg {box} role="img" aria-label="{escape(title)}">{content}</svg>'


def _shares(counts: npt.NDArray[np.int64]) -> Shares:
    return np.asarray(counts / max(1, counts.sum()), np.float64)
