"""Pages without scripts, and the JSON that scripts get: the same answers, in the same words."""

from __future__ import annotations

import csv
import errno
import io
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.wrappers import Request

from fastmar_client import CsvUnwritable, RecordRefused, ServerFailed, ServerUnreachable, Timeout, Unauthorized
from tests.web.fake import COUNTRIES, HOSTILE, FakeClient, answer

JSON_WANTED = {"Accept": "application/json"}
FILLED = {
    "work-class": "State-gov",
    "native-country": "Country-7",
    "level": "11",
    "member": "yes",
    "age": "51",
    "hours": "",
}
SENT = {
    "work-class": " State-gov",
    "native-country": COUNTRIES[7],
    "level": 11,
    "member": True,
    "age": 51,
    "hours": None,
}


def test_the_list_of_models(web: FlaskClient, fake: FakeClient) -> None:
    fake.schemas["people"]["ui"] = {"title": "Who earns what", "description": "From a census."}
    fake.loading = {"streets"}
    page = web.get("/").text
    assert [unescape(text) for text in re.findall(r"<h2>(?:<a[^>]*>)?([^<]+)", page)] == [
        "Fruit",
        "Who earns what",
        "Streets",
    ]
    assert "From a census." in page
    assert 'href="/models/people"' in page
    assert 'href="/models/streets"' not in page
    assert 'http-equiv="refresh"' in page


def test_no_model_is_said(web: FlaskClient, fake: FakeClient) -> None:
    fake.schemas = {}
    assert "No model is served yet" in web.get("/").text


def test_the_form_asks_the_model_without_a_script(web: FlaskClient, fake: FakeClient) -> None:
    page = web.post("/models/people", data=FILLED)
    assert page.status_code == 200
    assert "Prediction: &gt;=50k, 94% sure" in page.text
    assert {name: fake.asked[0][name] for name in SENT} == SENT
    assert '<option value="Country-7" selected>' in page.text  # the form still says what was asked
    assert "&#34;work-class&#34;: &#34; State-gov&#34;" in page.text  # the request, as the model gets it


def test_the_link_reproduces_the_form(web: FlaskClient) -> None:
    link = web.post("/models/people", data=FILLED, headers=JSON_WANTED).json["link"]  # type: ignore[index]
    assert parse_qs(urlsplit(link).query)["native-country"] == ["Country-7"]
    page = web.get(link).text
    assert '<option value="Country-7" selected>' in page
    assert 'name="age" value="51"' in page


def test_problems_and_warnings_stand_beside_their_fields(web: FlaskClient, fake: FakeClient) -> None:
    reply = web.post("/models/people", data=FILLED | {"age": "old"}, headers=JSON_WANTED)
    assert reply.status_code == 422
    assert not fake.asked
    assert reply.json["fields"]["f4"]["problem"] == "“old” is not a number."  # type: ignore[index]
    warnings = [
        {"field": "age", "code": "odd", "value": 1, "message": "so old."},
        {"field": "?", "code": "c", "message": "loose"},
    ]
    fake.answers["people"] = answer(warnings=warnings)
    said = web.post("/models/people", data=FILLED, headers=JSON_WANTED).json
    assert said["fields"]["f4"]["remarks"] == ["So old."]  # type: ignore[index]
    assert "Loose" in said["html"]  # type: ignore[index]
    page = web.post("/models/people", data=FILLED).text
    assert re.search(r'id="f4-said">\s*<p class="remark">So old\.', page)


def test_all_faults_are_marked_beside_their_fields(web: FlaskClient, fake: FakeClient) -> None:
    refused = RecordRefused("'age' is null.", fix="send a number.", field="age", status=400)
    refused.faults = [
        {"code": "null", "field": "age", "message": "'age' is null.", "fix": "send a number."},
        {"code": "null", "field": "level", "message": "'level' is odd.", "fix": "send a level."},
    ]
    fake.answers["people"] = refused
    page = web.post("/models/people", data={}).text
    assert page.count('aria-invalid="true"') == 2
    assert "is odd. Send a level." in page


def test_what_the_model_refuses_is_said_beside_the_field(web: FlaskClient, fake: FakeClient) -> None:
    fake.answers["people"] = RecordRefused("'age' is null.", fix="send a number.", field="age", status=400)
    page = web.post("/models/people", data=FILLED)
    assert page.status_code == 400
    assert re.search(r'id="f4-said">\s*<p class="problem">&#39;age&#39; is null\. Send a number\.', page.text)
    assert 'aria-invalid="true"' in page.text


