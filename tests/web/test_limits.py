"""What one visitor and one client address may have at a time, and how a refusal says it."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from flask import Flask

from fastmar_web import jobs as jobs_module
from fastmar_web.errors import TooMany, Unavailable
from fastmar_web.jobs import DONE, Job, Jobs
from fastmar_web.limits import Limit, client
from fastmar_web.tables import Preview
from tests.web.conftest import listening

VISITOR = Limit("This browser", tables=3, at_work=2, held=1000)
ADDRESS = Limit("This network address", tables=5, at_work=3, held=2600)


@pytest.fixture
def jobs(tmp_path: Any) -> Iterator[Jobs]:
    made = Jobs(tmp_path / "jobs", visitor=VISITOR, address=ADDRESS)
    yield made
    made.close()


class Sender:
    """Sends tables to `jobs`; those that are to stay at work do until `may_end`."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self.may_end = threading.Event()

    def send(self, visitor: str, address: str = "", size: int = 10, *, stays: bool = False) -> Job:
        def look(path: Any, on_row: Any) -> Preview:
            if stays:
                self.may_end.wait(60)
            return Preview(total=1)

        job = self._jobs.add("m", "t.csv", io.BytesIO(b"x" * size), look, visitor, address)
        if not stays:
            assert job.settled.wait(60)
        return job


@pytest.fixture
def sender(jobs: Jobs) -> Iterator[Sender]:
    made = Sender(jobs)
    yield made
    made.may_end.set()


def test_tables_at_work_are_limited_by_visitor_and_then_by_address(sender: Sender, jobs: Jobs) -> None:
    at_work = [sender.send("ann", "office", stays=True) for _ in range(2)]
    with pytest.raises(TooMany, match="This browser has 2 tables at work, and may have 2") as refused:
        sender.send("ann", "office")
    assert (refused.value.status, refused.value.retry_after) == (429, 15)
    at_work.append(sender.send("bob", "office", stays=True))
    with pytest.raises(TooMany, match="This network address has 3 tables at work, and may have 3"):
        sender.send("eve", "office")
    jobs.make_room(10, "eve", "home")  # another address has nothing to wait for
    with pytest.raises(TooMany):
        jobs.make_room(10, "eve", "office")  # before the table is read
    sender.may_end.set()
    assert all(job.settled.wait(60) for job in at_work)
    sender.send("ann", "office")
    assert all(job.folder.exists() for job in at_work)


def test_scoring_is_limited_as_well_as_sending(sender: Sender, jobs: Jobs) -> None:
    at_rest = sender.send("ann")
    for _ in range(2):
        sender.send("ann", stays=True)
    with pytest.raises(TooMany, match="at work"):
        jobs.score(at_rest, lambda *_: pytest.fail("scored"))
    assert not at_rest.at_work


def test_held_bytes_are_limited_and_the_visitors_own_tables_make_room(sender: Sender) -> None:
    other = sender.send("bob", size=900)
    own = [sender.send("ann", size=400) for _ in range(3)]
    assert [job.folder.exists() for job in own] == [False, True, True]
    assert other.folder.exists()
    busy = [sender.send("ann", size=400, stays=True) for _ in range(2)]
    sender.may_end.set()
    assert all(job.settled.wait(60) for job in busy)
    assert [job.folder.exists() for job in [*own, *busy]] == [False, False, False, True, True]


def test_held_bytes_of_tables_at_work_make_no_room(sender: Sender) -> None:
    at_work = sender.send("ann", size=900, stays=True)
    with pytest.raises(TooMany, match="1 table of 1 kB here, and may have 3 of 1 kB in all"):
        sender.send("ann", size=200)
    assert at_work.folder.exists()


def test_answers_count_among_the_held_bytes(sender: Sender, jobs: Jobs) -> None:
    job = sender.send("ann", size=10)
    assert job.held == 10
    job.answers.write_bytes(b"x" * 500)
    assert job.held == 510


def test_a_full_address_is_told_when_there_is_room_and_loses_nothing(sender: Sender) -> None:
    """Whoever sends no cookie is a new visitor each time: only the address limits them."""
    held = [sender.send(f"visitor {n}", "office", size=500) for n in range(5)]
    held[3].used -= jobs_module.KEPT - 90
    with pytest.raises(TooMany, match=r"has 5 tables of 2 kB here, and may have 5 of 3 kB.*in 2 minutes") as refused:
        sender.send("visitor 6", "office")
    assert refused.value.retry_after in (89, 90)
    with pytest.raises(TooMany, match="in 60 minutes"):  # this one needs the bytes of two tables
        sender.send("visitor 6", "office", size=1000)
    assert all(job.folder.exists() for job in held)
    sender.send("visitor 3", "office")  # takes the place of its own
    assert [job.folder.exists() for job in held] == [True, True, True, False, True]
    sender.send("visitor 6", "home")


