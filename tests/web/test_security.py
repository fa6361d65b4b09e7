"""What the app takes and from whom, and that hostile names stay text."""

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
from fastmar_web.security import HEADERS, host_is_ours
from fastmar_web.settings import Settings, check_key_file
from tests.web.conftest import listening
from tests.web.fake import HOSTILE, QUOTED, FakeClient, answer

KEY = "s3cret-key-of-the-model-server"
JSON_WANTED = {"Accept": "application/json"}
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
    """Finds what a strict policy forbids: scripts and styles in the page itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if (tag == "script" and "src" not in given) or tag == "style" or "style" in given:
            self.found.append(tag)
        self.found += [name for name in given if name.startswith("on")]
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action")]


@pytest.mark.parametrize("path", PAGES)
def test_pages_have_nothing_inline_and_fetch_nothing_from_elsewhere(web: FlaskClient, path: str) -> None:
    parser = _Inline()
    parser.feed(web.get(path).text)
    assert not parser.found
    assert not [link for link in parser.links if re.match(r"\w+:|//", link)]


@pytest.mark.parametrize(
    ("host", "settings", "ours"),
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
def test_names_of_ours(host: str, settings: dict[str, Any], ours: bool) -> None:
    assert host_is_ours(host, Settings(**settings)) is ours


def test_another_name_gets_no_page(web: FlaskClient) -> None:
    response = web.get("/models/people", headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert "Unknown address" in response.text
    assert "Work class" not in response.text


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({}, True),  # curl
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://localhost"}, True),  # a front that ends TLS
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "http://localhost:9999"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
    ],
)
def test_forms_of_other_sites_are_not_taken(
    web: FlaskClient, fake: FakeClient, headers: dict[str, str], taken: bool
) -> None:
    paths = ["/models/people", "/models/people/table", "/tables/x/score", "/tables/x/remove"]
    statuses = [web.post(path, data={"age": "30"}, headers=headers).status_code for path in paths]
    assert (403 not in statuses) if taken else set(statuses) == {403}
    assert bool(fake.asked) is taken


def test_hostile_names_are_text_on_every_page(web: FlaskClient, fake: FakeClient) -> None:
    """Of models, columns, categories, labels, files, versions, warnings, errors, and of the owner's texts."""
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
        web.post("/models/people", data={}, headers=JSON_WANTED).json["html"],  # type: ignore[index]
        web.post(
            "/models/fruit", data={"pictures": (io.BytesIO(b"x"), f"'><img src=x onerror=alert(1)>{HOSTILE}.jpg")}
        ).text,
        web.get(job).text,
        web.get("/models/people/table").text,
        web.get(f"/models/{HOSTILE}").text,
    ]
    assert [number for number, page in enumerate(pages) if "alert(1)" not in page] == [8]  # which is "Not found"
    for page in pages:
        parser = _Inline()
        parser.feed(page)
        assert not parser.found
        assert "<script>alert" not in page
        assert "<img" not in page


def test_20_megabytes_are_refused_in_words(address: str, fake: FakeClient) -> None:
    def post(path: str, **sent: Any) -> requests.Response:
        return requests.post(f"{address}{path}", timeout=20, **sent)

    large = ("pictures", ("big.jpg", b"\xff\xd8\xff" + b"\0" * 20_000_000))
    small = ("pictures", ("small.jpg", b"\xff\xd8\xff"))
    assert "The picture is 20 MB large; at most 6 MB are taken." in post("/models/fruit", files=[large]).text
    assert post("/models/fruit", files=[large], headers=JSON_WANTED).status_code == 413
    both = post("/models/fruit", files=[large, small]).text
    assert "at most 6 MB" in both
    assert "apple, 94%" in both  # the small one is answered all the same
    assert fake.asked == [small[1][1]]
    for sent in ({"data": {"age": "1" * 20_000_000}}, {"files": {"age": b"1" * 20_000_000}}):
        form = post("/models/people", **sent)
        assert form.status_code == 413
        assert "at most 2 MB are taken at once" in form.text
    assert len(fake.asked) == 1


def test_a_table_over_the_limit_is_refused(make_app: Callable[..., Flask]) -> None:
    with listening(make_app(table_bytes=1000)) as address:
        sent = {"table": ("t.csv", b"x" * 20_000)}
        response = requests.post(f"{address}/models/people/table", files=sent, headers=JSON_WANTED, timeout=20)
    assert response.status_code == 413
    assert "at most 11 kB" in response.json()["html"]


def test_too_many_pictures_at_once(web: FlaskClient) -> None:
    many = [(io.BytesIO(b"x"), f"{n}.jpg") for n in range(21)]
    assert "at most 20" in web.post("/models/fruit", data={"pictures": many}).text


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
    pages.append(json.dumps(web.post("/models/people", data={}, headers=headers | JSON_WANTED).get_json()))
    fake.down = Unauthorized(f"the key {KEY} in {key_file} is refused", fix=str(key_file), code="x")
    pages += [web.get(path, headers=headers).text for path in PAGES]
    app.extensions["fastmar_jobs"].close()
    for page in pages:
        assert KEY not in page
        assert str(tmp_path) not in page
    assert "$FASTMAR_KEY" in pages[len(PAGES)]
    assert "No access to the models" in pages[-len(PAGES)]


def test_key_files(tmp_path: Path) -> None:
    path = tmp_path / "key"
    check_key_file(None)
    for text, key in ((f" {KEY}\n", KEY), ('{"inference": {"key": "x"}}', "x")):
        path.write_text(text)
        check_key_file(path)
        assert KeyFile(path).key() == key  # what the client sends
    path.write_text(" ")
    with pytest.raises(WebError, match="is empty"):
        check_key_file(path)
    with pytest.raises(WebError, match="can't be read") as refusal:
        check_key_file(tmp_path / "none")
    assert refusal.value.fix
