"""Pages without scripts, and the JSON for scripts, which has the same answers."""

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
from tests.web.html import code_of_error, codes, field_codes, findings, job_section, job_state, row_counts

ACCEPT_JSON = {"Accept": "application/json"}
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


def test_a_server_without_models(web: FlaskClient, fake: FakeClient) -> None:
    fake.schemas = {}
    assert codes(web.get("/").text) == ["no_models"]


def test_the_form_works_without_a_script(web: FlaskClient, fake: FakeClient) -> None:
    page = web.post("/models/people", data=FILLED)
    assert page.status_code == 200
    assert "Prediction: &gt;=50k, 94% sure" in page.text
    assert {name: fake.requests[0][name] for name in SENT} == SENT
    assert '<option value="Country-7" selected>' in page.text  # the form keeps its values
    assert "&#34;work-class&#34;: &#34; State-gov&#34;" in page.text  # the code example has the record


def test_the_link_reproduces_the_form(web: FlaskClient) -> None:
    link = web.post("/models/people", data=FILLED, headers=ACCEPT_JSON).json["link"]  # type: ignore[index]
    assert parse_qs(urlsplit(link).query)["native-country"] == ["Country-7"]
    page = web.get(link).text
    assert '<option value="Country-7" selected>' in page
    assert 'name="age" value="51"' in page


def test_problems_and_warnings_are_shown_at_their_fields(web: FlaskClient, fake: FakeClient) -> None:
    reply = web.post("/models/people", data=FILLED | {"age": "old"}, headers=ACCEPT_JSON)
    assert reply.status_code == 422
    assert not fake.requests
    assert reply.json["code"] == "invalid_values"  # type: ignore[index]
    assert reply.json["fields"]["f4"]["problem"]["code"] == "not_a_number"  # type: ignore[index]
    warnings = [
        {"field": "age", "code": "odd", "value": 1, "message": "so old."},
        {"field": "?", "code": "c", "message": "general"},
    ]
    fake.answers["people"] = answer(warnings=warnings)
    reply = web.post("/models/people", data=FILLED, headers=ACCEPT_JSON)
    assert reply.json["code"] is None  # type: ignore[index]
    assert reply.json["fields"]["f4"]["remarks"] == [{"code": "odd", "text": "So old."}]  # type: ignore[index]
    assert codes(reply.json["html"]) == ["c"]  # type: ignore[index]
    assert "General" in reply.json["html"]  # type: ignore[index]
    page = web.post("/models/people", data=FILLED).text
    assert field_codes(page, "f4") == ["odd"]
    assert "So old." in page


def test_all_faults_of_a_record_are_shown_at_their_fields(web: FlaskClient, fake: FakeClient) -> None:
    refused = RecordRefused("'age' is null.", fix="send a number.", field="age", status=400)
    refused.faults = [
        {"code": "null", "field": "age", "message": "'age' is null.", "fix": "send a number."},
        {"code": "null", "field": "level", "message": "'level' is odd.", "fix": "send a level."},
    ]
    fake.answers["people"] = refused
    page = web.post("/models/people", data={}).text
    assert page.count('aria-invalid="true"') == 2
    assert field_codes(page, "f4") == ["record_refused"]
    assert field_codes(page, "f2") == ["null"]
    assert "is odd. Send a level." in page


def test_a_refusal_of_the_model_is_shown_at_its_field(web: FlaskClient, fake: FakeClient) -> None:
    fake.answers["people"] = RecordRefused("'age' is null.", fix="send a number.", field="age", status=400)
    page = web.post("/models/people", data=FILLED)
    assert page.status_code == 400
    assert field_codes(page.text, "f4") == ["record_refused"]
    assert 'aria-invalid="true"' in page.text


def test_hidden_fields_and_versions(web: FlaskClient, fake: FakeClient) -> None:
    fake.schemas["people"]["ui"] = {"fields": {"level": {"hidden": True, "default": 7}}}
    fake.versions = ["1.0", "2.0"]
    page = web.get("/models/people@1.0").text
    assert 'name="level"' not in page
    assert re.search(r'href="/models/people@1.0" aria-current="true">1.0', page)
    assert re.search(r'href="/models/people">2.0', page)
    shown = web.post("/models/people@1.0", data=FILLED).text
    assert fake.requests[0]["level"] == 7
    assert "/predictions/people/1.0" in shown
    assert web.get("/models/people@3.0").status_code == 404