def test_two_uploads_at_once_are_not_both_taken(jobs: Jobs, sender: Sender) -> None:
    """The limit is checked again when a table is saved: many may pass the check before they are read."""
    refused = []
    barrier = threading.Barrier(6)

    def send() -> None:
        jobs.make_room(10, "ann")
        barrier.wait(30)
        try:
            sender.send("ann", stays=True)
        except TooMany:
            refused.append(1)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(refused) == 4


def test_all_visitors_together_are_limited(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "ALL", 2)
    first, second = sender.send("ann", "a"), sender.send("bob", "b")
    with pytest.raises(Unavailable, match="too many tables") as refused:
        sender.send("eve", "c")
    assert refused.value.status == 503
    sender.send("bob", "b")
    assert (first.folder.exists(), second.folder.exists()) == (True, False)


@pytest.mark.parametrize(
    ("address", "found"),
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
def test_the_client_that_an_address_belongs_to(address: str, found: str) -> None:
    assert client(address) == found


def upload(address: str, **headers: str) -> requests.Response:
    sent = {"table": ("t.csv", b"age\n1\n")}
    return requests.post(
        f"{address}/models/people/table", files=sent, headers=headers, timeout=20, allow_redirects=False
    )


@pytest.mark.parametrize("trusted", ["", "127.0.0.1", "192.0.2.1"])
def test_the_address_is_the_sockets_unless_a_trusted_proxy_says_another(
    make_app: Callable[..., Flask], trusted: str
) -> None:
    app = make_app(address=Limit("This network address", tables=1, at_work=10, held=10**6))
    with listening(app, trusted_proxy=trusted) as address:
        first = upload(address, **{"X-Forwarded-For": "6.6.6.6, 192.0.2.7"})
        same = upload(address, **{"X-Forwarded-For": "192.0.2.7"})  # what stands before the proxy's is the client's own
        other = upload(address, **{"X-Forwarded-For": "192.0.2.8"})
    assert (first.status_code, same.status_code) == (303, 429)
    assert other.status_code == (303 if trusted == "127.0.0.1" else 429)


def test_a_refused_upload_says_the_limit_and_when_it_frees(make_app: Callable[..., Flask]) -> None:
    app = make_app(address=Limit("This network address", tables=1, at_work=10, held=10**6))
    with listening(app) as address:
        kept = upload(address).headers["Location"]
        refused = upload(address)
        scripted = upload(address, Accept="application/json")
        assert requests.get(f"{address}{kept}", timeout=20).status_code == 200  # nothing of others is deleted
    assert (refused.status_code, scripted.status_code) == (429, 429)
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    for text in (refused.text, scripted.json()["html"]):
        assert re.search(r"This network address has 1 table of 1 kB here, and may have 1 of 1 MB in all\.", text)
        assert "in 60 minutes at the latest" in text


def test_a_visitor_who_scores_too_many_at_once_is_told(make_app: Callable[..., Flask], fake: Any) -> None:
    app = make_app(visitor=Limit("This browser", tables=20, at_work=1, held=10**6))
    web = app.test_client()
    may_end = threading.Event()
    fake.score_csv = lambda *_, **__: may_end.wait(60)
    columns = ",".join(name for name in fake.schemas["people"]["record"]["properties"] if "<" not in name)
    jobs: Jobs = app.extensions["fastmar_jobs"]
    head = f"{columns}\n{',' * columns.count(',')}7\n".encode()
    pages = []
    for _ in range(2):
        pages.append(web.post("/models/people/table", data={"table": (io.BytesIO(head), "t.csv")}).headers["Location"])
        assert jobs.get(pages[-1].rpartition("/")[2]).settled.wait(60)
    try:
        assert web.post(f"{pages[0]}/score").status_code == 303
        refused = web.post(f"{pages[1]}/score")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "15")
        assert "This browser has 1 table at work, and may have 1." in refused.text
    finally:
        may_end.set()
    assert web.get(pages[1]).status_code == 200
    deadline = time.monotonic() + 30
    while jobs.get(pages[0].rpartition("/")[2]).at_work and time.monotonic() < deadline:
        time.sleep(0.01)
    assert jobs.get(pages[0].rpartition("/")[2]).state in (DONE, "failed")
