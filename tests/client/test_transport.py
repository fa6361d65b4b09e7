from __future__ import annotations

import socket
import time
from typing import Any

import pytest
from tests.client.scripted import Reply, Scripted, Seen, torchserve

from fastmar_client import (
    Client,
    ClientError,
    ModelNotFound,
    RecordRefused,
    Retries,
    ServerFailed,
    ServerUnreachable,
    Timeout,
    Unauthorized,
)

QUICK = Retries(attempts=3, backoff=0.001)


@pytest.mark.parametrize(
    ("reply", "kind", "facts"),
    [
        (torchserve(404, "ModelNotFoundException", "Model not found: m"), ModelNotFound, {"status": 404}),
        (torchserve(404, "ModelVersionNotFoundException", "no 2.0"), ModelNotFound, {"status": 404}),
        (torchserve(400, "InvalidKeyException", "Token"), Unauthorized, {"status": 400}),
        (Reply(401, b"who?"), Unauthorized, {"status": 401, "message": "who?"}),
        (
            Reply(400, {"error": {"code": "missing_field", "field": "age", "message": "no age", "fix": "send it"}}),
            RecordRefused,
            {"status": 400, "code": "missing_field", "field": "age", "message": "no age", "fix": "send it"},
        ),
        (torchserve(413, "TooLarge", "too large"), RecordRefused, {"status": 413, "code": "record_refused"}),
        (Reply(408, b""), ServerFailed, {"status": 408}),
        (Reply(425, b""), ServerFailed, {"status": 425}),
        (Reply(429, b"slow down"), ServerFailed, {"status": 429, "message": "slow down"}),
        (torchserve(503, "InternalServerException", "Prediction failed"), ServerFailed, {"status": 503}),
        (torchserve(500, "InternalServerException", "Worker died."), ServerFailed, {"message": "Worker died."}),
        (Reply(200, b"<html>"), ServerFailed, {"code": "not_json"}),
        (Reply(302, b"", {"Location": "/elsewhere"}), ServerFailed, {"code": "not_json"}),
    ],
)
def test_each_answer_has_its_error(
    scripted: Scripted, reply: Reply, kind: type[ClientError], facts: dict[str, Any]
) -> None:
    scripted.replies(reply)
    with Client(scripted.url, retries=QUICK) as client, pytest.raises(kind) as failure:
        client.predict("m", {})
    assert {name: getattr(failure.value, name) for name in facts} == facts
    assert failure.value.model == "m"
    assert "Fix: " in str(failure.value)
    assert len(scripted.seen) == 1, "none of these is repeated"


def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with Client(url, retries=QUICK) as client, pytest.raises(ServerUnreachable, match="Connection refused"):
        client.predict("m", {})


def test_no_answer_in_time_is_not_repeated_unless_asked(scripted: Scripted) -> None:
    def slow(seen: Seen) -> Reply:
        time.sleep(0.2)
        return Reply(body={})

    scripted.reply = slow
    with Client(scripted.url, timeout=(1, 0.05), retries=QUICK) as client, pytest.raises(Timeout, match=r"0\.05 s"):
        client.predict("m", {})
    assert len(scripted.seen) == 1
    patient = Retries(attempts=2, backoff=0.001, after_timeout=True)
    with Client(scripted.url, timeout=(1, 0.05), retries=patient) as client, pytest.raises(Timeout):
        client.predict("m", {})
    assert len(scripted.seen) == 3


def test_a_wrong_address_is_an_error_of_ours() -> None:
    with Client("nonsense") as client, pytest.raises(ClientError, match="can't be sent"):
        client.predict("m", {})


def test_a_broken_connection_is_repeated(scripted: Scripted) -> None:
    scripted.replies(None, None, Reply(body={"prediction": 1}))
    with Client(scripted.url, retries=QUICK) as client:
        assert client.predict("m", {}) == {"prediction": 1}


def test_but_not_for_ever(scripted: Scripted) -> None:
    scripted.replies(None)
    with Client(scripted.url, retries=QUICK) as client, pytest.raises(ServerUnreachable):
        client.predict("m", {})
    assert len(scripted.seen) == 3


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_a_failure_is_repeated_where_that_is_wanted(scripted: Scripted, status: int) -> None:
    scripted.replies(Reply(status, {}), Reply(body={"prediction": 1}))
    with Client(scripted.url, retries=Retries(attempts=3, backoff=0.001, after_failure=True)) as client:
        assert client.predict("m", {}) == {"prediction": 1}


@pytest.mark.parametrize("status", [408, 425, 429, 503])
def test_not_now_is_repeated_when_the_server_says_when(scripted: Scripted, status: int) -> None:
    scripted.replies(Reply(status, {}, {"Retry-After": "0"}), Reply(body={"prediction": 1}))
    with Client(scripted.url, retries=QUICK) as client:
        assert client.predict("m", {}) == {"prediction": 1}


def test_pauses_grow_have_a_random_part_and_an_end() -> None:
    plan = Retries(backoff=1.0, longest=5.0)
    assert all(0.5 <= plan.pause(1) <= 1.0 and 2.0 <= plan.pause(3) <= 4.0 for _ in range(50))
    assert plan.pause(30) <= 5.0
    assert plan.pause(1, "3") == 3.0
    assert plan.pause(1, "900") == 5.0
    assert plan.pause(1, "Wed, 21 Oct 2026 07:28:00 GMT") <= 1.0