def test_pictures_without_a_script(web: FlaskClient, fake: FakeClient) -> None:
    files = [(io.BytesIO(data), f"{data.decode()}.jpg") for data in (b"one", b"two", b"bad")]
    refusal = RecordRefused("the picture can't be opened.", fix="send another.", status=400)
    fake.answers["fruit"] = lambda data: refusal if data == b"bad" else answer(label="apple", other="pear")
    page = web.post("/models/fruit", data={"pictures": files}).text
    assert fake.requests == [b"one", b"two", b"bad"]
    assert page.count("apple, 94%") == 2
    assert codes(page) == ["record_refused"]
    assert "The picture can&#39;t be opened. Send another." in page
    assert code_of_error(web.post("/models/fruit", data={}).text) == "no_picture"


def test_masks_are_requested_in_the_size_of_the_picture(web: FlaskClient, fake: FakeClient) -> None:
    mask = {"mask": "AAAA", "width": 2, "height": 2, "classes": [{"index": 0, "name": HOSTILE, "pixels": 4}]}
    fake.answers["streets"] = {"prediction": mask, "warnings": []}
    data = b"\x00--not a boundary\r\n\xff"
    sent = {"pictures": (io.BytesIO(data), "a.jpg")}
    reply = web.post("/models/streets", data=sent, headers=ACCEPT_JSON).get_json()
    [(content_type, body)] = fake.requests
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
    assert job_state(page) == "checked"
    assert "not_a_number" in codes(page)
    assert web.get(f"{job}/answers.csv").status_code == 404  # not yet
    web.post(f"{job}/score")
    deadline = time.monotonic() + 60
    while web.get(f"{job}/state").get_json()["active"] and time.monotonic() < deadline:
        time.sleep(0.02)
    page = web.get(job).text
    assert row_counts(page) == (3, 1, 0)
    assert findings(page) == {"rows_failed": 1}
    download = web.get(f"{job}/answers.csv")
    assert "attachment" in download.headers["Content-Disposition"]
    assert ".." not in download.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(download.text)))
    assert [(row["prediction"], bool(row["error"])) for row in rows] == [(">=50k", False), ("", True), (">=50k", False)]
    download.close()
    assert web.post(f"{job}/remove").headers["Location"] == "/models/people/table"
    assert code_of_error(web.get(job).text) == "table_not_found"
    assert code_of_error(web.post("/models/people/table", data={}).text) == "no_file"
    assert code_of_error(web.get("/models/fruit/table").text) == "tables_not_supported"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (None, 503, "model_server_unreachable"),
        (Timeout("t", fix="f"), 504, "model_server_timeout"),
        (ServerFailed("Traceback: /srv/secret", fix="f"), 503, "model_server_failed"),
        (Unauthorized("key", fix="f"), 502, "key_refused"),
    ],
)
def test_an_error_of_the_server_is_shown_and_retried(
    web: FlaskClient, fake: FakeClient, error: Any, status: int, code: str
) -> None:
    if error is None:
        fake.go_down()
    fake.down = error or fake.down
    for path in ("/", "/models/people", "/models/people/table"):
        page = web.get(path)
        assert page.status_code == status
        assert code_of_error(page.text) == code
        assert 'http-equiv="refresh"' in page.text
        assert 'data-module="waiting"' in page.text
        assert "10.9.8.7" not in page.text
        assert "/srv/secret" not in page.text
    assert {key: web.get("/status").get_json()[key] for key in ("ready", "code")} == {"ready": False, "code": code}
    reply = web.post("/models/people", data=FILLED, headers=ACCEPT_JSON)
    assert reply.get_json()["retry"] is True
    fake.down = None
    assert web.get("/status?model=people").get_json() == {"ready": True}


def test_a_model_that_is_loading(web: FlaskClient, fake: FakeClient) -> None:
    fake.loading = {"people"}
    page = web.get("/models/people")
    assert (page.status_code, code_of_error(page.text)) == (503, "model_not_ready")
    assert web.get("/status?model=people").get_json()["ready"] is False


def test_a_bug_in_the_app_is_shown_without_details(
    make_app: Callable[..., Flask], fake: FakeClient, capsys: Any
) -> None:
    fake.answers["people"] = ValueError("at line 7 of /srv/secret")
    page = make_app().test_client().post("/models/people", data=FILLED, headers={"Host": "localhost"})
    assert (page.status_code, code_of_error(page.text)) == (500, "internal_error")
    assert "secret" not in page.text
    assert "/srv/secret" in capsys.readouterr().err


