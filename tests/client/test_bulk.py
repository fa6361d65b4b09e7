from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from tests.client.blocking import Connect
from tests.client.scripted import Reply, Scripted, Seen, echo, torchserve

from fastmar_client import (
    RecordRefused,
    Retries,
    ServerFailed,
)
from fastmar_client.retries import NO_RETRIES


def test_answers_and_errors_keep_the_order_of_records(connect: Connect, scripted: Scripted) -> None:
    def reply(seen: Seen) -> Reply:
        batch = json.loads(seen.body)
        time.sleep(0.02 if batch[0]["x"] == 0 else 0)  # answer the first batch last
        answers = [
            {"error": {"code": "bad", "record": i, "message": "no", "fix": "f"}}
            if r["x"] == 7
            else {"prediction": r["x"]}
            for i, r in enumerate(batch)
        ]
        return Reply(400 if all("error" in answer for answer in answers) else 200, answers)

    scripted.reply = reply
    progress: list[int] = []
    with connect(scripted.url) as client:
        answers = list(
            client.predict_many("m", ({"x": i} for i in range(10)), batch_size=3, on_progress=progress.append)
        )
        assert [answer.get("prediction") for answer in answers] == [0, 1, 2, 3, 4, 5, 6, None, 8, 9]
        assert answers[7]["error"]["record"] == 7
        assert progress == [3, 6, 9, 10]
        with pytest.raises(RecordRefused) as caught:
            list(client.predict_many("m", ({"x": i} for i in range(10)), batch_size=3, on_error="raise"))
        assert caught.value.code == "bad"
        assert caught.value.message.startswith("record 7 (counted from 0): ")
        assert list(client.predict_many("m", [])) == []


@pytest.mark.parametrize("status", [408, 425, 429])
def test_overload_does_not_bisect_the_batch(connect: Connect, scripted: Scripted, status: int) -> None:
    scripted.replies(Reply(status, b"slow down"))
    with connect(scripted.url, retries=NO_RETRIES) as client, pytest.raises(ServerFailed) as caught:
        list(client.predict_many("m", [{"x": i} for i in range(64)], concurrency=1))
    assert caught.value.status == status
    assert len(scripted.seen) == 1


def test_batch_is_retried_after_a_timeout(connect: Connect, scripted: Scripted) -> None:
    """TorchServe may lose the requests of a worker that was killed."""
    answered = threading.Event()

    def reply(seen: Seen) -> Reply:
        if len(scripted.seen) == 1:
            answered.wait(60)
        return echo(seen)

    scripted.reply = reply
    with connect(scripted.url, timeout=(30, 0.5), retries=Retries(backoff=0.001)) as client:
        assert list(client.predict_many("m", [{"x": 1}])) == [{"prediction": {"x": 1}}]
    answered.set()
    assert len(scripted.seen) >= 2  # on a busy machine also later ones may take too long


@pytest.mark.parametrize("status", [500, 502, 503, 504, 507])
def test_batch_is_retried_if_its_worker_dies(connect: Connect, scripted: Scripted, status: int) -> None:
    failed: set[bytes] = set()

    def reply(seen: Seen) -> Reply | None:
        if seen.body in failed:
            return echo(seen)
        failed.add(seen.body)
        return Reply(status, b"Worker died.") if len(failed) % 2 else None

    scripted.reply = reply
    records = [{"x": number} for number in range(40)]
    with connect(scripted.url, retries=Retries(backoff=0.001)) as client:
        answers = list(client.predict_many("m", records, batch_size=3))
    assert [answer["prediction"] for answer in answers] == records
    assert len(scripted.seen) == 2 * len(failed)
    failed.clear()
    no_retry = Retries(backoff=0.001, after_failure=False)
    with connect(scripted.url, retries=no_retry) as client, pytest.raises(ServerFailed):
        list(client.predict_many("m", records, batch_size=3))


def test_refused_batch_is_bisected_down_to_the_faulty_record(connect: Connect, scripted: Scripted) -> None:
    def reply(seen: Seen) -> Reply:
        batch = json.loads(seen.body)
        if 7 in [record["x"] for record in batch]:
            return Reply(400, {"error": {"code": "bad_request", "message": "unreadable", "fix": "f"}})
        return Reply(body=[{"prediction": record["x"]} for record in batch])

    scripted.reply = reply
    with connect(scripted.url) as client:
        answers = list(client.predict_many("m", [{"x": i} for i in range(5, 9)], batch_size=4))
    assert [answer.get("prediction") for answer in answers] == [5, 6, None, 8]
    assert answers[2]["error"] == {
        "code": "bad_request",
        "field": None,
        "message": "unreadable",
        "fix": "f",
        "record": 2,
    }
    scripted.seen.clear()
    with connect(scripted.url) as client:
        answers = list(client.predict_many("m", [{"x": i} for i in range(64)], batch_size=64))
    assert [place for place, answer in enumerate(answers) if "error" in answer] == [7]
    assert len(scripted.seen) == 13


def test_closing_the_answers_does_not_wait_for_a_hanging_server(connect: Connect, scripted: Scripted) -> None:
    released = threading.Event()

    def reply(seen: Seen) -> Reply:
        if json.loads(seen.body)[0]["x"] > 0:
            released.wait(120)
        return echo(seen)

    scripted.reply = reply
    with connect(scripted.url) as client:
        answers = client.predict_many("m", [{"x": i} for i in range(8)], batch_size=1, concurrency=2)
        assert next(answers) == {"prediction": {"x": 0}}
        started_at = time.monotonic()
        answers.close()  # type: ignore[attr-defined]
        assert time.monotonic() - started_at < 60
    released.set()


def test_read_ahead_is_bounded(connect: Connect, scripted: Scripted) -> None:
    scripted.reply = echo
    read = 0

    def records() -> Any:
        nonlocal read
        for i in range(10_000):
            read += 1
            yield {"x": i}

    with connect(scripted.url) as client:
        answers = client.predict_many("m", records(), batch_size=5, concurrency=2)
        for taken in range(1, 101):
            next(answers)
            assert read <= taken + 5 * (2 + 1)
        answers.close()  # type: ignore[attr-defined]


def test_requests_run_concurrently(connect: Connect, scripted: Scripted) -> None:
    together = threading.Barrier(4, timeout=60)

    def reply(seen: Seen) -> Reply:
        together.wait()
        return echo(seen)

    scripted.reply = reply
    with connect(scripted.url) as client:
        assert len(list(client.predict_many("m", [{"x": i} for i in range(8)], batch_size=1))) == 8


def test_failing_server_ends_the_iteration(connect: Connect, scripted: Scripted) -> None:
    scripted.replies(torchserve(503, "InternalServerException", "Prediction failed"))
    with connect(scripted.url, retries=Retries(backoff=0.001)) as client, pytest.raises(ServerFailed):
        list(client.predict_many("m", [{}] * 10, batch_size=2))


def test_wrong_number_of_answers(connect: Connect, scripted: Scripted) -> None:
    scripted.replies(Reply(body={"prediction": 1}))
    with connect(scripted.url) as client, pytest.raises(ServerFailed) as caught:
        list(client.predict_many("m", [{}, {}]))
    assert caught.value.code == "wrong_count"


@pytest.mark.parametrize("arguments", [{"batch_size": 0}, {"concurrency": 0}])
def test_refuses_invalid_batch_size_and_concurrency(connect: Connect, arguments: dict[str, Any]) -> None:
    with connect() as client, pytest.raises(ValueError, match="batch_size and concurrency"):
        client.predict_many("m", [], **arguments)
