"""The form of a model of collaborative filtering: a rating, or a list of items."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.web.fake import FakeClient, category, schema

NAME = "films"
RECOMMENDED = {
    "user": 1,
    "recommendations": [{"item": "Alien", "prediction": 4.5}, {"item": "Brazil", "prediction": 3.0}],
    "warnings": [],
}
SIMILAR = {"item": "Alien", "similar": [{"item": "Brazil", "similarity": 0.75}], "warnings": []}


@pytest.fixture
def films(fake: FakeClient) -> FakeClient:
    lists = {"user": "user", "item": "title", "recommend": {}, "similar": {}}
    described = schema(NAME, {"user": category(1, 2), "title": category("Alien", "Brazil")})
    fake.schemas = {NAME: {**described, "recommender": lists}}
    fake.answers = {NAME: {"prediction": 4.0, "warnings": []}}
    return fake


@pytest.mark.parametrize(
    ("user", "title", "sent", "answer", "shown"),
    [
        ("1", "Alien", {"user": 1, "title": "Alien"}, {"prediction": 4.0, "warnings": []}, []),
        ("1", "", {"user": 1, "recommend": 10}, RECOMMENDED, ["Alien", "4.5", "Brazil", "3"]),
        ("", "Alien", {"title": "Alien", "similar": 10}, SIMILAR, ["Brazil", "0.75"]),
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
