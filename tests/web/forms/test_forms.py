"""Forms made from schemas, and records made from forms."""

from __future__ import annotations

from typing import Any

import pytest

from fastmar_web.forms.dates import date_input_value
from fastmar_web.forms.form import Form, make_form
from fastmar_web.forms.page import FormPage
from fastmar_web.forms.values import defaults, from_link, from_post, from_record
from fastmar_web.presentation import Presentation
from tests.web.fake import COUNTRIES, HOSTILE, PEOPLE, QUOTED, category, number, schema


def form_of(properties: Any, **more: Any) -> Form:
    made = schema("m", properties, **more)
    return make_form(made, Presentation(made))


def test_labels_come_from_names_and_white_space_is_hidden() -> None:
    field = form_of(PEOPLE).fields["work-class"]
    assert (field.label, field.widget, field.is_searchable) == ("Work class", "select", False)
    assert [(choice.key, choice.label, choice.value) for choice in field.choices] == [
        ("Private", "Private", " Private"),
        ("State-gov", "State-gov", " State-gov"),
        ("?", "?", " ?"),
    ]
    assert field.default == "Private"


def test_long_lists_of_categories_are_searchable_and_incomplete_ones_are_suggestions() -> None:
    assert form_of(PEOPLE).fields["native-country"].is_searchable
    field = form_of({"user": category("a", "b", count=5000)}).fields["user"]
    assert (field.widget, field.is_searchable) == ("suggest", True)
    form = form_of({"user": category("a", "b", count=5000), "item": category(1, 2, count=5000)})
    assert from_post(form, {"user": "zoe", "item": "77"}).record == {"user": "zoe", "item": 77}


def test_similar_categories_have_unique_keys_and_keep_their_types() -> None:
    form = form_of({"x": category(1, "1", " 1", 2.0, True, "", "yes")})
    field = form.fields["x"]
    keys = [choice.key for choice in field.choices]
    assert len(set(keys)) == len(keys)
    for choice in field.choices:
        value = from_post(form, {"x": choice.key}).record["x"]
        assert (value, type(value)) == (choice.value, type(choice.value))
    assert from_post(form, {"x": ""}).record == {"x": None}


@pytest.mark.parametrize(
    ("default", "spread", "shown", "nudge"),
    [
        (38.44, 13.1, "38", "1"),
        (180600.0, 104692.9, "180000", "10000"),
        (74.91, 364.6, "70", "10"),
        (0.12345, 0.05, "0.123", "0.001"),
        (10.0, 2.48, "10", "0.1"),
        (-3.0, 0, "-3", "1"),
    ],
)
def test_a_mean_is_rounded_for_the_default(default: float, spread: float, shown: str, nudge: str) -> None:
    field = form_of({"x": number(default, spread=spread)}).fields["x"]
    assert (field.default, field.arrow_step) == (shown, nudge)


def test_a_reference_table_gives_the_exact_default_and_a_range() -> None:
    form = form_of({"x": number(37.5, minimum=17, maximum=90)})
    assert form.fields["x"].default == "37.5"
    filled = from_post(form, {"x": "120"})
    assert filled.record == {"x": 120}
    [remark] = filled.remarks["x"]
    assert remark.code == "outside_range"
    assert "17 to 90" in remark.text


@pytest.mark.parametrize(
    ("value", "code"),
    [("17", None), ("90", None), ("16.9", "outside_range"), ("162", "outside_range"), ("-57", "far_outside_range"),
     ("164", "far_outside_range"), ("", None)],
)  # fmt: skip
def test_remarks_at_numbers_outside_the_reference_data(value: str, code: str | None) -> None:
    form = form_of({"x": number(37.5, nullable=True, minimum=17, maximum=90)}, ui={"fields": {"x": {"unit": "years"}}})
    found = from_post(form, {"x": value}).remarks.get("x", [])
    assert [remark.code for remark in found] == ([code] if code else [])
    assert all("17 to 90 years" in remark.text for remark in found)


@pytest.mark.parametrize(
    ("value", "code"), [("98", None), ("-22", None), ("99", "far_from_typical"), ("-22.5", "far_from_typical")]
)
def test_a_number_far_from_the_typical_value_gets_a_remark(value: str, code: str | None) -> None:
    form = form_of({"x": number(38, spread=10)}, ui={"fields": {"x": {"default": 70}}})
    found = from_post(form, {"x": value}).remarks.get("x", [])
    assert [remark.code for remark in found] == ([code] if code else [])
    assert all("38 (most values: 18 to 58)" in remark.text for remark in found)


@pytest.mark.parametrize(("value", "most"), [("0.3", "0 to 0.06"), ("-0.3", "-0.06 to 0.06")])
def test_most_values_are_not_negative_if_the_typical_and_the_sent_value_are_not(value: str, most: str) -> None:
    [remark] = from_post(form_of({"rain": number(0, spread=0.03)}), {"rain": value}).remarks["rain"]
    assert f"(most values: {most})" in remark.text


