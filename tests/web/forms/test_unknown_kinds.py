"""Models of a kind that the web app does not know: forms come from the JSON Schema, and all answers are shown."""

from __future__ import annotations

import io
import json
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient

from fastmar_web.forms.form import Form, make_form
from fastmar_web.forms.values import defaults, from_link, from_post, from_record
from fastmar_web.presentation import Presentation
from tests.web.fake import HOSTILE, TOY, FakeClient
from tests.web.html import code_of_error, findings
from tests.web.test_pages import ACCEPT_JSON

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


def test_widgets_follow_the_types_of_properties() -> None:
    fields = form().fields
    assert {name: field.widget for name, field in fields.items()} == {
        "text": "text", "stars": "number", "weight": "number", "loud": "checkbox", "seen": "select",
        "tongue": "select", "place": "select", "spans": "json", "about": "json",
    }  # fmt: skip
    stars = fields["stars"]
    assert (stars.minimum, stars.maximum, stars.step, stars.default) == ("1", "5", "1", "3")
    assert [fields[name].has_blank for name in ("seen", "tongue", "place")] == [True, False, True]
    assert fields["text"].help == "the text of the review"
    assert (fields["loud"].default, fields["tongue"].default, fields["spans"].default) == ("yes", "de", "[]")


def test_a_record_goes_through_a_link_and_the_form_unchanged() -> None:
    link = from_record(form(), RECORD)
    assert link == SENT
    assert from_post(form(), from_link(form(), link).texts).record == RECORD


def test_the_defaults_are_a_valid_record() -> None:
    filled = from_post(form(), defaults(form()).texts)
    assert not filled.problems
    assert filled.record == {
        "text": "", "stars": 3, "weight": None, "loud": True, "seen": None, "tongue": "de", "spans": []
    }  # fmt: skip


def test_a_cleared_checkbox_is_false() -> None:
    sent = {name: text for name, text in SENT.items() if name != "loud"}
    filled = from_post(form(), sent)
    assert (filled.record["loud"], filled.texts["loud"]) == (False, "")


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("stars", "2.5", "not_an_integer"),
        ("stars", "many", "not_a_number"),
        ("stars", "9", "above_maximum"),
        ("tongue", "", "value_missing"),
        ("tongue", "fr", "not_a_choice"),
        ("spans", "[1", "not_json"),
        ("spans", "3", "wrong_json_type"),
        ("spans", "[" * 100_000, "json_too_deep"),
        ("about", "[]", "wrong_json_type"),
    ],
)
def test_invalid_values_are_problems(name: str, text: str, code: str) -> None:
    filled = from_post(form(), SENT | {name: text})
    assert {field: problem.code for field, problem in filled.problems.items()} == {name: code}


def test_the_page_without_a_script(web: FlaskClient, toy: FakeClient) -> None:
    assert "9 values" in web.get("/").text
    page = web.get("/models/toy").text
    assert re.search(r'<input [^>]*name="loud" value="yes" type="checkbox" checked', page)
    assert re.search(r'<textarea [^>]*name="spans"[^>]*>\[\]<', page)
    assert ">Table<" not in page  # arrays do not fit in a CSV cell
    response = web.post("/models/toy", data=SENT)
    assert response.status_code == 200
    assert toy.requests == [RECORD]
    text = unescape(response.text)
    assert "Prediction: good" in text
    assert re.search(r"<dt>Score</dt>\s*<dd>0.1235</dd>", text)
    assert json.dumps([{"word": HOSTILE}], indent=2) in text
    assert HOSTILE not in response.text
    table = web.get("/models/toy/table")
    assert (table.status_code, code_of_error(table.text)) == (404, "tables_not_supported")


def test_the_reply_to_a_script(web: FlaskClient, toy: FakeClient) -> None:
    reply = web.post("/models/toy", data=SENT, headers=ACCEPT_JSON).get_json()
    assert (reply["sentence"], reply["failed"]) == ("Prediction: good", False)
    assert "<dt>Reasons</dt>" in reply["html"]
    assert {name: value for name, [value] in parse_qs(urlsplit(reply["link"]).query).items()} == SENT


@pytest.mark.parametrize(
    ("answer", "sentence", "rest"),
    [
        ({"prediction": {"a": [1]}}, 'Prediction: {"a": [1]}', ["Prediction"]),
        ({"prediction": [[1, 2], [3]]}, "Prediction: [[1, 2], [3]]", ["Prediction"]),
        ({"prediction": True, "probabilities": [0.1]}, "Prediction: yes", ["Probabilities"]),
        ({"vector": [0.5], "note": None}, "The model answered.", ["Vector", "Note"]),
    ],
)
def test_answers_of_any_shape(web: FlaskClient, toy: FakeClient, answer: Any, sentence: str, rest: list[str]) -> None:
    toy.answers["toy"] = {**answer, "warnings": []}
    reply = web.post("/models/toy", data=SENT, headers=ACCEPT_JSON).get_json()
    assert reply["sentence"] == sentence
    assert re.findall(r"<dt>(.*)</dt>", reply["html"]) == rest


def test_a_table_of_flat_records(web: FlaskClient, toy: FakeClient) -> None:
    flat = {name: TOY["record"]["properties"][name] for name in ("text", "stars", "tongue", "place")}
    toy.schemas["toy"] = {**TOY, "record": {"properties": flat, "required": ["text", "tongue"]}}
    table = b"text,stars,tongue,place\nNA,4,en,\nb,,fr,north\nc,x,7,south\n"
    response = web.post("/models/toy/table", data={"table": (io.BytesIO(table), "t.csv")})
    page = unescape(web.get(response.location).text)
    assert findings(page) == {"error_rows": 2}
    pattern = r'<tr class="bad" data-code="(\w+)"><th scope="row">\d+</th><td>(\w+)</td><td>(\w+)</td>'
    assert re.findall(pattern, page) == [("bad_option", "tongue", "fr"), ("wrong_type", "stars", "x")]
