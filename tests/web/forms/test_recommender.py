"""The form of a collaborative filtering model: a rating, or a list of items."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.web.fake import FILMS, RECOMMENDED, SIMILAR, TITLES, FakeClient

NAME = "films"


@pytest.fixture
def films(fake: FakeClient) -> FakeClient:
    fake.schemas = {NAME: FILMS}
    fake.answers = {NAME: {"prediction": 4.0, "warnings": []}}
    return fake


@pytest.mark.parametrize(
    ("user", "title", "sent", "answer", "shown"),
    [
        ("1", "Alien", {"user": 1, "title": "Alien"}, {"prediction": 4.0, "warnings": []}, []),
        (
            "1",
            "",
            {"user": 1, "recommend": 10},
            RECOMMENDED,
            [TITLES[4], "4.5", TITLES[3], "4", TITLES[2], "3.5", TITLES[1], "3"],
        ),
        (
            "",
            "Alien",
            {"title": "Alien", "similar": 10},
            SIMILAR,
            [TITLES[1], "0.75", TITLES[2], "0.25", TITLES[3], "-0.25"],
        ),
    ],
)
def test_an_empty_field_requests_a_list(
    films: FakeClient, web: FlaskClient, user: str, title: str, sent: Any, answer: Any, shown: list[str]
) -> None:
    films.answers[NAME] = answer
    page = web.post(f"/models/{NAME}", data={"user": user, "title": title})
    assert page.status_code == 200
    assert films.requests[-1] == sent
    [chart] = re.findall(r'<table class="chart">(.*?)</table>', page.text, re.DOTALL) or [""]
    assert re.findall(r'<th scope="row">([^<]*)</th>\s*<td>([^<]*)</td>', chart) == list(
        zip(shown[::2], shown[1::2], strict=True)
    )


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (RECOMMENDED, f"The best: {TITLES[4]}"),
        (SIMILAR, f"Most similar: {TITLES[1]}"),
        (SIMILAR | {"similar": []}, "There are no more items."),
    ],
)
def test_the_sentence_names_the_first_item(films: FakeClient, web: FlaskClient, answer: Any, sentence: str) -> None:
    films.answers[NAME] = answer
    assert f'<p class="sentence">{sentence}</p>' in web.post(f"/models/{NAME}", data={"user": "1", "title": ""}).text


@pytest.mark.parametrize(
    ("missing", "sent"),
    [("similar", {"user": "", "title": "Alien"}), ("recommend", {"user": "1", "title": ""})],
)
def test_a_list_that_the_model_lacks_is_not_requested(
    films: FakeClient, web: FlaskClient, missing: str, sent: dict[str, str]
) -> None:
    lists = {name: value for name, value in FILMS["recommender"].items() if name != missing}
    films.schemas[NAME] = {**FILMS, "recommender": lists}
    assert web.get(f"/models/{NAME}").text.count("Leave it empty") == 1
    web.post(f"/models/{NAME}", data=sent)
    assert {*films.requests[-1]} == {"user", "title"}
