"""Limits on the tables of one visitor and of one client address."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from flask import Flask

from fastmar_web.errors import TooManyTables, Unavailable
from fastmar_web.limits import Limit, client_network
from fastmar_web.tables import job as job_module
from fastmar_web.tables import jobs as jobs_module
from fastmar_web.tables.job import DONE, Job
from fastmar_web.tables.jobs import Jobs
from fastmar_web.tables.preview import Preview
from tests.web.conftest import listening
from tests.web.html import code_of_error

VISITOR = Limit("This browser", tables=3, active=2, stored_bytes=1000)
ADDRESS = Limit("This network address", tables=5, active=3, stored_bytes=2600)


@pytest.fixture
def jobs(tmp_path: Any) -> Iterator[Jobs]:
    made = Jobs(tmp_path / "jobs", visitor=VISITOR, address=ADDRESS)
    yield made
    made.close()


class Sender:
    """Uploads tables to `jobs`. Those sent with `stays_active` stay active until `may_end` is set."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self.may_end = threading.Event()

    def send(self, visitor: str, address: str = "", size: int = 10, *, stays_active: bool = False) -> Job:
        def look(path: Any, on_row: Any) -> Preview:
            if stays_active:
                self.may_end.wait(60)
            return Preview(total=1)

        job = self._jobs.add("m", "t.csv", io.BytesIO(b"x" * size), look, visitor, address)
        if not stays_active:
            assert job.finished.wait(60)
        return job


@pytest.fixture
def sender(jobs: Jobs) -> Iterator[Sender]:
    made = Sender(jobs)
    yield made
    made.may_end.set()


def test_active_tables_are_limited_by_visitor_and_by_address(sender: Sender, jobs: Jobs) -> None:
    active = [sender.send("ann", "office", stays_active=True) for _ in range(2)]
    with pytest.raises(TooManyTables) as caught:
        sender.send("ann", "office")
    assert (caught.value.code, caught.value.status, caught.value.retry_after) == ("too_many_active_tables", 429, 15)
    assert VISITOR.who in caught.value.message
    active.append(sender.send("bob", "office", stays_active=True))
    with pytest.raises(TooManyTables) as caught:
        sender.send("eve", "office")
    assert caught.value.code == "too_many_active_tables"
    assert ADDRESS.who in caught.value.message
    jobs.make_room(10, "eve", "home")  # another address is not limited
    with pytest.raises(TooManyTables):
        jobs.make_room(10, "eve", "office")  # also before the upload is read
    sender.may_end.set()
    assert all(job.finished.wait(60) for job in active)
    sender.send("ann", "office")
    assert all(job.folder.exists() for job in active)


def test_scoring_is_limited_like_uploading(sender: Sender, jobs: Jobs) -> None:
    idle = sender.send("ann")
    for _ in range(2):
        sender.send("ann", stays_active=True)
    with pytest.raises(TooManyTables) as caught:
        jobs.score(idle, lambda *_: pytest.fail("scored"))
    assert caught.value.code == "too_many_active_tables"
    assert not idle.is_active


def test_idle_tables_of_the_same_visitor_are_deleted_at_the_limit_of_bytes(sender: Sender) -> None:
    other = sender.send("bob", size=900)
    own = [sender.send("ann", size=400) for _ in range(3)]
    assert [job.folder.exists() for job in own] == [False, True, True]
    assert other.folder.exists()
    busy = [sender.send("ann", size=400, stays_active=True) for _ in range(2)]
    sender.may_end.set()
    assert all(job.finished.wait(60) for job in busy)
    assert [job.folder.exists() for job in [*own, *busy]] == [False, False, False, True, True]


def test_active_tables_are_not_deleted_at_the_limit_of_bytes(sender: Sender) -> None:
    active = sender.send("ann", size=900, stays_active=True)
    with pytest.raises(TooManyTables) as caught:
        sender.send("ann", size=200)
    assert caught.value.code == "too_many_tables"
    assert active.folder.exists()


def test_answers_count_as_stored_bytes(sender: Sender, jobs: Jobs) -> None:
    job = sender.send("ann", size=10)
    assert job.stored_bytes == 10
    job.answers.write_bytes(b"x" * 500)
    assert job.stored_bytes == 510


def test_a_full_address_gets_the_time_until_there_is_room(sender: Sender) -> None:
    """A client without cookies is a new visitor each time, so only the limit of its address applies."""
    tables = [sender.send(f"visitor {n}", "office", size=500) for n in range(5)]
    tables[3].last_used -= job_module.LIFETIME - 90
    with pytest.raises(TooManyTables) as caught:
        sender.send("visitor 6", "office")
    assert caught.value.code == "too_many_tables"
    assert caught.value.retry_after in (89, 90)
    for fact in (ADDRESS.who, "5 tables", "3 kB", "2 minutes"):
        assert fact in caught.value.message
    with pytest.raises(TooManyTables) as caught:
        sender.send("visitor 6", "office", size=1000)  # this one needs the bytes of two tables
    assert caught.value.retry_after in (3599, 3600)
    assert all(job.folder.exists() for job in tables)
    sender.send("visitor 3", "office")  # replaces the idle table of the same visitor
    assert [job.folder.exists() for job in tables] == [True, True, True, False, True]
    sender.send("visitor 6", "home")


