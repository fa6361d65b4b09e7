"""A kind of model, or a view of models, is added by one registration: the app, the list and the tabs follow."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from fastmar_web import page_types, views
from fastmar_web.backend import Backend
from fastmar_web.forms.page import FormPage
from fastmar_web.settings import Settings
from tests.web.fake import FakeClient
from tests.web.html import links

ICON = "M1 2h3"


class SoundPage(FormPage):
    """The page of a kind that the web app does not have."""

    view_name = "Sounds"

    def show(self) -> str:
        """See `Page`."""
        return f"<p>Record a sound for {self.name}"


def test_a_registered_kind(web: FlaskClient, fake: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(page_types.KINDS, "sound", page_types.Kind("Sound", SoundPage, ICON))
    fake.schemas["people"]["kind"] = "sound"
    assert web.get("/models/people").text == "<p>Record a sound for people"
    [card] = [part for part in web.get("/").text.split("<li ") if "People" in part]
    assert "<span>Sound</span>" in card
    assert f'<path d="{ICON}"' in card
    assert re.findall(r'href="/models/people">Sounds<', card)


def test_a_registered_view(make_app: Callable[..., Flask], fake: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def register(app: Flask, backend: Backend, settings: Settings) -> None:
        app.add_url_rule("/models/<reference>/notes", "notes", lambda reference: f"Notes on {reference}")

    view = views.View(lambda _: "Notes", register, ("notes",), lambda schema: schema["name"] == "people")
    monkeypatch.setattr(views, "VIEWS", (*views.VIEWS, view))
    web = make_app().test_client()
    assert web.get("/models/people/notes").text == "Notes on people"
    assert "/models/people/notes" in links(web.get("/").text)
    assert "/models/people/notes" in links(web.get("/models/people").text)
    assert "/models/fruit/notes" not in links(web.get("/").text)
    assert "/models/fruit/notes" not in links(web.get("/models/fruit").text)


def test_the_current_view(web: FlaskClient) -> None:
    for address, title in (("/models/people", "Form"), ("/models/people/table", "Table")):
        [current] = re.findall(r'aria-current="page">([^<]+)<', web.get(address).text)
        assert current == title
    assert "Views" not in web.get("/models/fruit").text  # pictures are its only view
