"""Requests that the web app refuses, its headers, and hostile names, which must stay text."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from fastmar_client import Unauthorized
from fastmar_client.keys import KeyFile
from fastmar_web.backend import Backend
from fastmar_web.errors import WebError
from fastmar_web.security import HEADERS, is_own_host
from fastmar_web.settings import Settings, check_key_file
from tests.web.conftest import listening
from tests.web.fake import HOSTILE, QUOTED, FakeClient, answer
from tests.web.html import code_of_error, codes

KEY = "s3cret-key-of-the-model-server"
ACCEPT_JSON = {"Accept": "application/json"}
PAGES = ["/", "/models/people", "/models/fruit", "/models/people/table", "/nowhere", "/models/nobody", "/status"]


@pytest.mark.parametrize("path", [*PAGES, "/static/style.css", "/health"])
def test_every_response_has_the_headers(web: FlaskClient, path: str) -> None:
    response = web.get(path)
    response.close()
    for name, value in HEADERS.items():
        assert response.headers[name] == value
    assert response.headers["Cache-Control"] == ("no-cache" if "static" in path else "no-store")
    assert "Set-Cookie" not in response.headers


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"unsafe|http|\*", policy)


class _Inline(HTMLParser):
    """Finds inline scripts and styles, which the content security policy forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if (tag == "script" and "src" not in attributes) or tag == "style" or "style" in attributes:
            self.found.append(tag)
        self.found += [name for name in attributes if name.startswith("on")]
        if tag != "a":  # a link is followed only when the visitor clicks it
            self.links += [value or "" for name, value in attrs if name in ("src", "href", "action")]


@pytest.mark.parametrize("path", PAGES)
def test_pages_have_nothing_inline_and_fetch_nothing_from_elsewhere(web: FlaskClient, path: str) -> None:
    parser = _Inline()
    parser.feed(web.get(path).text)
    assert not parser.found
    assert not [link for link in parser.links if re.match(r"\w+:|//", link)]


@pytest.mark.parametrize(
    ("host", "settings", "expected"),
    [
        ("127.0.0.1:8501", {}, True),
        ("LOCALHOST", {}, True),
        ("[::1]:8501", {}, True),
        ("evil.example:8501", {}, False),
        ("10.0.0.7:8501", {}, False),
        ("", {}, False),
        ("[::1", {}, False),
        ("10.0.0.7:8501", {"host": "0.0.0.0"}, True),
        ("[fe80::1]", {"host": "::"}, True),
        ("evil.example", {"host": "0.0.0.0"}, False),
        ("models.example:443", {"host": "0.0.0.0", "allowed_hosts": frozenset({"models.example"})}, True),
        ("127.0.0.1.evil.example", {"host": "0.0.0.0"}, False),
    ],
)
def test_own_hosts(host: str, settings: dict[str, Any], expected: bool) -> None:
    assert is_own_host(host, Settings(**settings)) is expected


def test_requests_with_an_unknown_host_are_refused(web: FlaskClient) -> None:
    response = web.get("/models/people", headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert code_of_error(response.text) == "unknown_host"
    assert "Work class" not in response.text


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({}, True),  # curl
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://localhost"}, True),  # a reverse proxy that ends TLS
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "http://localhost:9999"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
    ],
)
def test_forms_of_other_sites_are_refused(
    web: FlaskClient, fake: FakeClient, headers: dict[str, str], accepted: bool
) -> None:
    paths = ["/models/people", "/models/people/table", "/tables/x/score", "/tables/x/remove"]
    statuses = [web.post(path, data={"age": "30"}, headers=headers).status_code for path in paths]
    assert (403 not in statuses) if accepted else set(statuses) == {403}
    assert bool(fake.requests) is accepted


def test_hostile_names_are_text_on_every_page(web: FlaskClient, fake: FakeClient) -> None:
    """Names of models, columns, categories, labels, files, versions, warnings, errors, and texts of ui.yaml."""
    fake.schemas["people"]["ui"] = {
        "title": HOSTILE, "description": QUOTED, "labels": {">=50k": {"name": HOSTILE}},
        "fields": {"age": {"label": HOSTILE, "help": QUOTED, "unit": HOSTILE}},
        "groups": [{"title": HOSTILE, "fields": ["age"]}], "examples": [{"title": QUOTED, "record": {"age": 1}}],
    }  # fmt: skip
    fake.schemas[HOSTILE.replace("/", "")] = fake.schemas["fruit"]
    fake.versions = ["1.0", QUOTED]
    warning = {"field": HOSTILE, "code": "unknown_category", "value": QUOTED, "message": HOSTILE}
    fake.answers["people"] = answer(warnings=[warning, {**warning, "field": QUOTED, "code": "x"}])
    table = (io.BytesIO(f"{HOSTILE},age\n{QUOTED!r},{HOSTILE}\n".encode()), f"{HOSTILE}.csv")
    job = web.post("/models/people/table", data={"table": table}).headers["Location"]
    pages = [
        web.get("/").text,
        web.get("/models/people", query_string={"work-class": HOSTILE, HOSTILE: QUOTED, QUOTED: "x"}).text,
        web.post("/models/people", data={"work-class": HOSTILE, "age": QUOTED}).text,
        web.post("/models/people", data={}).text,
        web.post("/models/people", data={}, headers=ACCEPT_JSON).json["html"],  # type: ignore[index]
        web.post(
            "/models/fruit", data={"pictures": (io.BytesIO(b"x"), f"'><img src=x onerror=alert(1)>{HOSTILE}.jpg")}
        ).text,
        web.get(job).text,
        web.get("/models/people/table").text,
        web.get(f"/models/{HOSTILE}").text,
    ]
    # The page of an unknown model does not repeat its name.
    assert [number for number, page in enumerate(pages) if "alert(1)" not in page] == [8]
    for page in pages:
        parser = _Inline()
        parser.feed(page)
        assert not parser.found
        assert "<script>alert" not in page
        assert "<img" not in page