def test_concurrent_uploads_do_not_exceed_the_limit(jobs: Jobs, sender: Sender) -> None:
    """The limit is checked again when a table is saved, since several may pass the check before the upload."""
    refused = []
    barrier = threading.Barrier(6)

    def send() -> None:
        jobs.make_room(10, "ann")
        barrier.wait(30)
        try:
            sender.send("ann", stays_active=True)
        except TooManyTables:
            refused.append(1)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(refused) == 4


def test_all_visitors_together_are_limited(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "MAX_JOBS", 2)
    first, second = sender.send("ann", "a"), sender.send("bob", "b")
    with pytest.raises(Unavailable) as caught:
        sender.send("eve", "c")
    assert (caught.value.code, caught.value.status) == ("too_many_jobs", 503)
    sender.send("bob", "b")
    assert (first.folder.exists(), second.folder.exists()) == (True, False)


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::1]", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_client_of_an_address(address: str, client: str) -> None:
    assert client_network(address) == client


def upload(address: str, **headers: str) -> requests.Response:
    files = {"table": ("t.csv", b"age\n1\n")}
    return requests.post(
        f"{address}/models/people/table", files=files, headers=headers, timeout=20, allow_redirects=False
    )


@pytest.mark.parametrize("trusted", ["", "127.0.0.1", "192.0.2.1"])
def test_only_a_trusted_proxy_can_name_the_client_address(make_app: Callable[..., Flask], trusted: str) -> None:
    app = make_app(address=Limit("This network address", tables=1, active=10, stored_bytes=10**6))
    with listening(app, trusted_proxy=trusted) as address:
        first = upload(address, **{"X-Forwarded-For": "6.6.6.6, 192.0.2.7"})
        same = upload(address, **{"X-Forwarded-For": "192.0.2.7"})  # the client itself sent the first address above
        other = upload(address, **{"X-Forwarded-For": "192.0.2.8"})
    assert (first.status_code, same.status_code) == (303, 429)
    assert other.status_code == (303 if trusted == "127.0.0.1" else 429)


def test_a_refused_upload_names_the_limit_and_the_time_to_retry(make_app: Callable[..., Flask]) -> None:
    app = make_app(address=Limit("This network address", tables=1, active=10, stored_bytes=10**6))
    with listening(app) as address:
        kept = upload(address).headers["Location"]
        refused = upload(address)
        scripted = upload(address, Accept="application/json")
        assert requests.get(f"{address}{kept}", timeout=60).status_code == 200  # it is not deleted
    assert (refused.status_code, scripted.status_code) == (429, 429)
    assert scripted.json()["code"] == "too_many_tables"
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    for text in (refused.text, scripted.json()["html"]):
        assert code_of_error(text) == "too_many_tables"
        for fact in ("This network address", "1 table", "1 MB", "60 minutes"):
            assert fact in text


def test_a_visitor_who_scores_too_many_tables_is_refused(make_app: Callable[..., Flask], fake: Any) -> None:
    app = make_app(visitor=Limit("This browser", tables=20, active=1, stored_bytes=10**6))
    web = app.test_client()
    may_end = threading.Event()
    fake.score_csv = lambda *_, **__: may_end.wait(60)
    columns = ",".join(name for name in fake.schemas["people"]["record"]["properties"] if "<" not in name)
    jobs: Jobs = app.extensions["fastmar_jobs"]
    head = f"{columns}\n{',' * columns.count(',')}7\n".encode()
    pages = []
    for _ in range(2):
        pages.append(web.post("/models/people/table", data={"table": (io.BytesIO(head), "t.csv")}).headers["Location"])
        assert jobs.get(pages[-1].rpartition("/")[2]).finished.wait(60)
    try:
        assert web.post(f"{pages[0]}/score").status_code == 303
        refused = web.post(f"{pages[1]}/score")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "15")
        assert code_of_error(refused.text) == "too_many_active_tables"
    finally:
        may_end.set()
    assert web.get(pages[1]).status_code == 200
    deadline = time.monotonic() + 30
    while jobs.get(pages[0].rpartition("/")[2]).is_active and time.monotonic() < deadline:
        time.sleep(0.01)
    assert jobs.get(pages[0].rpartition("/")[2]).state in (DONE, "failed")