def test_hidden_fields_and_versions(web: FlaskClient, fake: FakeClient) -> None:
    fake.schemas["people"]["ui"] = {"fields": {"level": {"hidden": True, "default": 7}}}
    fake.versions = ["1.0", "2.0"]
    page = web.get("/models/people@1.0").text
    assert 'name="level"' not in page
    assert re.search(r'href="/models/people@1.0" aria-current="true">1.0', page)
    assert re.search(r'href="/models/people">2.0', page)
    shown = web.post("/models/people@1.0", data=FILLED).text
    assert fake.asked[0]["level"] == 7
    assert "/predictions/people/1.0" in shown
    assert web.get("/models/people@3.0").status_code == 404


def test_pictures_without_a_script(web: FlaskClient, fake: FakeClient) -> None:
    files = [(io.BytesIO(data), f"{data.decode()}.jpg") for data in (b"one", b"two", b"bad")]
    refusal = RecordRefused("the picture can't be opened.", fix="send another.", status=400)
    fake.answers["fruit"] = lambda data: refusal if data == b"bad" else answer(label="apple", other="pear")
    page = web.post("/models/fruit", data={"pictures": files}).text
    assert fake.asked == [b"one", b"two", b"bad"]
    assert page.count("apple, 94%") == 2
    assert "The picture can&#39;t be opened. Send another." in page
    assert "There is no picture" in web.post("/models/fruit", data={}).text


def test_masks_are_asked_for_in_the_pictures_own_size(web: FlaskClient, fake: FakeClient) -> None:
    mask = {"mask": "AAAA", "width": 2, "height": 2, "classes": [{"index": 0, "name": HOSTILE, "pixels": 4}]}
    fake.answers["streets"] = {"prediction": mask, "warnings": []}
    data = b"\x00--not a boundary\r\n\xff"
    sent = {"pictures": (io.BytesIO(data), "a.jpg")}
    reply = web.post("/models/streets", data=sent, headers=JSON_WANTED).get_json()
    [(content_type, body)] = fake.asked
    assert content_type.startswith("multipart/form-data; boundary=")
    assert b'name="mask_size"\r\n\r\noriginal\r\n' in body
    assert data in body
    assert reply["overlay"]["classes"] == [{"index": 0, "name": HOSTILE, "share": "100%"}]


def test_a_table_without_a_script(web: FlaskClient, fake: FakeClient) -> None:
    columns = list(fake.schemas["people"]["record"]["properties"])
    refusal = RecordRefused("no.", fix="none.", status=400)
    fake.answers["people"] = lambda row: refusal if row["age"] == "13" else answer()
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([" Private", COUNTRIES[0], 3, True, age, 40, "plain"] for age in ("12", "13", "old"))
    sent = web.post(
        "/models/people/table", data={"table": (io.BytesIO(text.getvalue().encode()), "../../ü people.csv")}
    )
    assert sent.status_code == 303
    job = sent.headers["Location"]
    page = web.get(job).text
    assert "3 rows are read." in page
    assert "Not a number." in page
    assert web.get(f"{job}/answers.csv").status_code == 404  # not yet
    web.post(f"{job}/score")
    deadline = time.monotonic() + 60
    while web.get(f"{job}/state").get_json()["at_work"] and time.monotonic() < deadline:
        time.sleep(0.02)
    page = web.get(job).text
    assert "2 of 3 rows are scored; 1 could not be: the column error says why." in page
    assert "1 row has an error." in page
    download = web.get(f"{job}/answers.csv")
    assert "attachment" in download.headers["Content-Disposition"]
    assert ".." not in download.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(download.text)))
    assert [(row["prediction"], bool(row["error"])) for row in rows] == [(">=50k", False), ("", True), (">=50k", False)]
    download.close()
    assert web.post(f"{job}/remove").headers["Location"] == "/models/people/table"
    assert web.get(job).status_code == 404
    assert web.post("/models/people/table", data={}).status_code == 400
    assert web.get("/models/fruit/table").status_code == 404


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (None, 503, "The model server is away"),
        (Timeout("t", fix="f"), 504, "No answer in time"),
        (ServerFailed("Traceback: /srv/secret", fix="f"), 503, "The model server failed"),
        (Unauthorized("key", fix="f"), 502, "No access to the models"),
    ],
)
def test_a_server_that_is_away_is_said_and_looked_for_again(
    web: FlaskClient, fake: FakeClient, error: Any, status: int, title: str
) -> None:
    if error is None:
        fake.away()
    fake.down = error or fake.down
    for path in ("/", "/models/people", "/models/people/table"):
        page = web.get(path)
        assert page.status_code == status
        assert title in page.text
        assert 'http-equiv="refresh"' in page.text
        assert 'data-module="waiting"' in page.text
        assert "10.9.8.7" not in page.text
        assert "/srv/secret" not in page.text
    assert web.get("/status").get_json()["ready"] is False
    reply = web.post("/models/people", data=FILLED, headers=JSON_WANTED)
    assert reply.get_json()["retry"] is True
    fake.down = None
    assert web.get("/status?model=people").get_json() == {"ready": True}