def test_uploads_over_the_limits_are_refused(address: str, fake: FakeClient) -> None:
    def post(path: str, **options: Any) -> requests.Response:
        return requests.post(f"{address}{path}", timeout=20, **options)

    large = ("pictures", ("big.jpg", b"\xff\xd8\xff" + b"\0" * 20_000_000))
    small = ("pictures", ("small.jpg", b"\xff\xd8\xff"))
    alone = post("/models/fruit", files=[large]).text
    assert codes(alone) == ["picture_too_large"]
    assert "20 MB" in alone
    assert "6 MB" in alone
    scripted = post("/models/fruit", files=[large], headers=ACCEPT_JSON)
    assert (scripted.status_code, scripted.json()["code"]) == (413, "picture_too_large")
    both = post("/models/fruit", files=[large, small]).text
    assert codes(both) == ["picture_too_large"]
    assert "apple, 94%" in both  # the answer to the small one
    assert fake.requests == [small[1][1]]
    for body in ({"data": {"age": "1" * 20_000_000}}, {"files": {"age": b"1" * 20_000_000}}):
        form = post("/models/people", **body)
        assert form.status_code == 413
        assert code_of_error(form.text) == "body_too_large"
        assert "2 MB" in form.text
    assert len(fake.requests) == 1


def test_a_table_over_the_limit_is_refused(make_app: Callable[..., Flask]) -> None:
    with listening(make_app(table_bytes=1000)) as address:
        files = {"table": ("t.csv", b"x" * 20_000)}
        response = requests.post(f"{address}/models/people/table", files=files, headers=ACCEPT_JSON, timeout=60)
    assert response.status_code == 413
    assert response.json()["code"] == "body_too_large"
    assert "11 kB" in response.json()["html"]


def test_too_many_pictures_at_once(web: FlaskClient) -> None:
    many = [(io.BytesIO(b"x"), f"{n}.jpg") for n in range(21)]
    response = web.post("/models/fruit", data={"pictures": many})
    assert (response.status_code, code_of_error(response.text)) == (400, "too_many_pictures")


def test_the_key_is_on_no_page(tmp_path: Path, fake: FakeClient, capsys: Any) -> None:
    from fastmar_web import create_app

    key_file = tmp_path / "key"
    key_file.write_text(f"{KEY}\n")
    settings = Settings(key_file=key_file)
    backend = Backend(settings)
    backend._client = fake  # type: ignore[assignment]
    app = create_app(settings, backend)
    web = app.test_client()
    headers = {"Host": "localhost"}
    pages = [web.get(path, headers=headers).text for path in PAGES]
    pages.append(web.post("/models/people", data={}, headers=headers).text)
    pages.append(json.dumps(web.post("/models/people", data={}, headers=headers | ACCEPT_JSON).get_json()))
    fake.down = Unauthorized(f"the key {KEY} in {key_file} is refused", fix=str(key_file), code="x")
    pages += [web.get(path, headers=headers).text for path in PAGES]
    app.extensions["fastmar_jobs"].close()
    for page in pages:
        assert KEY not in page
        assert str(tmp_path) not in page
    assert "$FASTMAR_KEY" in pages[len(PAGES)]
    assert code_of_error(pages[-len(PAGES)]) == "key_refused"


def test_key_files(tmp_path: Path) -> None:
    path = tmp_path / "key"
    check_key_file(None)
    for text, key in ((f" {KEY}\n", KEY), ('{"inference": {"key": "x"}}', "x")):
        path.write_text(text)
        check_key_file(path)
        assert KeyFile(path).key() == key  # what the client sends
    path.write_text(" ")
    with pytest.raises(WebError) as caught:
        check_key_file(path)
    assert caught.value.code == "key_file_empty"
    with pytest.raises(WebError) as caught:
        check_key_file(tmp_path / "none")
    assert caught.value.code == "key_file_unreadable"
    assert caught.value.fix
