"""A model's schema as a form, and what is entered as a record."""

from __future__ import annotations

from typing import Any

import pytest

from fastmar_web.forms import Form, as_input, make_form
from fastmar_web.presentation import Presentation
from fastmar_web.values import defaults, from_link, from_post, from_record
from tests.web.fake import COUNTRIES, HOSTILE, PEOPLE, QUOTED, category, number, schema


def form_of(properties: Any, **more: Any) -> Form:
    made = schema("m", properties, **more)
    return make_form(made, Presentation(made))


def test_titles_come_from_names_and_white_space_is_for_the_model_alone() -> None:
    field = form_of(PEOPLE).fields["work-class"]
    assert (field.label, field.widget, field.searched) == ("Work class", "select", False)
    assert [(choice.key, choice.label, choice.value) for choice in field.choices] == [
        ("Private", "Private", " Private"),
        ("State-gov", "State-gov", " State-gov"),
        ("?", "?", " ?"),
    ]
    assert field.default == "Private"


def test_many_categories_are_searched_and_too_many_to_list_are_proposed() -> None:
    assert form_of(PEOPLE).fields["native-country"].searched
    field = form_of({"user": category("a", "b", count=5000)}).fields["user"]
    assert (field.widget, field.searched) == ("suggest", True)
    form = form_of({"user": category("a", "b", count=5000), "item": category(1, 2, count=5000)})
    assert from_post(form, {"user": "zoe", "item": "77"}).record == {"user": "zoe", "item": 77}


def test_categories_that_look_alike_keep_their_own_keys_and_types() -> None:
    form = form_of({"x": category(1, "1", " 1", 2.0, True, "", "yes")})
    field = form.fields["x"]
    keys = [choice.key for choice in field.choices]
    assert len(set(keys)) == len(keys)
    for choice in field.choices:
        sent = from_post(form, {"x": choice.key}).record["x"]
        assert (sent, type(sent)) == (choice.value, type(choice.value))
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
def test_a_mean_becomes_a_number_that_a_person_would_start_from(
    default: float, spread: float, shown: str, nudge: str
) -> None:
    field = form_of({"x": number(default, spread=spread)}).fields["x"]
    assert (field.default, field.nudge) == (shown, nudge)


def test_a_median_of_a_reference_table_is_shown_as_it_is_and_its_range_is_known() -> None:
    form = form_of({"x": number(37.5, minimum=17, maximum=90)})
    assert form.fields["x"].default == "37.5"
    filled = from_post(form, {"x": "120"})
    assert filled.record == {"x": 120}
    assert "17 to 90" in filled.remarks["x"][0]


@pytest.mark.parametrize(("text", "value"), [("38", 38), (" 38.5 ", 38.5), ("-1e3", -1000.0), ("007", 7)])
def test_numbers(text: str, value: float) -> None:
    filled = from_post(form_of({"x": number(1)}), {"x": text})
    assert filled.record == {"x": value}
    assert type(filled.record["x"]) is type(value)


@pytest.mark.parametrize("text", ["", "old", "nan", "inf", "1e999", "1,5", HOSTILE])
def test_what_is_no_number_is_said_beside_the_field(text: str) -> None:
    filled = from_post(form_of({"x": number(1)}), {"x": text})
    assert "x" in filled.problems
    assert filled.texts["x"] == text


def test_empty_is_null_where_the_model_fills_it() -> None:
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


def test_a_date_stands_for_its_parts() -> None:
    form = form_of(DATE, rules=RULES)
    assert [field.name for group in form.groups for field in group.fields] == ["saledate", "size"]
    assert form.fields["saledate"].widget == "datetime-local"  # since there is a part of the clock
    filled = from_post(form, {"saledate": "2020-01-31T08:30", "size": "M"})
    assert filled.record == {"saledate": "2020-01-31T08:30", "size": "M"}
    assert "saledate" in from_post(form, {"saledate": ""}).problems


def test_a_date_without_the_clock() -> None:
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
        ("2011-11-16T23:30:00+05:00", "2011-11-16", "2011-11-16T23:30"),  # the clock on the wall, as the model has it
        ("0987-01-02T03:04Z", "0987-01-02", "0987-01-02T03:04"),
        ("", None, None),
        ("26 January 2011", None, None),
        ("2011-02-30", None, None),
    ],
)
def test_dates_are_told_as_the_browsers_fields_read_them(text: str, day: str | None, moment: str | None) -> None:
    """Of `type=date` and `type=datetime-local` each stays blank for the other's text."""
    assert (as_input("date", text), as_input("datetime-local", text)) == (day, moment)


