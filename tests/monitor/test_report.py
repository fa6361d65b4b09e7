"""The report: one HTML file that loads nothing, escapes all, and stays small."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmar_monitor import plots
from fastmar_monitor.comparison import Comparer
from fastmar_monitor.drift import Drift
from fastmar_monitor.report import card, report
from fastmar_monitor.sources import Live
from fastmar_runtime.profiles.variables import CATEGORY, FIELD, NUMBER, Variable
from tests.browser import Chromium
from tests.monitor import samples

HOSTILE = "\x1b\u202e<script>alert('x')</script>\"' onload=x &amp;"
FIELDS, MAX_BYTES = 200, 600_000


def drift(columns: int = 4, rows: int = 1000, periods: int = 0, name: str = "x", value: str = "a") -> Drift:
    """The drift of made-up columns; the first one is shifted."""
    rng = np.random.default_rng(0)
    variables = [samples.number(f"{name}{at}") for at in range(columns // 2)]
    categories = Variable(f"{name}c", FIELD, CATEGORY, categories=(value, "b"), known=(value, "b"))
    variables += [replace(categories, name=f"{name}{at}") for at in range(columns // 2, columns)]

    def values(variable: Variable, number: int, shift: float) -> Any:
        if variable.kind == NUMBER:
            return rng.standard_normal(number) + shift * (variable is variables[0])
        return rng.choice([value, "b"], number).tolist()

    comparer = Comparer(samples.reference({each: values(each, 2000, 0) for each in variables}, chunks=2))
    days = [samples.profile({each: values(each, 300, at) for each in variables}) for at in range(periods)]
    live = samples.profile({each: values(each, rows, 1.0) for each in variables})
    starts = [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=at) for at in range(periods)]
    compared = tuple((start, comparer.compare(day)) for start, day in zip(starts, days, strict=True))
    return Drift(name, "1.0", comparer.compare(live), compared, Live(live, notices=(name,)))


class Tags(HTMLParser):
    """Elements and attributes, and whether the elements are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "input", "tr", "td", "th"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("periods", [0, 3])
def test_hostile_names_are_escaped(periods: int) -> None:
    html = report(drift(name=HOSTILE, value=HOSTILE, periods=periods))
    found = Tags(html)
    assert found.open == []
    assert "script" not in found.tags
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert found.text.count("<script>alert") > 4
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e]", html)


def test_a_card_without_a_verdict_has_the_reason_instead_of_figures() -> None:
    few = report(drift(rows=49))
    assert "too few records (49 of 200)" in few
    assert "<dt>PSI" not in few
    enough = report(drift())
    assert "<dt>PSI</dt>" in enough
    assert "<dt>PSI beyond chance</dt>" in enough


def test_a_hidden_field_has_no_plot() -> None:
    comparer = Comparer(
        samples.reference({samples.number("age"): np.zeros(2000), samples.number("city"): np.ones(2000)})
    )
    live = samples.profile({each: np.zeros(300) for each in comparer.reference.profile.variables})
    shown, hidden = (card(each) for each in comparer.compare(live, {"city": "hashed"}).fields)
    assert "<svg" in shown
    assert "<svg" not in hidden
    assert ">not compared</span> column, number: hashed<" in hidden


def test_it_loads_nothing() -> None:
    html = report(drift(periods=3))
    assert not re.search(r"https?:|//|url\(|@import|\bsrc=|href=", html)
    assert "default-src 'none'" in html


def test_many_bars_are_merged_without_losing_records() -> None:
    categories = tuple(range(90))
    variable = Variable("c", FIELD, CATEGORY, categories=categories, known=categories)
    rng = np.random.default_rng(0)
    columns = [{variable: rng.integers(0, 90, 3000).tolist()} for _ in range(2)]
    [each] = Comparer(samples.reference(columns[0])).compare(samples.profile(columns[1])).fields
    found = plots.bars(each)
    assert len(found) == plots.MAX_BARS
    assert sum(share for _, share, _ in found) == pytest.approx(1)
    assert sum(share for *_, share in found) == pytest.approx(1)


def test_gaps_of_a_timeline() -> None:
    assert plots.timeline([0.1, None, 0.2, 0.3], "t").count("L") == 1
    assert "<svg" in plots.timeline([None], "t")


def test_a_report_of_many_fields_is_small() -> None:
    html = report(drift(columns=FIELDS))
    assert html.count("<article") == FIELDS
    assert len(html.encode()) < MAX_BYTES


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(chromium: Chromium, tmp_path: Path, scheme: Any) -> None:
    """Offline, as wide as a phone."""
    path = tmp_path / "report.html"
    path.write_text(report(drift(periods=5, name="a_long_name_of_a_column_without_blanks_")), "utf-8")
    context = chromium.new_context(color_scheme=scheme, viewport={"width": 390, "height": 800}, offline=True)
    page = context.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(18, 19, 23)" if scheme == "dark" else "rgb(246, 246, 244)"
    )
    assert page.locator("article").count() == 4
    page.get_by_label("Only those that changed").check()
    assert page.locator("article:visible").count() == 1
    assert messages == []
    context.close()
