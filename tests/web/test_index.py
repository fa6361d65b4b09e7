"""The list of models: kind, state, versions and links of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from fastmar_client import RecordRefused
from fastmar_web import backend, model_pages
from tests.web.fake import FILMS, REVIEWS, TOY, FakeClient
from tests.web.html import code_of_error, codes, links


def cards(page: str) -> dict[str, str]:
    """The HTML of each card, by its title."""
    found = re.findall(r'<li class="card model.*?</li>', page, re.DOTALL)
    return {unescape(re.findall(r"<h2>(?:<a[^>]*>)?([^<]+)", card)[0]): card for card in found}


def state(card: str) -> str:
    return re.findall(r'data-state="(\w+)"', card)[0]


def test_each_kind_of_model_has_a_name_and_an_icon(web: FlaskClient, fake: FakeClient) -> None:
    fake.schemas = {"people": fake.schemas["people"], "fruit": fake.schemas["fruit"], "toy": TOY}
    writer = REVIEWS | {"generator": {"generate": {}}}
    fake.schemas |= {"reviews": REVIEWS, "films": FILMS, "writer": {**writer, "name": "writer"}}
    found = cards(web.get("/").text)
    kinds = {title: re.findall(r'about"><span>([^<]+)', card)[0] for title, card in found.items()}
    assert kinds == {
        "People": "Table",
        "Fruit": "Pictures",
        "Toy": "Toy",
        "Reviews": "Text",
        "Films": "Recommender",
        "Writer": "Language model",
    }
    icons = {re.findall(r'<path d="([^"]+)"', card)[0] for card in found.values()}
    assert len(icons) == len(found)


def test_a_card_links_to_the_pages_of_its_model(web: FlaskClient, fake: FakeClient) -> None:
    fake.versions = ["1.0", "2.0"]
    found = cards(web.get("/").text)
    assert links(found["People"]) == [
        "/models/people",
        "/models/people@1.0",
        "/models/people",
        "/models/people/table",
        "http://127.0.0.1:8080/predictions/people/docs",
    ]
    assert "/models/fruit/table" not in links(found["Fruit"])
    assert "2.0 (default)" in found["People"]


def test_a_server_with_a_key_has_no_link_to_its_page_of_the_api(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret")
    page = make_app(key_file=tmp_path / "key").test_client().get("/").text
    assert "/docs" not in page


def test_links_to_monitoring(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    app = make_app(monitor=tmp_path)
    try:
        found = cards(app.test_client().get("/").text)
    finally:
        app.extensions["fastmar_poller"].close()
    assert "/models/people/monitoring" in links(found["People"])


def test_the_date_of_the_export(web: FlaskClient, fake: FakeClient) -> None:
    fake.schemas["people"]["created"] = "2026-03-04T10:00:00+00:00"
    fake.schemas["fruit"]["created"] = "<b>"
    found = cards(web.get("/").text)
    assert "<dd>2026-03-04" in found["People"]
    assert "Exported" not in found["Fruit"]


def test_a_loading_model_keeps_its_title(web: FlaskClient, fake: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.schemas["people"]["ui"] = {"title": "Who earns what"}
    web.get("/")
    fake.loading = {"people", "streets"}
    fake.schemas["people"] = {}
    monkeypatch.setattr(backend, "SCHEMA_SECONDS", 0.0)
    found = cards(web.get("/").text)
    assert {title: state(card) for title, card in found.items()} == {
        "Fruit": "ready",
        "Who earns what": "starting",
        "Streets": "starting",
    }
    assert codes(found["Who earns what"]) == ["model_not_ready"]
    assert not links(found["Who earns what"])


def test_a_model_that_does_not_get_ready_is_failing(
    web: FlaskClient, fake: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(backend.time, "monotonic", lambda: now)
    fake.loading = {"people"}
    assert state(cards(web.get("/").text)["People"]) == "starting"
    now += model_pages.FAILING_AFTER + 61
    card = cards(web.get("/").text)["People"]
    assert (state(card), codes(card)) == ("failing", ["model_not_starting"])
    assert "Not ready for 3 minutes" in card
    fake.loading = set()
    assert state(cards(web.get("/").text)["People"]) == "ready"
    fake.loading = {"people"}
    assert state(cards(web.get("/").text)["People"]) == "starting"


def test_a_model_without_a_readable_schema_is_failing(web: FlaskClient, fake: FakeClient) -> None:
    fake.schemas["people"] = {"name": "people"}
    card = cards(web.get("/").text)["People"]
    assert (state(card), codes(card)) == ("failing", ["schema_missing"])


@pytest.mark.parametrize("error", ["down", "refused"])
def test_a_failing_server_says_what_to_do(web: FlaskClient, fake: FakeClient, error: str) -> None:
    fake.go_down()
    if error == "refused":
        fake.down = RecordRefused("no.", fix="no.", status=400)
    page: Any = web.get("/")
    assert page.status_code == (503 if error == "down" else 400)
    assert code_of_error(page.text) == ("model_server_unreachable" if error == "down" else "record_refused")
    assert ("fastmar serve" in page.text) is (error == "down")
