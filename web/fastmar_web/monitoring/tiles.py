"""The figures of a model's traffic, as they are shown: a number, a sentence and a plot each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from fastmar_web.monitoring.sparklines import sparkline
from fastmar_web.monitoring.traffic import PERIOD, READINGS, Figures, Traffic
from fastmar_web.presentation import format_number, format_percent

SPAN = PERIOD * (READINGS - 1)  # seconds of a plot
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure.

    Attributes:
        title: what it is.
        figure: the figure of the last minutes.
        total: the figure since the server's start.
        plot: the plot of the last minutes.
        scale: the largest value of the plot.
    """

    title: str
    figure: str
    total: str
    plot: Markup
    scale: str


def tiles(traffic: Traffic) -> list[Tile]:
    """The figures of a version: requests, errors, and time in the worker."""
    total, recent = traffic.total, traffic.recent
    rate = recent.requests / traffic.seconds if traffic.seconds else None
    return [
        _tile(
            "Requests",
            _optional(rate, _rate),
            f"{total.requests:,.0f} with {total.records:,.0f} records since the server's start",
            traffic,
            lambda figures, seconds: figures.requests / seconds,
            _rate,
        ),
        _tile(
            "Errors",
            _optional(recent.error_share, format_percent),
            f"{total.refused:,.0f} refused (4xx), {total.failed:,.0f} failed (5xx) since the server's start",
            traffic,
            lambda figures, _: figures.error_share,
            format_percent,
        ),
        _tile(
            "Time in the worker, 99th percentile",
            _optional(recent.slowest, format_seconds),
            f"Median {_optional(recent.median, format_seconds)}; since the server's start "
            f"{_optional(total.slowest, format_seconds)}, median {_optional(total.median, format_seconds)}",
            traffic,
            lambda figures, _: figures.slowest,
            format_seconds,
        ),
    ]


def format_seconds(seconds: float) -> str:
    """A duration with two significant digits."""
    return f"{seconds * 1000:.2g} ms" if seconds < 0.0995 else _milliseconds(seconds)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.1f} s"


def _tile(
    title: str,
    figure: str,
    total: str,
    traffic: Traffic,
    value: Callable[[Figures, float], float | None],
    text: Callable[[float], str],
) -> Tile:
    plotted = [
        (start, end, value(figures, start - end) if figures and start > end else None)
        for start, end, figures in traffic.intervals
        if start <= SPAN
    ]
    known = [each for *_, each in plotted if each is not None]
    scale = f"up to {text(max(known))}" if known else "no values yet"
    return Tile(title, figure, total, sparkline(plotted, SPAN, f"{title} in the last 15 minutes: {scale}"), scale)


def _rate(per_second: float) -> str:
    if per_second == 0 or per_second >= 1:
        return f"{format_number(round(per_second, 1))} per second"
    return f"{format_number(round(per_second * 60, 1))} per minute"


def _optional(value: float | None, text: Callable[[float], str]) -> str:
    return NOTHING if value is None else text(value)
