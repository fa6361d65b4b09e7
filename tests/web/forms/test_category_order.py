"""The order of categories in a form."""

from __future__ import annotations

import calendar
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_web.forms.category_order import in_order
from fastmar_web.forms.form import make_form
from fastmar_web.forms.what_if import what_if
from fastmar_web.presentation import Presentation
from tests.web.fake import answer, category, schema

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = [*calendar.month_abbr][1:]


@pytest.mark.parametrize(
    "expected",
    [
        DAYS,
        [day[:3] for day in DAYS],
        [f" {day.lower()}" for day in DAYS],
        [*DAYS[:3], "?"],
        ["Low", "High", "Not available"],
        MONTHS,
        ["Jan.", "Sept.", "Oct."],
        ["Low", "Medium", "High"],
        ["9", "10", "11.5", "#na#"],
        ["May", "Monday", "Sunny"],  # of no sequence
        ["Mo", "Tu"],
        [1, 2, 10],
        [False, True],
        [],
    ],
)
def test_sorted_categories_get_the_order_that_people_expect(expected: list[Any]) -> None:
    assert in_order(sorted(expected)) == expected


@pytest.mark.parametrize("own", [["high", "medium", "low"], ["Sunday", "Monday", "Friday"], ["2", "10", "1"], ["b", 3]])
def test_the_own_order_of_categories_is_kept(own: list[Any]) -> None:
    """Those of an ordered pandas column are not sorted."""
    assert in_order(own) == own


@given(st.lists(st.one_of(st.text(max_size=4), st.integers(), st.none(), st.booleans(), st.floats()), max_size=6))
def test_no_category_is_lost(categories: list[Any]) -> None:
    found = in_order(categories)
    assert sorted(map(repr, found)) == sorted(map(repr, categories))


def test_the_bars_of_what_if_have_the_order_of_the_form() -> None:
    described = schema("m", {"day": category(*sorted(DAYS))})
    curve = [{"value": day, "outcome": 0.5} for day in sorted(DAYS)]
    column = {"column": "day", "sent": "Monday", "typical": "Monday", "effect": 0.0, "curve": curve}
    explanation = {"answer": answer(), "outcome": ">=50k", "value": 0.5, "columns": [column]}
    texts = Presentation(described)
    found = what_if(explanation, make_form(described, texts), texts)
    assert found is not None
    assert [bar.text.split(":")[0] for bar in found.rows[0].bars] == DAYS


def test_the_form_has_this_order() -> None:
    shuffled = sorted(DAYS)
    Random(1).shuffle(shuffled)
    described = schema("m", {"day": category(*sorted(DAYS)), "other": category(*shuffled)})
    fields = make_form(described, Presentation(described)).fields
    assert [choice.label for choice in fields["day"].choices] == DAYS
    assert [choice.label for choice in fields["other"].choices] == shuffled