def test_other_methods_and_health(web: FlaskClient) -> None:
    response = web.delete("/")
    assert (response.status_code, code_of_error(response.text)) == (405, "method_not_allowed")
    assert code_of_error(web.get("/nowhere").text) == "page_not_found"
    assert web.get("/health").text == "ok\n"


def table_of(fake: FakeClient, rows: list[str], *, level: str = "3") -> bytes:
    """A table for the model `people` whose rows differ in their age."""
    head = list(fake.schemas["people"]["record"]["properties"])
    lines = [",".join(head), *(f"Private,{COUNTRIES[0]},{level},True,{age},40,plain" for age in rows)]
    return "\n".join(lines).encode() + b"\n"


def send_table(web: FlaskClient, content: bytes) -> str:
    """Upload a table; returns the address of its page."""
    response = web.post("/models/people/table", data={"table": (io.BytesIO(content), "rows.csv")})
    assert response.status_code == 303
    return response.headers["Location"]


def scored(web: FlaskClient, job: str) -> str:
    """Score an uploaded table; returns its page at the end."""
    wait_until_idle(web, job)
    web.post(f"{job}/score")
    wait_until_idle(web, job)
    return unescape(web.get(job).text)


def wait_until_idle(web: FlaskClient, job: str) -> None:
    """Wait until a table is neither read nor scored."""
    deadline = time.monotonic() + 60
    while web.get(f"{job}/state").get_json()["active"] and time.monotonic() < deadline:
        time.sleep(0.02)


def fail_at(fake: FakeClient, age: str) -> None:
    """Make the server fail at one row."""
    error = ServerUnreachable("no answer from http://10.9.8.7:8080: reset.", fix="start it.")
    fake.answers["people"] = lambda row: error if row["age"] == age else answer()


def test_a_table_continues_with_the_version_that_checked_it(web: FlaskClient, fake: FakeClient) -> None:
    rows = [str(20 + row / 64) for row in range(1500)]  # usual ages
    job = send_table(web, table_of(fake, rows))
    fail_at(fake, rows[1200])
    page = scored(web, job)
    assert codes(job_section(page)) == ["model_server_unreachable"]
    assert "Try again" in page
    assert "retrying" not in page  # this page does not retry
    fake.versions, fake.answers["people"] = ["1.0", "2.0"], answer()
    fake.requests.clear()
    assert row_counts(scored(web, job)) == (1500, 0, 0)
    assert [row["age"] for row in fake.requests] == rows[1000:]


def test_a_table_is_scored_by_the_default_version_if_its_version_is_gone(web: FlaskClient, fake: FakeClient) -> None:
    job = send_table(web, table_of(fake, ["38", "39"]))
    wait_until_idle(web, job)
    fake.versions = ["2.0"]
    assert row_counts(scored(web, job)) == (2, 0, 0)


@pytest.mark.parametrize("change", ["replaced", "unloaded"])
def test_all_rows_are_scored_again_if_the_model_was_replaced(web: FlaskClient, fake: FakeClient, change: str) -> None:
    rows = [str(20 + row / 64) for row in range(1500)]  # usual ages
    job = send_table(web, table_of(fake, rows))
    fail_at(fake, rows[1200])
    scored(web, job)
    if change == "replaced":
        fake.schemas["people"]["notices"] = ["another"]
        assert codes(job_section(scored(web, job))) == ["model_changed"]
    else:
        fake.versions = ["2.0"]
    fake.requests.clear()
    assert codes(job_section(scored(web, job))) == ["model_server_unreachable"]
    assert {row["age"] for row in fake.requests} >= set(rows[:1000])
    fake.answers["people"] = answer()
    fake.requests.clear()
    assert row_counts(scored(web, job)) == (1500, 0, 0)
    assert [row["age"] for row in fake.requests] == rows[1000:]


