"""Requests of common tools, sent to the web app. Each test is named after its case in docs/requests.md."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from fastmar_web.errors import RequestRefused
from fastmar_web.settings import MEGABYTE
from fastmar_web.tables.charsets import CHOICES, encoding_of
from tests.web.conftest import listening
from tests.web.fake import FakeClient, answer, category, number, schema
from tests.web.html import code_of_error, codes, findings, job_section, row_counts
from tests.web.test_pages import ACCEPT_JSON, FILLED, scored, wait_until_idle

MOODS = {"bpm": number(120), "song_mood": category("café", "Ã©", "é")}
TABLE = "bpm,song_mood\n120,café\n"


@pytest.fixture
def songs(fake: FakeClient) -> FakeClient:
    fake.schemas["songs"] = schema("songs", MOODS)
    fake.answers["songs"] = answer()
    return fake


def send(web: FlaskClient, content: bytes, content_type: str = "text/csv", **fields: str) -> str:
    """Upload a table and wait until it is checked; returns the address of its page."""
    response = web.post("/models/songs/table", data={"table": (io.BytesIO(content), "t.csv", content_type), **fields})
    assert response.status_code == 303, unescape(response.text)
    wait_until_idle(web, response.headers["Location"])
    return response.headers["Location"]


@pytest.mark.parametrize(
    ("content", "content_type", "chosen"),
    [
        (TABLE.encode("utf-16"), "text/csv", ""),
        (TABLE.encode("utf-16"), "text/csv; charset=utf-8", ""),  # a byte order mark takes precedence
        (TABLE.encode("utf-16-le"), "text/csv; charset=utf-16-le", ""),
        (TABLE.encode("iso-8859-1"), "text/csv; charset=iso-8859-1", ""),
        (TABLE.encode("iso-8859-1"), "application/octet-stream", "iso-8859-1"),
        (TABLE.encode("cp1252"), "application/vnd.ms-excel", "windows-1252"),
        (TABLE.encode("utf-8-sig"), "text/csv", ""),
    ],
)
def test_case_charset(web: FlaskClient, songs: FakeClient, content: bytes, content_type: str, chosen: str) -> None:
    job = send(web, content, content_type, charset=chosen)
    page = unescape(web.get(job).text)
    assert "café" in page
    assert findings(page) == {"no_problems": 0}
    assert row_counts(scored(web, job)) == (1, 0, 0)
    assert songs.requests == [{"bpm": "120", "song_mood": "café"}]
    with web.get(f"{job}/answers.csv") as answers:
        assert "café" in answers.data.decode("utf-8-sig")


def test_case_charset_ambiguous(web: FlaskClient, songs: FakeClient) -> None:
    """The bytes C3 A9 are "é" in UTF-8 and "Ã©" in ISO 8859-1: the declared charset decides."""
    scored(web, send(web, b"bpm,song_mood\n120,\xc3\xa9\n", "text/csv; charset=iso-8859-1"))
    scored(web, send(web, b"bpm,song_mood\n120,\xc3\xa9\n"))
    assert [record["song_mood"] for record in songs.requests] == ["Ã©", "é"]


def test_case_charset_that_is_not_declared(web: FlaskClient, songs: FakeClient) -> None:
    page = unescape(web.get(send(web, TABLE.encode("iso-8859-1"))).text)
    assert findings(page) == {"error_rows": 1}
    assert "not_utf8" in codes(page)
    header = unescape(web.get(send(web, b"bpm,song_mood,caf\xe9\n120,x,1\n")).text)
    assert codes(job_section(header)) == ["table_unreadable"]
    assert "UTF-8" in header
    assert "encoding" in header
    assert "--encoding" not in header  # an option of the command line
    form = web.get("/models/songs/table").text
    assert '<option value="windows-1252">' in form


@pytest.mark.parametrize("charset", ["klingon", "zip", "base64", "idna", "punycode", "undefined", "\0", "x" * 5000])
def test_case_charset_unknown(web: FlaskClient, songs: FakeClient, charset: str) -> None:
    refused = web.post("/models/songs/table", data={"table": (io.BytesIO(b"bpm\n1\n"), "t.csv"), "charset": charset})
    assert refused.status_code == 400
    assert code_of_error(refused.text) == "unknown_charset"
    assert charset[:40] in refused.text


def test_python_knows_the_encodings_of_the_form() -> None:
    for name in CHOICES:
        assert "a".encode(encoding_of(name, "klingon" if name else ""))
    assert encoding_of("", "UTF8") == "utf-8-sig"
    with pytest.raises(RequestRefused) as caught:
        encoding_of("", "klingon")
    assert caught.value.code == "unknown_charset"


@pytest.mark.parametrize("content", [b"bpm,song_mood\n", b"bpm,song_mood", b"bpm,song_mood\r\n\r\n\r\n"])
def test_case_csv_header_only(web: FlaskClient, songs: FakeClient, content: bytes) -> None:
    page = unescape(web.get(send(web, content)).text)
    assert codes(job_section(page)) == ["no_rows"]
    assert "/score" not in page


def test_case_csv_blank_rows(web: FlaskClient, songs: FakeClient) -> None:
    """Excel writes rows of delimiters below a table; without the check a model would score them as missing values."""
    songs.schemas["songs"]["record"]["properties"]["bpm"] = number(120, nullable=True)
    job = send(web, b"bpm,song_mood\n120,x\n,\n,\n")
    page = unescape(web.get(job).text)
    assert codes(page).count("empty_row") == 2
    assert findings(page) == {"error_rows": 2, "warning_rows": 1}
    assert row_counts(scored(web, job)) == (3, 2, 0)
    assert len(songs.requests) == 1


@pytest.mark.parametrize(
    ("path", "body", "limit"),
    [
        ("/models/people", {"data": {"age": "1" * 3 * MEGABYTE}}, "2 MB"),
        ("/models/people/table", {"files": {"table": ("t.csv", b"x" * 50_000)}}, "30 kB"),  # of the file and its form
        ("/models/people/table", {"files": {"table": ("t.csv", b"x" * 2 * MEGABYTE)}}, "1 MB"),  # refused by waitress
        ("/models/fruit", {"files": {"pictures": ("a.jpg", b"x" * 20_000)}}, "10 kB"),
    ],
)
def test_case_too_large_413(
    make_app: Callable[..., Flask], fake: FakeClient, path: str, body: dict[str, Any], limit: str
) -> None:
    settings = {"table_bytes": 20_000 if "table" in path else 5 * MEGABYTE, "picture_bytes": 10_000}
    with listening(make_app(**settings), **settings) as address:
        refused = requests.post(f"{address}{path}", timeout=20, headers=ACCEPT_JSON, **body)
        assert requests.get(f"{address}/health", timeout=60).text == "ok\n"
    assert refused.status_code == 413
    assert limit in refused.text
    assert not fake.requests


def test_case_multipart_same_name(web: FlaskClient, fake: FakeClient) -> None:
    """Several files of one name are answered in order, or the request is refused; no file is ignored."""
    fake.answers["fruit"] = lambda data: answer(label=data.decode(), other="pear")

    def pictures() -> dict[str, Any]:
        return {"pictures": [(io.BytesIO(name.encode()), "data.jpg") for name in ("one", "two", "three")]}

    page = web.post("/models/fruit", data=pictures()).text
    assert re.findall(r"(one|two|three), 94%", page) == ["one", "two", "three"]
    fake.requests.clear()
    refused = web.post("/models/fruit", data=pictures(), headers=ACCEPT_JSON)  # scripts send one picture per request
    assert (refused.status_code, refused.get_json()["code"]) == (400, "too_many_pictures")
    assert not fake.requests


def test_case_multipart_same_name_of_tables(web: FlaskClient, songs: FakeClient) -> None:
    files = [(io.BytesIO(TABLE.encode()), "a.csv"), (io.BytesIO(TABLE.encode()), "b.csv")]
    refused = web.post("/models/songs/table", data={"table": files})
    assert (refused.status_code, code_of_error(refused.text)) == (400, "too_many_files")


def test_case_multipart_same_name_of_fields(web: FlaskClient, fake: FakeClient) -> None:
    refused = web.post("/models/people", data={**FILLED, "age": ["30", "40"]})
    assert (refused.status_code, code_of_error(refused.text)) == (400, "repeated_field")
    assert "age" in refused.text
    assert not fake.requests
