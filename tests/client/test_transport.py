from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack
from typing import Any

import numpy
import pytest
from tests.client.blocking import Connect
from tests.client.conftest import scripted_server
from tests.client.scripted import Reply, Scripted, Seen, echo, torchserve
from tests.engines.calls import wait_for

from fastmar_client import (
    AsyncClient,
    Client,
    ClientError,
    MethodRefused,
    ModelNotFound,
    RecordRefused,
    Retries,
    ServerFailed,
    ServerUnreachable,
    Timeout,
    TooLarge,
    Unauthorized,
)
from fastmar_client.retries import NO_RETRIES

QUICK = Retries(attempts=3, backoff=0.001)


@pytest.mark.parametrize(
    ("reply", "kind", "facts"),
    [
        (torchserve(404, "ModelNotFoundException", "Model not found: m"), ModelNotFound, {"status": 404}),
        (torchserve(404, "ModelVersionNotFoundException", "no 2.0"), ModelNotFound, {"status": 404}),
        (torchserve(400, "InvalidKeyException", "Token"), Unauthorized, {"status": 400}),
        (Reply(401, b"who?"), Unauthorized, {"status": 401, "message": "who?"}),
        (
            Reply(401, {"error": {"code": "no_key", "message": "no key", "fix": "send it"}}),
            Unauthorized,
            {"status": 401, "code": "no_key", "message": "no key", "fix": "send it"},
        ),
        (Reply(400, {"error": "a plain string"}), RecordRefused, {"message": "a plain string"}),
        (
            Reply(405, {"error": {"code": "method", "message": "not GET", "fix": "POST"}}),
            MethodRefused,
            {"code": "method"},
        ),
        (Reply(415, b"zstd"), RecordRefused, {"status": 415, "code": "unsupported_media_type"}),
        (Reply(429, b"", {"Retry-After": "7"}), ServerFailed, {"retry_after": "7"}),
        (Reply(503, b"", {"x-request-id": "r-7"}), ServerFailed, {"request_id": "r-7"}),
        (
            Reply(400, {"error": {"code": "missing_field", "field": "age", "message": "no age", "fix": "send it"}}),
            RecordRefused,
            {"status": 400, "code": "missing_field", "field": "age", "message": "no age", "fix": "send it"},
        ),
        (torchserve(413, "TooLarge", "too large"), TooLarge, {"status": 413, "code": "too_large"}),
        (Reply(408, b""), ServerFailed, {"status": 408}),
        (Reply(425, b""), ServerFailed, {"status": 425}),
        (Reply(429, b"slow down"), ServerFailed, {"status": 429, "message": "slow down"}),
        (torchserve(503, "InternalServerException", "Prediction failed"), ServerFailed, {"status": 503}),
        (torchserve(500, "InternalServerException", "Worker died."), ServerFailed, {"message": "Worker died."}),
        (Reply(200, b"<html>"), ServerFailed, {"code": "not_json"}),
        (Reply(302, b"", {"Location": "/elsewhere"}), ServerFailed, {"code": "not_json"}),
    ],
)
def test_responses_become_errors(
    connect: Connect, scripted: Scripted, reply: Reply, kind: type[ClientError], facts: dict[str, Any]
) -> None:
    scripted.replies(reply)
    with connect(scripted.url, retries=NO_RETRIES) as client, pytest.raises(kind) as caught:
        client.predict("m", {})
    assert {name: getattr(caught.value, name) for name in facts} == facts
    assert caught.value.model == "m"
    assert caught.value.fix


@pytest.mark.parametrize("content", [b"", {"error": {"code": "too_large", "message": "too many", "fix": "16 MB"}}])
def test_case_too_large_413(connect: Connect, scripted: Scripted, content: Any) -> None:
    scripted.replies(Reply(413, content))
    with connect(scripted.url, retries=QUICK) as client:
        with pytest.raises(TooLarge) as caught:
            client.predict("m", b"x" * 1000)
        assert caught.value.code == "too_large"
        assert "16 MB" in caught.value.fix
        assert ("1,000" in caught.value.message) == (not content)
        assert isinstance(caught.value, RecordRefused), "a batch that is too large is bisected"
    assert len(scripted.seen) == 1


