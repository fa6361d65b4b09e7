"""Random examples, groups of fields by kind, and sliders."""

from __future__ import annotations

from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from fastmar_web.forms.form import make_form
from fastmar_web.forms.random_example import has_random, random_texts
from fastmar_web.forms.values import from_post
from fastmar_web.presentation import Presentation
from tests.web.fake import PEOPLE, TOY, FakeClient, category, number, schema

DATE = {"type": ["string", "null"], "default": "2004-01-31", "x-fastmar": {"kind": "date"}}


def form(properties: Any, ui: Any = None) -> Any:
    described = schema("m", properties, ui=ui)
    return make_form(described, Presentation(described))


@given(st.integers(0, 10_000))
def test_random_values_are_valid_and_usual(seed: int) -> None:
    properties = {**PEOPLE, "gain": number(100.0, spread=500.0, minimum=0, maximum=300), "day": DATE}
    filled = from_post(form(properties), random_texts(form(properties), Random(seed)))
    assert not filled.problems
    assert not filled.remarks
    assert filled.record.keys() == properties.keys()
    assert filled.record["work-class"] in (" Private", " State-gov"), "no placeholder"
    assert 25 <= filled.record["age"] <= 52
    assert 0 <= filled.record["gain"] <= 300
    assert "2003-01" <= filled.record["day"] < "2005-03"


@pytest.mark.parametrize("placeholder", ["#na#", "Unknown", " n/a", "-"])
def test_a_placeholder_is_not_chosen(placeholder: str) -> None:
    made = form({"x": category(placeholder, "a", "b")})
    assert {random_texts(made, Random(seed))["x"] for seed in range(30)} == {"a", "b"}
    alone = form({"x": category(placeholder)})
    assert random_texts(alone, Random(0))["x"] == placeholder.strip()


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(0, 100))
def test_random_numbers_are_within_a_standard_deviation(mean: float, spread: float, seed: int) -> None:
    made = form({"x": number(mean, spread=spread)})
    value = from_post(made, random_texts(made, Random(seed))).record["x"]
    assert mean - spread * 1.01 <= value <= mean + spread * 1.01
    assert value >= 0 or mean < 0


@given(st.integers(0, 10_000))
def test_random_numbers_are_whole_or_short(seed: int) -> None:
    properties = {
        "built": number(2002, spread=4.5, minimum=1872, maximum=2010),
        "hour": number(12.342266082764, spread=6.917725, minimum=0, maximum=23.5),
    }
    record = from_post(form(properties), random_texts(form(properties), Random(seed))).record
    assert isinstance(record["built"], int)
    assert float(f"{record['hour']:.4g}") == record["hour"]


@pytest.mark.parametrize(
    ("default", "low", "high", "text"),
    [(2002, 1872, 2010, "2002"), (2002, 0, 9000, "2,002"), (2002.5, 1872, 2010, "2,002"), (38, 17, 90, "2,002")],
)
def test_only_a_year_has_no_thousands_separator(default: float, low: float, high: float, text: str) -> None:
    field = form({"x": number(default, minimum=low, maximum=high)}).fields["x"]
    assert field.number_text(2002) == text


def test_the_link_opens_the_form_with_random_values(web: FlaskClient, fake: FakeClient) -> None:
    page = web.get("/models/people").text
    assert "/models/people/random" in page
    assert "(each value is random)" in page
    seen = set()
    for _ in range(20):
        reply = web.get("/models/people/random")
        assert reply.status_code == 302
        link = urlsplit(reply.headers["Location"])
        assert link.path == "/models/people"
        seen.add(parse_qs(link.query)["native-country"][0])
    assert len(seen) > 5
    assert not fake.requests


def test_models_without_random_values_have_no_link(web: FlaskClient, fake: FakeClient) -> None:
    fake.schemas["notes"] = schema("notes", {"text": {"type": "string", "x-fastmar": {"kind": "text"}}})
    assert "/random" not in web.get("/models/notes").text
    for name in ("notes", "fruit"):
        assert urlsplit(web.get(f"/models/{name}/random").headers["Location"]).path == f"/models/{name}"


def groups(made: Any) -> list[tuple[str, list[str]]]:
    return [(group.title, [each.name for each in group.fields]) for group in made.groups]


def test_fields_are_grouped_by_kind_if_nothing_is_configured() -> None:
    properties = {
        "a": number(1),
        "b": category("x", "y"),
        "day": DATE,
        "c": number(2),
        "d": category(1, 2),
        "e": number(3),
    }
    assert groups(form(properties)) == [("Categories", ["b", "d"]), ("Numbers", ["a", "c", "e"]), ("Dates", ["day"])]
    assert form(properties).groups[1].is_numbers
    arranged = form(properties, {"order": ["c"]})
    assert groups(arranged) == [("", ["c", "a", "b", "day", "d", "e"])]


@pytest.mark.parametrize("properties", [{"a": number(1), "b": category("x")}, {f"n{at}": number(1) for at in range(9)}])
def test_short_forms_and_those_of_one_kind_have_no_titles(properties: Any) -> None:
    assert groups(form(properties)) == [("", [*properties])]


def test_forms_of_unknown_kinds_keep_their_order() -> None:
    made = make_form(TOY, Presentation(TOY))
    assert groups(made) == [("", [*TOY["record"]["properties"]])]
    assert has_random(made)


def test_a_slider_has_the_configured_limits_or_the_reference_range() -> None:
    properties = {"a": number(5), "b": number(5, minimum=1, maximum=9), "c": number(5, minimum=3, maximum=3)}
    made = form(properties, {"fields": {"a": {"minimum": 0, "maximum": 10}}})
    assert [made.fields[name].slider for name in "abc"] == [(0, 10), (1, 9), None]


@pytest.mark.parametrize(
    ("properties", "text"),
    [
        ({"x": category(" Private", "b")}, "Private"),
        ({"x": number(38.44, spread=13)}, "38"),
        ({"x": {"type": "boolean", "default": True}}, "yes"),
        ({"x": {"type": "boolean"}}, "no"),
        ({"x": {"enum": ["en", "de"]}}, "en"),
        ({"x": {"enum": ["en", None]}}, "(no value)"),
        ({"x": {"type": "string"}}, ""),
    ],
)
def test_the_typical_text_of_a_field_is_what_the_form_shows(properties: Any, text: str) -> None:
    assert form(properties).fields["x"].typical_text == text
