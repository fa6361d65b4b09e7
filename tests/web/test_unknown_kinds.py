"""A model of a kind that the pages have never heard of: its JSON Schema makes the form, and its answer is readable."""

from __future__ import annotations

import io
import json
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient

from fastmar_web.forms import Form, make_form
from fastmar_web.presentation import Presentation
from fastmar_web.values import defaults, from_link, from_post, from_record
from tests.web.fake import HOSTILE, TOY, FakeClient
from tests.web.test_pages import JSON_WANTED

RECORD = {
    "text": "so good",
    "stars": 4,
    "weight": 1.5,
    "loud": True,
    "seen": False,
    "tongue": 7,
    "place": "south",
    "spans": [[1, 2]],
    "about": {"ü": "ß"},
}
SENT = {
    "text": "so good", "stars": "4", "weight": "1.5", "loud": "yes", "seen": "no", "tongue": "7", "place": "south",
    "spans": "[[1, 2]]", "about": '{"ü": "ß"}',
}  # fmt: skip


def form() -> Form:
    return make_form(TOY, Presentation(TOY))


def test_each_property_has_a_field_that_suits_its_type() -> None:
    fields = form().fields
    assert {name: field.widget for name, field in fields.items()} == {
        "text": "text", "stars": "number", "weight": "number", "loud": "checkbox", "seen": "select",
        "tongue": "select", "place": "select", "spans": "json", "about": "json",
    }  # fmt: skip
    stars = fields["stars"]
    assert (stars.least, stars.most, stars.step, stars.default) == ("1", "5", "1", "3")
    assert [fields[name].blank for name in ("seen", "tongue", "place")] == [True, False, True]
    assert fields["text"].help == "what somebody wrote"
    assert (fields["loud"].default, fields["tongue"].default, fields["spans"].default) == ("yes", "de", "[]")


def test_a_record_goes_through_a_link_and_the_form_unchanged() -> None:
    link = from_record(form(), RECORD)
    assert link == SENT
    assert from_post(form(), from_link(form(), link).texts).record == RECORD


def test_the_form_as_it_is_opened_is_a_record() -> None:
    filled = from_post(form(), defaults(form()).texts)
    assert not filled.problems
    assert filled.record == {
        "text": "", "stars": 3, "weight": None, "loud": True, "seen": None, "tongue": "de", "spans": []
    }  # fmt: skip


def test_a_checkbox_that_is_not_ticked_is_false() -> None:
    sent = {name: text for name, text in SENT.items() if name != "loud"}
    filled = from_post(form(), sent)
    assert (filled.record["loud"], filled.texts["loud"]) == (False, "")


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("stars", "2.5", "whole number"),
        ("stars", "many", "not a number"),
        ("stars", "9", "At most 5."),
        ("tongue", "", "Choose a value."),
        ("tongue", "fr", "not one of the values"),
        ("spans", "[1", "not JSON"),
        ("spans", "3", "JSON for an array"),
        ("spans", "[" * 100_000, "too many levels"),
        ("about", "[]", "JSON for an object"),
    ],
)
def test_what_does_not_suit_is_said_beside_the_field(name: str, text: str, problem: str) -> None:
    filled = from_post(form(), SENT | {name: text})
    assert list(filled.problems) == [name]
    assert problem in filled.problems[name]


def test_the_page_without_a_script(web: FlaskClient, toy: FakeClient) -> None:
    assert "9 values" in web.get("/").text
    page = web.get("/models/toy").text
    assert re.search(r'<input [^>]*name="loud" value="yes" type="checkbox" checked', page)
    assert re.search(r'<textarea [^>]*name="spans"[^>]*>\[\]<', page)
    assert "CSV file" not in page  # an array has no place in a cell
    asked = web.post("/models/toy", data=SENT)
    assert asked.status_code == 200
    assert toy.asked == [RECORD]
    text = unescape(asked.text)
    assert "Prediction: good" in text
    assert re.search(r"<dt>Score</dt>\s*<dd>0.1235</dd>", text)
    assert json.dumps([{"word": HOSTILE}], indent=2) in text
    assert HOSTILE not in asked.text
    table = web.get("/models/toy/table")
    assert table.status_code == 404
    assert "asked with a form, not with tables" in table.text


def test_what_a_script_gets(web: FlaskClient, toy: FakeClient) -> None:
    reply = web.post("/models/toy", data=SENT, headers=JSON_WANTED).get_json()
    assert (reply["sentence"], reply["failed"]) == ("Prediction: good", False)
    assert "<dt>Reasons</dt>" in reply["html"]
    assert {name: value for name, [value] in parse_qs(urlsplit(reply["link"]).query).items()} == SENT


@pytest.mark.parametrize(
    ("answer", "sentence", "rest"),
    [
        ({"prediction": {"a": [1]}}, 'Prediction: {"a": [1]}', ["Prediction"]),
        ({"prediction": [[1, 2], [3]]}, "Prediction: [[1, 2], [3]]", ["Prediction"]),
        ({"prediction": True, "probabilities": [0.1]}, "Prediction: yes", ["Probabilities"]),
        ({"vector": [0.5], "note": None}, "The model has answered.", ["Vector", "Note"]),
    ],
)
def test_answers_of_any_shape(web: FlaskClient, toy: FakeClient, answer: Any, sentence: str, rest: list[str]) -> None:
    toy.answers["toy"] = {**answer, "warnings": []}
    reply = web.post("/models/toy", data=SENT, headers=JSON_WANTED).get_json()
    assert reply["sentence"] == sentence
    assert re.findall(r"<dt>(.*)</dt>", reply["html"]) == rest


def test_a_table_of_flat_records(web: FlaskClient, toy: FakeClient) -> None:
    flat = {name: TOY["record"]["properties"][name] for name in ("text", "stars", "tongue", "place")}
    toy.schemas["toy"] = {**TOY, "record": {"properties": flat, "required": ["text", "tongue"]}}
    table = b"text,stars,tongue,place\nNA,4,en,\nb,,fr,north\nc,x,7,south\n"
    sent = web.post("/models/toy/table", data={"table": (io.BytesIO(table), "t.csv")})
    page = unescape(web.get(sent.location).text)
    assert "2 rows can't be scored" in page
    assert re.findall(r"<td>(\w+)</td><td>(\w+)</td><td>(Not [^<]+)</td>", page) == [
        ("tongue", "fr", "Not one of the values that the model takes."),
        ("stars", "x", "Not of a type that the model takes."),
    ]
