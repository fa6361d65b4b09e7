"""What a person enters, or opens by a link: numbers with other characters, and values that the form refuses."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from fastmar_web.forms.form import Form, make_form
from fastmar_web.forms.values import defaults, from_link, from_post
from fastmar_web.presentation import Presentation
from tests.web.conftest import problems
from tests.web.fake import FakeClient, category, number, schema
from tests.web.html import codes

expect: Any = getattr(pytest.importorskip("playwright.sync_api"), "expect")  # noqa: B009 - mypy needs no stubs

DATE = {"type": ["string", "null"], "default": "2004-01-31", "x-fastmar": {"kind": "date"}}
FIELDS = {
    "Month": number(6, minimum=1, maximum=12),
    "Hour": number(12),
    "Weekday": category(0, 1, 2, 3, 4, 5, 6),
    "land": category("Peru", "Togo"),
    "sold": DATE,
    "new": {"type": "boolean", "default": True},
}
UI = {"fields": {"Hour": {"minimum": 0, "maximum": 23}}}


def form() -> Form:
    made = schema("m", FIELDS, ui=UI)
    return make_form(made, Presentation(made))


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("Month", "July", "without letters or commas. Month is a number, usually from 1 to 12."),
        ("Month", "1,000", "without letters or commas."),
        ("Hour", "noon", "Hour is a number from 0 to 23."),
        ("Weekday", "Monday", "Weekday is a number from 0 to 6."),
    ],
)
def test_a_text_in_place_of_a_number_gets_a_hint(name: str, text: str, hint: str) -> None:
    problem = from_post(form(), {**defaults(form()).texts, name: text}).problems[name]
    assert text in problem.text
    assert hint in problem.text


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("Month", "July", "not_a_number"),
        ("Hour", "25", "above_maximum"),
        ("land", "Atlantis", "not_a_choice"),
        ("sold", "26 January", "not_a_date"),
        ("new", "maybe", "not_yes_or_no"),
    ],
)
def test_a_value_of_a_link_that_the_form_refuses_is_named(name: str, text: str, code: str) -> None:
    filled = from_link(form(), {name: text})
    assert filled.texts == defaults(form()).texts
    assert {each: message.code for each, message in filled.not_taken.items()} == {name: code}
    assert f"“{text}”" in filled.not_taken[name].text


def test_values_of_a_link_that_the_form_accepts_are_shown() -> None:
    sent = {"Month": "7", "Hour": "", "Weekday": "3", "land": " Togo", "sold": "2005-02-01", "new": ""}
    filled = from_link(form(), sent)
    assert not filled.not_taken
    assert filled.texts == {**sent, "land": "Togo"}


def test_names_of_a_link_that_the_form_lacks_are_listed() -> None:
    described = schema("people", FIELDS, ui={**UI, "fields": {**UI.get("fields", {}), "new": {"hidden": True}}})
    found = from_link(
        make_form(described, Presentation(described)), {"Hour": "3", "hour": "4", "new": "", "x" * 99: ""}
    )
    assert found.unknown == ["hour", "new", f"{'x' * 57}..."]
    assert found.texts["Hour"] == "3"


@pytest.fixture
def sales(fake: FakeClient) -> FakeClient:
    fake.schemas["people"] = schema("people", FIELDS, ui=UI)
    return fake


def test_the_page_lists_what_was_not_taken_from_a_link(page: Any, address: str, sales: FakeClient, axe: str) -> None:
    page.goto(f"{address}/models/people?Month=July&Hour=25&land=Togo")
    notice = page.locator("[data-not-taken]")
    expect(notice.locator("li")).to_have_count(2)
    expect(notice).to_contain_text("Hour: “25” is not possible. The maximum is 23.")
    expect(page.get_by_label("Month")).to_have_value("6")
    expect(page.get_by_label("Land")).to_have_value("Togo")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer .sentence")).to_be_visible()
    expect(notice).to_be_visible()
    assert problems(page, axe) == []


def test_the_page_names_unknown_fields_of_a_link(page: Any, address: str, sales: FakeClient, axe: str) -> None:
    page.goto(f"{address}/models/people?Month=7&foo=1&%3Cb%3E=2")
    notice = page.locator("[data-code=unknown_fields]")
    expect(notice).to_have_text(
        "The form has no fields foo, <b>, which the link has. The answer does not depend on them."
    )
    expect(page.get_by_label("Month")).to_have_value("7")
    assert problems(page, axe) == []


def test_a_link_without_problems_has_no_notice(web: FlaskClient, sales: FakeClient) -> None:
    page = web.get("/models/people?Month=7").text
    assert "data-not-taken" not in page
    assert "unknown_fields" not in codes(page)
    assert "not_a_number" in codes(web.get("/models/people?Month=x").text)


def test_letters_in_a_number_stay_and_get_a_message(page: Any, address: str, sales: FakeClient, axe: str) -> None:
    page.goto(f"{address}/models/people")
    field, message = page.get_by_label("Hour"), page.locator("[data-code=not_a_number]")
    field.fill("")
    field.press_sequentially("1x")
    expect(field).to_have_value("1x")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(message).to_have_text(
        "This is not a number. Enter digits, without letters or commas. Hour is a number from 0 to 23."
    )
    expect(page.locator("#announcer")).to_have_text(message.inner_text())
    assert message.locator("..").get_attribute("id") in field.get_attribute("aria-describedby")
    assert problems(page, axe) == []
    field.press("Backspace")
    expect(message).to_have_count(0)
    field.press_sequentially("e")  # may be the beginning of 1e3
    expect(message).to_have_count(0)
    field.press("Tab")
    expect(message).to_be_visible()
    page.get_by_role("button", name="Predict").click()
    expect(field).to_be_focused()
    assert not sales.requests
    field.fill("-1")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("[data-code=below_minimum]")).to_be_visible()
    field.fill("13")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer .sentence")).to_be_visible()
    assert sales.requests[0]["Hour"] == 13