DAYS = {"day": {"type": ["string", "null"], "x-fastmar": {"kind": "date"}}, "saleYear": number(2019)}
DAY_RULES = {"allOf": [{"anyOf": [{"required": ["day"]}, {"required": ["saleYear"]}]}]}
MOMENT_RULES = {"allOf": [{"anyOf": [{"required": ["saledate"]}, {"required": ["saleYear", "saleHour"]}]}]}


def test_a_default_an_example_and_a_link_say_a_date_as_its_field_reads_it() -> None:
    moments = form_of(DATE, rules=MOMENT_RULES)  # its default is a day, as the exporter's own always is
    assert moments.fields["saledate"].default == "2019-04-14T00:00"
    assert from_record(moments, {"saledate": "2011-11-16"}) == {"saledate": "2011-11-16T00:00"}
    assert from_link(moments, {"saledate": "2011-11-16"}).texts["saledate"] == "2011-11-16T00:00"
    days = form_of(DAYS, rules=DAY_RULES, ui={"fields": {"day": {"default": "2004-01-31T08:30:00"}}})
    assert days.fields["day"].default == "2004-01-31"
    assert from_record(days, {"day": "2011-11-16T08:30:00"}) == {"day": "2011-11-16"}
    assert from_link(days, {"day": "2011-11-16T08:30:00"}).texts["day"] == "2011-11-16"
    assert from_record(days, {"day": None}) == {"day": ""}
    assert from_post(days, from_link(days, {"day": ""}).texts).record["day"] is None  # a link may leave it empty


def test_a_link_or_an_example_with_what_is_no_date_shows_the_default_and_says_so() -> None:
    form = form_of(DATE, rules=MOMENT_RULES)
    for link in ({"saledate": "26 January"}, from_record(form, {"saledate": "26 January"})):
        filled = from_link(form, link)
        assert filled.texts["saledate"] == "2019-04-14T00:00"
        assert filled.remarks["saledate"] == ["“26 January” is not a date; the default is shown."]


def test_a_default_that_is_no_date_is_left_out_and_is_not_hidden() -> None:
    told = {"default": "26 January", "hidden": True}
    [day] = form_of({"day": DAYS["day"]}, ui={"fields": {"day": told}}).fields.values()
    assert (day.default, day.hidden) == ("", False)
    [day] = form_of({"day": DAYS["day"]}, ui={"fields": {"day": told | {"default": "2004-01-31"}}}).fields.values()
    assert (day.default, day.hidden) == ("2004-01-31", True)


def test_links_say_what_a_form_says_and_the_form_reads_them() -> None:
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


def test_a_link_with_what_is_not_there_shows_the_default_and_says_so() -> None:
    form = form_of(PEOPLE)
    filled = from_link(form, {"work-class": HOSTILE, "unknown": "x"})
    assert filled.texts["work-class"] == defaults(form).texts["work-class"]
    assert "unknown" not in filled.texts
    assert HOSTILE in filled.remarks["work-class"][0]


def test_a_category_that_is_not_to_choose_is_refused() -> None:
    assert "work-class" in from_post(form_of(PEOPLE), {"work-class": "Astronaut"}).problems


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
        "work-class": {"choices": {" Private": "A company", "?": "Not told"}},
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
    assert (age.label, age.help, age.unit, age.default, age.least, age.most) == (
        "How old", "In full years", "years", "50", "17", "99"
    )  # fmt: skip
    assert [choice.label for choice in form.fields["work-class"].choices] == ["A company", "State-gov", "Not told"]
    filled = from_post(form, {"age": "100", "level": "3"})
    assert filled.problems["age"] == "At most 99."
    assert filled.record["level"] == 7  # hidden: the form has no say
    assert Presentation({"ui": UI}).examples() == [("Old", {"age": 80, "level": 11}), ("Example 2", {"age": 20})]


@pytest.mark.parametrize(
    "ui", [None, [], "x", {"fields": []}, {"groups": "x", "order": 3, "fields": {"age": "x"}}, {"labels": 1}]
)
def test_a_presentation_of_another_make_breaks_nothing(ui: Any) -> None:
    form = form_of(PEOPLE, ui=ui)
    assert len(form.fields) == len(PEOPLE)


def test_kinds_of_tomorrow_get_a_text_area_or_a_text_field() -> None:
    form = form_of({"review": {"type": "string", "x-fastmar": {"kind": "text"}}, "id": {"type": "string"}})
    assert [field.widget for field in form.fields.values()] == ["textarea", "text"]
    assert from_post(form, {"review": "So good\nagain", "id": "7"}).record == {"review": "So good\nagain", "id": "7"}