def test_error_has_all_faults_of_a_record(connect: Connect, scripted: Scripted) -> None:
    faults = [{"code": "missing_column", "field": name, "message": f"no {name}", "fix": "send it"} for name in "ab"]
    report = {**faults[0], "record": 0, "errors": faults}
    scripted.replies(Reply(400, {"error": report}))
    with connect(scripted.url) as client, pytest.raises(RecordRefused) as caught:
        client.predict("m", {})
    assert (caught.value.code, caught.value.field) == ("missing_column", "a")
    assert caught.value.faults == faults
    assert caught.value.as_dict()["error"]["errors"] == faults
    scripted.replies(Reply(body=[{"error": report}]))
    with connect(scripted.url) as client, pytest.raises(RecordRefused) as caught:
        list(client.predict_many("m", [{}], on_error="raise"))
    assert caught.value.faults == faults


def test_request_id_and_headers_of_the_caller(connect: Connect, scripted: Scripted) -> None:
    scripted.replies(Reply(500, b""), Reply(body=[{"prediction": 1}]))
    ids = iter(("t-1", "t-2"))
    with connect(scripted.url, retries=QUICK, headers=lambda: {"traceparent": next(ids)}) as client:
        client.predict("m", [{}], request_id="import-7")
        assert [seen.headers["x-request-id"] for seen in scripted.seen] == ["import-7"] * 2, "the retry has the same id"
        assert {seen.headers["traceparent"] for seen in scripted.seen} == {"t-1"}
        scripted.replies(Reply(400, {"error": "no"}))
        with pytest.raises(RecordRefused) as caught:
            client.predict("m", {}, request_id="import-8")
    assert caught.value.request_id == "import-8", "the response does not have it"


def test_retries_end_after_patience(connect: Connect, scripted: Scripted) -> None:
    scripted.replies(Reply(503, b"", {"Retry-After": "60"}))
    started_at = time.monotonic()
    with connect(scripted.url, retries=Retries(patience=1.0)) as client, pytest.raises(ServerFailed):
        client.predict("m", {})
    assert time.monotonic() - started_at < 30
    assert len(scripted.seen) == 1
    total = sum(min(0.1 * 2**number, 10) for number in range(Retries().attempts - 1))
    assert total / 2 > 15, "long enough for the restart of a worker"


def test_an_address_may_lack_the_scheme_and_name_a_model(connect: Connect, scripted: Scripted) -> None:
    scripted.replies(Reply(body={"prediction": 1}))
    for path in ("/", "/predictions/m", "/predictions/m/1.0", "/predictions/"):
        with connect(scripted.url.removeprefix("http://") + path) as client:
            assert client.predict("m", {}) == {"prediction": 1}
        assert scripted.seen[-1].path == "/predictions/m"


@pytest.mark.parametrize("arguments", [({"x": 1}, "m"), ("m", {}, 2), ("m", [{}], 2.0), ({"x": 1}, {}), (["m"], [{}])])
def test_wrong_types_of_names_are_refused(connect: Connect, scripted: Scripted, arguments: Any) -> None:
    with connect(scripted.url) as client:
        with pytest.raises(TypeError, match="Fix: "):
            client.predict(*arguments)
        if len(arguments) == 3:
            with pytest.raises(TypeError, match="Fix: "):
                client.schema(arguments[0], arguments[2])
    assert scripted.seen == []


def test_the_fix_for_an_unknown_model_is_a_command(connect: Connect, scripted: Scripted) -> None:
    report = {"code": "model_not_found", "field": None, "message": "no m", "fix": "GET /v1/models lists the models."}
    scripted.replies(Reply(404, {"error": report}))
    with connect(scripted.url) as client, pytest.raises(ModelNotFound) as caught:
        client.predict("m", {})
    assert caught.value.code == "model_not_found"
    assert "fastmar models" in caught.value.fix
    scripted.replies(Reply(404, {"error": {**report, "code": "not_found", "fix": "use port 8080."}}))
    with connect(scripted.url) as client, pytest.raises(ModelNotFound) as caught:
        client.predict("m", {})
    assert caught.value.fix == "use port 8080."


def test_connection_refused(connect: Connect) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with connect(url, retries=QUICK) as client, pytest.raises(ServerUnreachable) as caught:
        client.predict("m", {})
    assert "Connection refused" in caught.value.message


def test_retries_after_a_timeout_only_if_configured(connect: Connect, scripted: Scripted) -> None:
    ended = threading.Event()

    def answer_at_the_end(seen: Seen) -> Reply:
        ended.wait(60)
        return Reply(body={})

    def assert_received(count: int) -> None:
        """The server reads a request in its own time, perhaps after the client's timeout."""
        wait_for(lambda: len(scripted.seen) >= count)
        assert len(scripted.seen) == count

    scripted.reply = answer_at_the_end
    try:
        with connect(scripted.url, timeout=(30, 0.05), retries=QUICK) as client, pytest.raises(Timeout) as caught:
            client.predict("m", {})
        assert "0.05" in caught.value.message
        assert_received(1)
        patient = Retries(attempts=2, backoff=0.001, after_timeout=True)
        with connect(scripted.url, timeout=(30, 0.05), retries=patient) as client, pytest.raises(Timeout):
            client.predict("m", {})
        assert_received(3)
    finally:
        ended.set()