@pytest.mark.parametrize(("text", "value"), [("38", 38), (" 38.5 ", 38.5), ("-1e3", -1000.0), ("007", 7)])
def test_numbers(text: str, value: float) -> None:
    filled = from_post(form_of({"x": number(1)}), {"x": text})
    assert filled.record == {"x": value}
    assert type(filled.record["x"]) is type(value)


@pytest.mark.parametrize("text", ["", "old", "nan", "inf", "1e999", "1,5", HOSTILE])
def test_texts_that_are_not_numbers_are_problems(text: str) -> None:
    filled = from_post(form_of({"x": number(1)}), {"x": text})
    assert filled.problems["x"].code == ("not_a_number" if text else "value_missing")
    assert filled.texts["x"] == text


def test_an_empty_number_is_null_if_the_model_fills_it() -> None:
    assert from_post(form_of({"x": number(1, nullable=True)}), {"x": " "}).record == {"x": None}


DATE = {
    "saledate": {"type": ["string"], "default": "2019-04-14", "x-fastmar": {"kind": "date"}},
    "saleYear": number(2019),
    "saleHour": number(3),
    "size": category("S", "M"),
}
RULES = {
    "allOf": [{"anyOf": [{"required": ["saledate"]}, {"required": ["sale"]}, {"required": ["saleYear", "saleHour"]}]}]
}


def test_the_number_of_values_excludes_columns_computed_from_a_date() -> None:
    assert FormPage.takes(schema("m", DATE)) == "4 values"
    text = FormPage.takes(schema("m", DATE, rules=RULES))
    assert text.startswith("2 values")  # saledate and size
    assert "2 more" in text  # saleYear and saleHour
    assert "saledate" in text
    assert FormPage.takes(schema("m", {"x": number(1)})) == "1 value"


def test_a_date_replaces_its_parts() -> None:
    form = form_of(DATE, rules=RULES)
    assert [field.name for group in form.groups for field in group.fields] == ["saledate", "size"]
    assert form.fields["saledate"].widget == "datetime-local"  # saleHour needs a time
    filled = from_post(form, {"saledate": "2020-01-31T08:30", "size": "M"})
    assert filled.record == {"saledate": "2020-01-31T08:30", "size": "M"}
    assert from_post(form, {"saledate": ""}).problems["saledate"].code == "value_missing"


def test_a_date_without_a_time() -> None:
    days = {name: each for name, each in DATE.items() if name != "saleHour"}
    rules = {"allOf": [{"anyOf": [{"required": ["saledate"]}, {"required": ["saleYear", "saleWeek"]}]}]}
    field = form_of(days, rules=rules).fields["saledate"]
    assert (field.widget, field.default) == ("date", "2019-04-14")


@pytest.mark.parametrize(
    ("text", "day", "moment"),
    [
        ("2011-01-26", "2011-01-26", "2011-01-26T00:00"),
        ("2011-11-16T08:30:00", "2011-11-16", "2011-11-16T08:30"),
        (" 2011-11-16 08:30:15.25 ", "2011-11-16", "2011-11-16T08:30:15"),
        ("2011-11-16T23:30:00+05:00", "2011-11-16", "2011-11-16T23:30"),  # the offset is dropped
        ("0987-01-02T03:04Z", "0987-01-02", "0987-01-02T03:04"),
        ("", None, None),
        ("26 January 2011", None, None),
        ("2011-02-30", None, None),
    ],
)
def test_dates_have_the_format_of_their_input(text: str, day: str | None, moment: str | None) -> None:
    """Inputs of `type=date` stay blank for times, inputs of `type=datetime-local` for dates."""
    assert (date_input_value("date", text), date_input_value("datetime-local", text)) == (day, moment)


DAYS = {"day": {"type": ["string", "null"], "x-fastmar": {"kind": "date"}}, "saleYear": number(2019)}
DAY_RULES = {"allOf": [{"anyOf": [{"required": ["day"]}, {"required": ["saleYear"]}]}]}
MOMENT_RULES = {"allOf": [{"anyOf": [{"required": ["saledate"]}, {"required": ["saleYear", "saleHour"]}]}]}


def test_dates_of_defaults_examples_and_links_have_the_format_of_their_input() -> None:
    moments = form_of(DATE, rules=MOMENT_RULES)  # its default is a date without a time, as in exported schemas
    assert moments.fields["saledate"].default == "2019-04-14T00:00"
    assert from_record(moments, {"saledate": "2011-11-16"}) == {"saledate": "2011-11-16T00:00"}
    assert from_link(moments, {"saledate": "2011-11-16"}).texts["saledate"] == "2011-11-16T00:00"
    days = form_of(DAYS, rules=DAY_RULES, ui={"fields": {"day": {"default": "2004-01-31T08:30:00"}}})
    assert days.fields["day"].default == "2004-01-31"
    assert from_record(days, {"day": "2011-11-16T08:30:00"}) == {"day": "2011-11-16"}
    assert from_link(days, {"day": "2011-11-16T08:30:00"}).texts["day"] == "2011-11-16"
    assert from_record(days, {"day": None}) == {"day": ""}
    assert from_post(days, from_link(days, {"day": ""}).texts).record["day"] is None  # a link may leave it empty


