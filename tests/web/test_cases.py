"""Inputs that real tools send, in the form: the tests have the names of the cases that they stand for."""

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

from fastmar_web.charsets import CHOICES, encoding_of
from fastmar_web.errors import Refused
from fastmar_web.settings import MEGABYTE
from tests.web.conftest import listening
from tests.web.fake import FakeClient, answer, category, number, schema
from tests.web.test_pages import FILLED, JSON_WANTED, scored, settled

MOODS = {"bpm": number(120), "song_mood": category("café", "Ã©", "é")}
TABLE = "bpm,song_mood\n120,café\n"


@pytest.fixture
def songs(fake: FakeClient) -> FakeClient:
    fake.schemas["songs"] = schema("songs", MOODS)
    fake.answers["songs"] = answer()
    return fake


def send(web: FlaskClient, content: bytes, content_type: str = "text/csv", **fields: str) -> str:
    """Send a table; the address of its page."""
    sent = web.post("/models/songs/table", data={"table": (io.BytesIO(content), "t.csv", content_type), **fields})
    assert sent.status_code == 303, unescape(sent.text)
    settled(web, sent.headers["Location"])
    return sent.headers["Location"]


@pytest.mark.parametrize(
    ("content", "content_type", "chosen"),
    [
        (TABLE.encode("utf-16"), "text/csv", ""),
        (TABLE.encode("utf-16"), "text/csv; charset=utf-8", ""),  # a byte order mark says it better
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
    assert "Every cell is one that the model can read." in page
    assert "1 row is scored." in scored(web, job)
    assert songs.asked == [{"bpm": "120", "song_mood": "café"}]
    with web.get(f"{job}/answers.csv") as answers:
        assert "café" in answers.data.decode("utf-8-sig")


def test_case_charset_ambiguous(web: FlaskClient, songs: FakeClient) -> None:
    """The bytes C3 A9 are "é" in UTF-8 and "Ã©" in ISO 8859-1: what is declared counts."""
    scored(web, send(web, b"bpm,song_mood\n120,\xc3\xa9\n", "text/csv; charset=iso-8859-1"))
    scored(web, send(web, b"bpm,song_mood\n120,\xc3\xa9\n"))
    assert [record["song_mood"] for record in songs.asked] == ["Ã©", "é"]


def test_case_charset_that_is_not_declared(web: FlaskClient, songs: FakeClient) -> None:
    page = unescape(web.get(send(web, TABLE.encode("iso-8859-1"))).text)
    assert "The row is not in UTF-8." in page
    assert "1 row can't be scored" in page
    header = unescape(web.get(send(web, b"bpm,song_mood,caf\xe9\n120,x,1\n")).text)
    assert "The header of the file is not in UTF-8." in header
    assert "name its encoding" in header
    assert "--encoding" not in header  # which is the command line's
    form = web.get("/models/songs/table").text
    assert '<option value="windows-1252">' in form


@pytest.mark.parametrize("charset", ["klingon", "zip", "base64", "idna", "punycode", "undefined", "\0", "x" * 5000])
def test_case_charset_unknown(web: FlaskClient, songs: FakeClient, charset: str) -> None:
    refused = web.post("/models/songs/table", data={"table": (io.BytesIO(b"bpm\n1\n"), "t.csv"), "charset": charset})
    assert refused.status_code == 400
    assert f"The encoding “{charset[:40]}” is unknown." in refused.text


def test_encodings_that_the_form_offers_are_known() -> None:
    for name in CHOICES:
        assert "a".encode(encoding_of(name, "klingon" if name else ""))
    assert encoding_of("", "UTF8") == "utf-8-sig"
    with pytest.raises(Refused, match="klingon"):
        encoding_of("", "klingon")


@pytest.mark.parametrize("content", [b"bpm,song_mood\n", b"bpm,song_mood", b"bpm,song_mood\r\n\r\n\r\n"])
def test_case_csv_header_only(web: FlaskClient, songs: FakeClient, content: bytes) -> None:
    page = unescape(web.get(send(web, content)).text)
    assert "There is no row below the first line." in page
    assert "/score" not in page


def test_case_csv_blank_rows(web: FlaskClient, songs: FakeClient) -> None:
    """Excel leaves rows of delimiters behind a table; a model would answer them from the means of its training."""
    songs.schemas["songs"]["record"]["properties"]["bpm"] = number(120, nullable=True)
    job = send(web, b"bpm,song_mood\n120,x\n,\n,\n")
    page = unescape(web.get(job).text)
    assert page.count("The row is empty: it has delimiters alone.") == 2
    assert "2 rows can't be scored" in page
    assert "1 of 3 rows is scored; 2 could not be" in scored(web, job)
    assert len(songs.asked) == 1


@pytest.mark.parametrize(
    ("path", "sent", "most"),
    [
        ("/models/people", {"data": {"age": "1" * 3 * MEGABYTE}}, "2 MB"),
        ("/models/people/table", {"files": {"table": ("t.csv", b"x" * 50_000)}}, "30 kB"),  # the file and its form
        ("/models/people/table", {"files": {"table": ("t.csv", b"x" * 2 * MEGABYTE)}}, "1 MB"),  # waitress stops it
        ("/models/fruit", {"files": {"pictures": ("a.jpg", b"x" * 20_000)}}, "10 kB"),
    ],
)
def test_case_too_large_413(
    make_app: Callable[..., Flask], fake: FakeClient, path: str, sent: dict[str, Any], most: str
) -> None:
    settings = {"table_bytes": 20_000 if "table" in path else 5 * MEGABYTE, "picture_bytes": 10_000}
    with listening(make_app(**settings), **settings) as address:
        refused = requests.post(f"{address}{path}", timeout=20, headers=JSON_WANTED, **sent)
        assert requests.get(f"{address}/health", timeout=5).text == "ok\n"
    assert refused.status_code == 413
    assert re.search(f"[Aa]t most {most} are taken", refused.text)
    assert not fake.asked


def test_case_multipart_same_name(web: FlaskClient, fake: FakeClient) -> None:
    """Several files under one name are each answered, in order, or refused; none is dropped without a word."""
    fake.answers["fruit"] = lambda data: answer(label=data.decode(), other="pear")

    def pictures() -> dict[str, Any]:
        return {"pictures": [(io.BytesIO(name.encode()), "data.jpg") for name in ("one", "two", "three")]}

    page = web.post("/models/fruit", data=pictures()).text
    assert re.findall(r"(one|two|three), 94%", page) == ["one", "two", "three"]
    fake.asked.clear()
    refused = web.post("/models/fruit", data=pictures(), headers=JSON_WANTED)  # a script gets one answer
    assert refused.status_code == 400
    assert "These are 3 pictures; at most 1 is taken at once." in refused.get_json()["html"]
    assert not fake.asked


def test_case_multipart_same_name_of_tables(web: FlaskClient, songs: FakeClient) -> None:
    files = [(io.BytesIO(TABLE.encode()), "a.csv"), (io.BytesIO(TABLE.encode()), "b.csv")]
    refused = web.post("/models/songs/table", data={"table": files})
    assert refused.status_code == 400
    assert "These are 2 files; one is taken at a time." in refused.text


def test_case_multipart_same_name_of_fields(web: FlaskClient, fake: FakeClient) -> None:
    refused = web.post("/models/people", data={**FILLED, "age": ["30", "40"]})
    assert refused.status_code == 400
    assert "“age” was sent more than once." in refused.text
    assert not fake.asked