@pytest.mark.parametrize("timeout", [0.05, numpy.float32(0.05), [1, 0.05]])
def test_timeout_may_be_one_number(connect: Connect, timeout: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with connect(url, timeout=timeout) as client, pytest.raises(Timeout) as caught:
            client.predict("m", {})
    assert "0.05" in caught.value.message


@pytest.mark.parametrize(
    "timeout", [None, "5", True, (3,), (3, None), (1, 2, 3), 0, -1, (3, 0), float("inf"), float("nan")]
)
def test_other_timeouts_are_refused_by_the_constructor(timeout: Any) -> None:
    for client_class in (Client, AsyncClient):
        with pytest.raises((TypeError, ValueError), match="Fix: "):
            client_class("http://127.0.0.1:1", timeout=timeout)


def test_malformed_address_is_a_client_error(connect: Connect) -> None:
    with connect("nonsense://host") as client, pytest.raises(ClientError) as caught:
        client.predict("m", {})
    assert caught.value.code == "not_sendable"


def test_predict_many_survives_the_restart_of_the_server(connect: Connect) -> None:
    with ExitStack() as servers:
        first = servers.enter_context(scripted_server())
        first.reply = lambda seen: Reply(200, echo(seen).body, {"Connection": "close"})

        def restart() -> None:
            again = servers.enter_context(scripted_server(int(first.url.rpartition(":")[2])))
            again.reply = echo

        policy = Retries(backoff=0.01, connects=2)
        with connect(first.url, retries=policy) as client:
            answers = client.predict_many("m", ({"n": n} for n in range(20)), batch_size=2, concurrency=1)
            found = [next(answers)]
            servers.pop_all().close()
            later = threading.Timer(0.5, restart)
            later.start()
            found += answers
            later.join()
    assert [answer["prediction"]["n"] for answer in found] == list(range(20))


def test_retries_a_broken_connection(connect: Connect, scripted: Scripted) -> None:
    scripted.replies(None, None, Reply(body={"prediction": 1}))
    with connect(scripted.url, retries=QUICK) as client:
        assert client.predict("m", {}) == {"prediction": 1}


def test_retries_are_limited(connect: Connect, scripted: Scripted) -> None:
    scripted.replies(None)
    with connect(scripted.url, retries=QUICK) as client, pytest.raises(ServerUnreachable):
        client.predict("m", {})
    assert len(scripted.seen) == 3


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 507])
def test_retries_temporary_failures(connect: Connect, scripted: Scripted, status: int) -> None:
    scripted.replies(Reply(status, {}), Reply(body={"prediction": 1}))
    with connect(scripted.url, retries=QUICK) as client:
        assert client.predict("m", {}) == {"prediction": 1}


@pytest.mark.parametrize("status", [400, 401, 404, 405, 413, 415, 501])
def test_does_not_retry_other_errors(connect: Connect, scripted: Scripted, status: int) -> None:
    scripted.replies(Reply(status, {}), Reply(body={"prediction": 1}))
    with connect(scripted.url, retries=QUICK) as client, pytest.raises(ClientError):
        client.predict("m", {})
    assert len(scripted.seen) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 503])
def test_retries_responses_with_retry_after(connect: Connect, scripted: Scripted, status: int) -> None:
    scripted.replies(Reply(status, {}, {"Retry-After": "0"}), Reply(body={"prediction": 1}))
    with connect(scripted.url, retries=Retries(attempts=3, backoff=0.001, after_failure=False)) as client:
        assert client.predict("m", {}) == {"prediction": 1}


def test_pauses_grow_with_jitter_to_a_maximum() -> None:
    policy = Retries(backoff=1.0, longest=5.0)
    assert all(0.5 <= policy.pause(1) <= 1.0 and 2.0 <= policy.pause(3) <= 4.0 for _ in range(50))
    assert policy.pause(30) <= 5.0
    assert policy.pause(1, "3") == 3.0
    assert policy.pause(1, "900") == 5.0
    assert policy.pause(1, "Wed, 21 Oct 2026 07:28:00 GMT") <= 1.0