def test_a_model_that_is_being_loaded(web: FlaskClient, fake: FakeClient) -> None:
    fake.loading = {"people"}
    page = web.get("/models/people")
    assert (page.status_code, "Not ready yet" in page.text) == (503, True)
    assert web.get("/status?model=people").get_json()["ready"] is False


def test_a_fault_of_the_app_is_said_without_its_details(
    make_app: Callable[..., Flask], fake: FakeClient, capsys: Any
) -> None:
    fake.answers["people"] = ValueError("at line 7 of /srv/secret")
    page = make_app().test_client().post("/models/people", data=FILLED, headers={"Host": "localhost"})
    assert page.status_code == 500
    assert "secret" not in page.text
    assert "/srv/secret" in capsys.readouterr().err


def test_other_methods_and_health(web: FlaskClient) -> None:
    assert web.delete("/").status_code == 405
    assert web.get("/health").text == "ok\n"


def table_of(fake: FakeClient, rows: list[str], *, level: str = "3") -> bytes:
    """A table for the model `people` whose rows differ in their age."""
    head = list(fake.schemas["people"]["record"]["properties"])
    lines = [",".join(head), *(f"Private,{COUNTRIES[0]},{level},True,{age},40,plain" for age in rows)]
    return "\n".join(lines).encode() + b"\n"


def send_table(web: FlaskClient, content: bytes) -> str:
    """Send a table; the address of its page."""
    sent = web.post("/models/people/table", data={"table": (io.BytesIO(content), "rows.csv")})
    assert sent.status_code == 303
    return sent.headers["Location"]


def scored(web: FlaskClient, job: str) -> str:
    """Score a table that was sent; its page when that has ended."""
    settled(web, job)
    web.post(f"{job}/score")
    settled(web, job)
    return unescape(web.get(job).text)


def settled(web: FlaskClient, job: str) -> None:
    """Return once nothing is done with a table."""
    deadline = time.monotonic() + 60
    while web.get(f"{job}/state").get_json()["at_work"] and time.monotonic() < deadline:
        time.sleep(0.02)


def failing_at(fake: FakeClient, age: str) -> None:
    """The server breaks off at one row."""
    gone = ServerUnreachable("no answer from http://10.9.8.7:8080: reset.", fix="start it.")
    fake.answers["people"] = lambda row: gone if row["age"] == age else answer()


def test_a_table_is_gone_on_with_by_the_version_that_looked_at_it(web: FlaskClient, fake: FakeClient) -> None:
    rows = [str(age) for age in range(1500)]
    job = send_table(web, table_of(fake, rows))
    failing_at(fake, "1200")
    page = scored(web, job)
    assert "The model server is away" in page
    assert "Try again" in page
    assert "by itself" not in page  # nothing here tries again
    fake.versions, fake.answers["people"] = ["1.0", "2.0"], answer()
    fake.asked.clear()
    assert "All 1,500 rows are scored." in scored(web, job)
    assert [row["age"] for row in fake.asked] == rows[1000:]


def test_a_table_is_scored_by_another_version_where_the_one_that_looked_at_it_is_gone(
    web: FlaskClient, fake: FakeClient
) -> None:
    job = send_table(web, table_of(fake, ["38", "39"]))
    settled(web, job)
    fake.versions = ["2.0"]
    assert "All 2 rows are scored." in scored(web, job)


@pytest.mark.parametrize("change", ["replaced", "unloaded"])
def test_a_table_is_begun_anew_where_its_model_is_another(web: FlaskClient, fake: FakeClient, change: str) -> None:
    rows = [str(age) for age in range(1500)]
    job = send_table(web, table_of(fake, rows))
    failing_at(fake, "1200")
    scored(web, job)
    if change == "replaced":
        fake.schemas["people"]["notices"] = ["another"]
        page = scored(web, job)
        assert "The model has changed" in page
        assert "The model server failed" not in page
    else:
        fake.versions = ["2.0"]
    fake.asked.clear()
    assert "The model server is away" in scored(web, job)
    assert {row["age"] for row in fake.asked} >= set(rows[:1000])
    fake.answers["people"] = answer()
    fake.asked.clear()
    assert "All 1,500 rows are scored." in scored(web, job)
    assert [row["age"] for row in fake.asked] == rows[1000:]


