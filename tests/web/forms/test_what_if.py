"""What if: the view of explanations, and the page with it, without scripts."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from fastmar_client import RecordRefused
from fastmar_runtime.schema import describe
from fastmar_runtime.spec import Field
from fastmar_web.forms.form import make_form
from fastmar_web.forms.what_if import SHOWN, WhatIf, what_if
from fastmar_web.presentation import Presentation
from tests.runtime import tiny
from tests.web.fake import HOSTILE, FakeClient

MODEL = tiny.predictor()
UI = {"unit": "dollars", "fields": {"workclass": {"choices": {"Private": "A company"}}, "vip": {"hidden": True}}}


def view(decode: Any = tiny.CATEGORY_DECODER, **changes: Any) -> WhatIf:
    model = tiny.predictor(decode=decode, ui=UI)
    schema = describe(model.spec)
    texts = Presentation(schema)
    [explanation] = model.predict([{**tiny.record(**changes), "explain": True}])
    found = what_if(explanation, make_form(schema, texts), texts)
    assert found is not None
    return found


@pytest.fixture
def explained(fake: FakeClient) -> FakeClient:
    """The fake server with a model that explains its answers."""
    fake.schemas = {"tiny": describe(MODEL.spec)}
    fake.answers = {"tiny": lambda record: MODEL.predict([record])[0]}
    return fake


def test_the_largest_effect_is_first_and_has_the_longest_bar() -> None:
    rows = view().rows
    assert rows[0].length == 100
    assert [row.length for row in rows] == sorted((row.length for row in rows), reverse=True)
    assert {row.label for row in rows} == {"Workclass", "Grade", "Age", "Hours"}, "a hidden field is left out"


def test_effects_are_points_of_a_probability_or_units_of_a_number() -> None:
    rows = {row.label: row for row in view(age=49).rows}
    assert re.fullmatch(r"[+-][\d.]+ points", rows["Age"].effect)
    assert rows["Workclass"].effect == "typical"
    rows = {row.label: row for row in view(tiny.ONE_NUMBER_DECODER, age=49).rows}
    assert re.fullmatch(r"[+-][\d.]+ dollars", rows["Age"].effect)
    assert rows["Age"].rises == rows["Age"].effect.startswith("+")


def test_small_effects_have_a_digit_and_short_bars() -> None:
    explanation = {
        "answer": {"prediction": "<50k", "probabilities": {"<50k": 0.5}},
        "outcome": "<50k",
        "value": 0.5,
        "columns": [
            {"column": "age", "sent": 49, "typical": 40.0, "effect": 0.003, "curve": [{"value": 1, "outcome": 0.5}]},
            {"column": "hours", "sent": 49, "typical": 38.0, "effect": -1e-9, "curve": [{"value": 1, "outcome": 0.5}]},
        ],
    }
    schema = describe(MODEL.spec)
    found = what_if(explanation, make_form(schema, Presentation(schema)), Presentation(schema))
    assert found is not None
    assert [(row.effect, row.length) for row in found.rows] == [("+0.3 points", 6.0), ("no effect", 0.0)]


def test_a_category_has_a_bar_for_each_known_value_with_its_display_name() -> None:
    [row] = [row for row in view().rows if row.label == "Workclass"]
    assert row.sent == "A company"
    assert [bar.chosen for bar in row.bars] == [True, False, False]
    assert row.bars[0].text.startswith("A company: ")
    assert sum(bar.width for bar in row.bars) <= 100
    assert all(0 <= bar.y < bar.y + bar.height <= 28.01 for bar in row.bars)


def test_a_number_has_a_curve_with_the_entered_value_on_it() -> None:
    [row] = [row for row in view(age=30).rows if row.label == "Age"]
    numbers = [float(number) for number in re.findall(r"[-\d.]+", row.path)]
    xs, ys = numbers[::2], numbers[1::2]
    assert (xs[0], xs[-1]) == (0, 100)
    assert xs == sorted(xs)
    assert all(0 <= y <= 28 for y in ys)
    assert row.now == 16.67  # of 25 to 55
    assert view(age=None).rows  # a missing number is on no curve
    assert [row.now for row in view(age=None).rows if row.label == "Age"] == [None]


def test_all_curves_have_the_same_scale() -> None:
    found = view()
    ys = [float(y) for row in found.rows for y in re.findall(r"[-\d.]+ ([-\d.]+)", row.path)]
    ys += [bar.y for row in found.rows for bar in row.bars]
    assert min(ys) == 2  # the highest outcome of all, below the margin


def test_the_page_without_scripts_has_the_answer_and_the_effects(explained: FakeClient, web: FlaskClient) -> None:
    sent = {"workclass": "Private", "grade": "7", "vip": "yes", "age": "49", "hours": "40"}
    page = web.post("/models/tiny", data=sent).text
    [answer] = MODEL.predict([{**tiny.record(age=49, hours=40)}])
    assert f'<span class="headline-label">{html.escape(answer["prediction"])}</span>' in page
    assert page.count('class="effect-row"') == 5
    assert ["explain" in request for request in explained.requests] == [False, True], "a prediction is counted"


def test_a_live_request_is_one_request(explained: FakeClient, web: FlaskClient) -> None:
    sent = {"workclass": "Private", "grade": "7", "vip": "yes", "age": "49", "hours": "40"}
    reply = web.post("/models/tiny", data=sent, headers={"Accept": "application/json", "X-Fastmar-Live": "yes"}).json
    assert reply["sentence"]
    assert reply["whatIf"].count('class="effect-row"') == 5
    assert [request.get("explain") for request in explained.requests] == [True]


def test_an_answer_without_an_explanation_is_shown(explained: FakeClient, web: FlaskClient) -> None:
    def answer(record: Any) -> Any:
        return RecordRefused("no.", fix="none.", status=413) if "explain" in record else MODEL.predict([record])[0]

    explained.answers["tiny"] = answer
    sent = {"workclass": "Private", "grade": "7", "vip": "yes", "age": "49", "hours": "40"}
    reply = web.post("/models/tiny", data=sent)
    assert reply.status_code == 200
    assert 'class="headline-label"' in reply.text
    assert 'class="effect-row"' not in reply.text


def test_only_some_fields_are_shown_at_once(fake: FakeClient, web: FlaskClient) -> None:
    fields = [Field(f"n{at}", "number", default=1.0, spread=1.0) for at in range(SHOWN + 3)]
    fake.schemas = {"wide": describe(tiny.spec(fields=tuple(fields), name="wide"))}
    columns = [
        {"column": each.name, "sent": 1, "typical": 1, "effect": 0.0, "curve": [{"value": 1, "outcome": 0.5}]}
        for each in fields
    ]
    shown = {"prediction": "<50k", "probabilities": {"<50k": 0.5, ">=50k": 0.5}}
    explanation = {"answer": shown, "outcome": "<50k", "value": 0.5, "columns": columns, "warnings": []}
    fake.answers = {"wide": lambda record: explanation if "explain" in record else {**shown, "warnings": []}}
    page = web.post("/models/wide", data={each.name: "1" for each in fields}).text
    before, after = page.split('<details class="more-effects">')
    assert before.count('class="effect-row"') == SHOWN
    assert after.count('class="effect-row"') == 3


def test_hostile_categories_are_escaped(explained: FakeClient, web: FlaskClient) -> None:
    explained.schemas["tiny"]["record"]["properties"]["workclass"]["x-fastmar"]["categories"][0] = HOSTILE
    page = web.post(
        "/models/tiny", data={"workclass": HOSTILE, "grade": "7", "vip": "", "age": "49", "hours": "4"}
    ).text
    assert "<script>alert" not in page


def test_a_refused_record_has_no_effects(explained: FakeClient, web: FlaskClient) -> None:
    page = web.post("/models/tiny", data={"workclass": "Private", "grade": "7", "age": "x", "hours": ""}).text
    assert 'class="effect-row"' not in page
    assert not explained.requests