def test_answers_that_can_not_be_saved_are_an_error(
    web: FlaskClient, fake: FakeClient, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    job = send_table(web, table_of(fake, ["38"]))

    def full(*_: Any, **__: Any) -> None:
        raise CsvUnwritable("/srv/secret/answers.csv can't be written (No space left on device).", fix="make room.")

    with monkeypatch.context() as patch:
        patch.setattr(fake, "score_csv", full)
        page = scored(web, job)
    assert codes(job_section(page)) == ["answers_not_saved"]
    assert "/srv/secret" not in page
    assert "No space left on device" in capsys.readouterr().err
    assert row_counts(scored(web, job)) == (1, 0, 0)


def test_a_cell_over_the_limit_hides_the_first_answers(
    web: FlaskClient, fake: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastmar_contract.csv_rows._MAX_CELL", 131_072)  # smaller than the real limit
    before = csv.field_size_limit(131_072)
    try:
        page = scored(web, send_table(web, table_of(fake, ["38", "1" * 131_073, "39"])))
    finally:
        csv.field_size_limit(before)
    assert row_counts(page) == (3, 1, 0)
    assert "data-result" not in page


@pytest.mark.parametrize(
    ("ages", "counts", "found"),
    [
        (["38"], (1, 0, 0), {"all_scored": 0}),
        (["38", "39"], (2, 0, 0), {"all_scored": 0}),
        (["38", "odd", "odd"], (3, 0, 2), {"rows_warned": 2}),
        (["38", "bad", "bad"], (3, 2, 0), {"rows_failed": 2}),
        (["38", "bad", "odd"], (3, 1, 1), {"rows_failed": 1, "rows_warned": 1}),
        (["bad"], (1, 1, 0), {"rows_failed": 1}),
    ],
)
def test_results_of_rows_come_from_the_answers(
    web: FlaskClient, fake: FakeClient, ages: list[str], counts: tuple[int, int, int], found: dict[str, int]
) -> None:
    """The check before scoring finds no problem in these rows."""
    fake.schemas["people"]["record"]["properties"]["age"] = {"type": ["string"], "x-fastmar": {"kind": "text"}}
    warned = answer(warnings=[{"code": "unknown_category", "field": "age", "message": "is new."}])
    bad = RecordRefused("no.", fix="none.", status=400)
    fake.answers["people"] = lambda row: {"bad": bad, "odd": warned}.get(row["age"], answer())
    job = send_table(web, table_of(fake, ages))
    wait_until_idle(web, job)
    assert findings(web.get(job).text) == {"no_problems": 0}
    page = scored(web, job)
    assert row_counts(page) == counts
    assert findings(page) == found
    assert web.get(f"{job}/state").get_json()["sentence"] in page


def test_idle_tables_are_deleted_to_make_room_for_a_new_one(
    web: FlaskClient, fake: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_of(fake, ["38"] * 2_000)
    room = 8 * len(table) + 10_000  # four tables, four times the next one, and its form

    def usage(place: Path) -> Any:
        used = sum(path.stat().st_size for path in Path(place).rglob("*") if path.is_file())
        return SimpleNamespace(total=room, used=used, free=room - used)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    jobs = []
    for _ in range(7):
        jobs.append(send_table(web, table))
        wait_until_idle(web, jobs[-1])
    assert [web.get(job).status_code for job in jobs] == [404] * 2 + [200] * 5


@pytest.mark.parametrize("where", ["the form", "the table"])
def test_a_full_disk_is_an_error_without_details(
    web: FlaskClient, fake: FakeClient, monkeypatch: pytest.MonkeyPatch, capsys: Any, where: str
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device", "/srv/secret")

    form = {"table": (io.BytesIO(table_of(fake, ["38"])), "rows.csv")}
    place = (tempfile, "mkdtemp") if where == "the table" else (Request, "_get_file_stream")
    with monkeypatch.context() as patch:
        patch.setattr(*place, full)
        page = web.post("/models/people/table", data=form)
    assert (page.status_code, code_of_error(page.text)) == (503, "no_disk_space")
    assert "secret" not in page.text
    log = capsys.readouterr().err
    assert "No space left on device" in log
    assert "Traceback" not in log
    assert row_counts(scored(web, send_table(web, table_of(fake, ["38"])))) == (1, 0, 0)


def test_only_pages_that_retry_say_so(web: FlaskClient, fake: FakeClient) -> None:
    form: dict[str, Any] = {"data": FILLED}
    fake.go_down()
    assert "retrying" in web.get("/models/people").text
    page = web.post("/models/people", **form)
    assert page.status_code == 503
    assert "retrying" not in page.text
    assert 'data-module="waiting"' not in page.text  # it would send the form again
    assert "retrying" not in web.post("/models/people", **form, headers=ACCEPT_JSON).get_json()["html"]