def test_answers_that_can_not_be_saved_are_said(
    web: FlaskClient, fake: FakeClient, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    job = send_table(web, table_of(fake, ["38"]))

    def full(*_: Any, **__: Any) -> None:
        raise CsvUnwritable("/srv/secret/answers.csv can't be written (No space left on device).", fix="make room.")

    with monkeypatch.context() as patch:
        patch.setattr(fake, "score_csv", full)
        page = scored(web, job)
    assert "The answers could not be saved" in page
    assert "The model server failed" not in page
    assert "/srv/secret" not in page
    assert "No space left on device" in capsys.readouterr().err
    assert "1 row is scored." in scored(web, job)


def test_a_cell_that_is_too_long_leaves_the_first_answers_out(
    web: FlaskClient, fake: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastmar_contract.csv_rows._MAX_CELL", 131_072)  # less than usual, for a small table
    before = csv.field_size_limit(131_072)
    try:
        page = scored(web, send_table(web, table_of(fake, ["38", "1" * 131_073, "39"])))
    finally:
        csv.field_size_limit(before)
    assert "2 of 3 rows are scored; 1 could not be" in page
    assert "First answers" not in page


@pytest.mark.parametrize(
    ("ages", "said", "found"),
    [
        (["38"], "1 row is scored.", "No row has an error or a warning."),
        (["38", "39"], "All 2 rows are scored.", "No row has an error or a warning."),
        (["38", "odd", "odd"], "All 3 rows are scored.", "2 rows are scored with a warning"),
        (
            ["38", "bad", "bad"],
            "1 of 3 rows is scored; 2 could not be: the column error says why.",
            "2 rows have an error",
        ),
        (
            ["38", "bad", "odd"],
            "2 of 3 rows are scored; 1 could not be: the column error says why.",
            "1 row is scored with",
        ),
        (["bad"], "No row could be scored: the column error says why.", "1 row has an error."),
    ],
)
def test_how_rows_fared_is_what_the_model_said_of_them(
    web: FlaskClient, fake: FakeClient, ages: list[str], said: str, found: str
) -> None:
    """The look at the table before knows less: here it finds nothing in any row."""
    fake.schemas["people"]["record"]["properties"]["age"] = {"type": ["string"], "x-fastmar": {"kind": "text"}}
    warned = answer(warnings=[{"code": "unknown_category", "field": "age", "message": "is new."}])
    bad = RecordRefused("no.", fix="none.", status=400)
    fake.answers["people"] = lambda row: {"bad": bad, "odd": warned}.get(row["age"], answer())
    job = send_table(web, table_of(fake, ages))
    settled(web, job)
    looked = "Every cell is one that the model can read."
    assert looked in web.get(job).text
    page = scored(web, job)
    assert said in page
    assert found in page
    assert looked not in page
    assert web.get(f"{job}/state").get_json()["said"] == said


def test_a_table_is_taken_where_others_at_rest_can_make_room_for_it(
    web: FlaskClient, fake: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_of(fake, ["38"] * 2_000)
    room = 7 * len(table) + 10_000  # four tables, three times that much for the next, and its form

    def usage(place: Path) -> Any:
        used = sum(path.stat().st_size for path in Path(place).rglob("*") if path.is_file())
        return SimpleNamespace(total=room, used=used, free=room - used)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    sent = []
    for _ in range(7):
        sent.append(send_table(web, table))
        settled(web, sent[-1])
    assert [web.get(job).status_code for job in sent] == [404] * 2 + [200] * 5


@pytest.mark.parametrize("where", ["the form", "the table"])
def test_a_table_that_there_is_no_room_for_is_refused_in_words(
    web: FlaskClient, fake: FakeClient, monkeypatch: pytest.MonkeyPatch, capsys: Any, where: str
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device", "/srv/secret")

    form = {"table": (io.BytesIO(table_of(fake, ["38"])), "rows.csv")}
    place = (tempfile, "mkdtemp") if where == "the table" else (Request, "_get_file_stream")
    with monkeypatch.context() as patch:
        patch.setattr(*place, full)
        page = web.post("/models/people/table", data=form)
    assert page.status_code == 503
    assert "There is no room for the table now." in page.text
    assert "secret" not in page.text
    log = capsys.readouterr().err
    assert "No space left on device" in log
    assert "Traceback" not in log
    assert "1 row is scored." in scored(web, send_table(web, table_of(fake, ["38"])))


def test_only_pages_that_look_again_say_so(web: FlaskClient, fake: FakeClient) -> None:
    sent: dict[str, Any] = {"data": FILLED}
    fake.away()
    assert "Trying again by itself" in web.get("/models/people").text
    page = web.post("/models/people", **sent)
    assert page.status_code == 503
    assert "by itself" not in page.text
    assert 'data-module="waiting"' not in page.text  # which would send the form again
    assert "by itself" not in web.post("/models/people", **sent, headers=JSON_WANTED).get_json()["html"]
