"""Small plots as inline SVG. Style sheets colour them, so that they need neither scripts nor inline styles."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 300, 48  # in units of the plot
_FOOT = HEIGHT - 1.0

Interval = tuple[float, float, float | None]
"""Its start and end in seconds before now, and the value in it; None if it is unknown."""


def sparkline(intervals: Sequence[Interval], span: float, title: str) -> Markup:
    """A stepped line from `span` seconds ago on the left to now on the right; unknown values are gaps."""
    top = max((value for *_, value in intervals if value is not None), default=0.0) or 1.0
    line, area = [], []
    for run in _runs(intervals):
        left = f"{WIDTH * (1 - run[0][0] / span):.1f}"
        steps = "V".join(
            f"{_FOOT - value / top * (HEIGHT - 4):.1f}H{WIDTH * (1 - end / span):.1f}" for _, end, value in run
        )
        line.append(f"M{left} {steps}")
        area.append(f"M{left} {_FOOT}V{steps}V{_FOOT}z")
    return Markup(
        '<svg class="spark" viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" aria-label="{title}">'
        '<path class="area" d="{area}"/><path class="axis" d="M0 {foot}H{width}"/><path class="line" d="{line}"/></svg>'
    ).format(width=WIDTH, height=HEIGHT, title=title, foot=_FOOT, area="".join(area), line="".join(line))


def _runs(intervals: Sequence[Interval]) -> list[list[tuple[float, float, float]]]:
    """The intervals between the gaps."""
    runs: list[list[tuple[float, float, float]]] = [[]]
    for start, end, value in intervals:
        if value is None:
            runs.append([])
        else:
            runs[-1].append((start, end, value))
    return [run for run in runs if run]