def test_an_invalid_date_in_a_link_is_replaced_by_the_default() -> None:
    form = form_of(DATE, rules=MOMENT_RULES)
    for link in ({"saledate": "26 January"}, from_record(form, {"saledate": "26 January"})):
        filled = from_link(form, link)
        assert filled.texts["saledate"] == "2019-04-14T00:00"
        remark = filled.not_taken["saledate"]
        assert remark.code == "not_a_date"
        assert "26 January" in remark.text


def test_an_invalid_default_date_is_empty_and_visible() -> None:
    options = {"default": "26 January", "hidden": True}
    [day] = form_of({"day": DAYS["day"]}, ui={"fields": {"day": options}}).fields.values()
    assert (day.default, day.hidden) == ("", False)
    [day] = form_of({"day": DAYS["day"]}, ui={"fields": {"day": options | {"default": "2004-01-31"}}}).fields.values()
    assert (day.default, day.hidden) == ("2004-01-31", True)


def test_a_record_survives_a_link() -> None:
    form = form_of(PEOPLE)
    record = {
        "work-class": " ?",
        "native-country": COUNTRIES[7],
        "level": 11,
        "member": True,
        "age": 51.5,
        "hours": None,
    }
    link = from_record(form, record)
    assert link == {
        "work-class": "?",
        "native-country": "Country-7",
        "level": "11",
        "member": "yes",
        "age": "51.5",
        "hours": "",
    }
    again = from_post(form, from_link(form, link).texts).record
    assert {name: again[name] for name in record} == record
    assert again[HOSTILE] == QUOTED


def test_an_unknown_category_in_a_link_is_replaced_by_the_default() -> None:
    form = form_of(PEOPLE)
    filled = from_link(form, {"work-class": HOSTILE, "unknown": "x"})
    assert filled.texts["work-class"] == defaults(form).texts["work-class"]
    assert "unknown" not in filled.texts
    remark = filled.not_taken["work-class"]
    assert remark.code == "not_a_choice"
    assert HOSTILE in remark.text


def test_an_unknown_category_of_a_select_box_is_a_problem() -> None:
    problems = from_post(form_of(PEOPLE), {"work-class": "Astronaut"}).problems
    assert problems["work-class"].code == "not_a_choice"


UI = {
    "title": "Who earns what",
    "order": ["age", "level"],
    "groups": [
        {"title": "Person", "fields": ["hours", "age", "age", "no such field"]},
        {"title": "Empty", "fields": []},
    ],
    "fields": {
        "age": {
            "label": "How old",
            "help": "In full years",
            "unit": "years",
            "default": 50,
            "minimum": 17,
            "maximum": 99,
        },
        "level": {"hidden": True, "default": 7},
        "work-class": {"choices": {" Private": "A company", "?": "Unknown"}},
    },
    "examples": [{"title": "Old", "record": {"age": 80, "level": 11}}, {"record": {"age": 20}}],
}


def test_presentation() -> None:
    form = form_of(PEOPLE, ui=UI)
    assert [(group.title, [field.name for field in group.fields]) for group in form.groups] == [
        ("Person", ["hours", "age"]),
        ("Other", ["work-class", "native-country", "member", HOSTILE]),
    ]
    age = form.fields["age"]
    assert (age.label, age.help, age.unit, age.default, age.minimum, age.maximum) == (
        "How old", "In full years", "years", "50", "17", "99"
    )  # fmt: skip
    assert [choice.label for choice in form.fields["work-class"].choices] == ["A company", "State-gov", "Unknown"]
    filled = from_post(form, {"age": "100", "level": "3"})
    assert filled.problems["age"].code == "above_maximum"
    assert filled.record["level"] == 7  # hidden: the sent value is ignored
    assert Presentation({"ui": UI}).examples() == [("Old", {"age": 80, "level": 11}), ("Example 2", {"age": 20})]


@pytest.mark.parametrize(
    "ui", [None, [], "x", {"fields": []}, {"groups": "x", "order": 3, "fields": {"age": "x"}}, {"labels": 1}]
)
def test_invalid_presentations_are_ignored(ui: Any) -> None:
    form = form_of(PEOPLE, ui=ui)
    assert len(form.fields) == len(PEOPLE)


def test_text_columns_get_a_text_area_and_strings_a_text_field() -> None:
    form = form_of({"review": {"type": "string", "x-fastmar": {"kind": "text"}}, "id": {"type": "string"}})
    assert [field.widget for field in form.fields.values()] == ["textarea", "text"]
    assert from_post(form, {"review": "So good\nagain", "id": "7"}).record == {"review": "So good\nagain", "id": "7"}
