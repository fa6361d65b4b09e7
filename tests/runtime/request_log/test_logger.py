"""The observer of the request log: sampling, the bounded queue, and that no answer waits for a file."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_contract.request_log import DROPPED, ROWS, SALT, LogOptions
from fastmar_runtime.logs import RequestIds
from fastmar_runtime.payload import Request
from fastmar_runtime.request_log import logger
from fastmar_runtime.request_log.files import LogFiles
from fastmar_runtime.request_log.logger import RequestLog, is_sampled, request_log
from fastmar_runtime.service import Service
from tests.runtime import tiny, tiny_pictures

MAX_RESPONSE = 1 << 20
TIMEOUT = 20.0


class Metric:
    def __init__(self) -> None:
        self.values: list[float] = []

    def add_or_update(self, value: float, dimension_values: list[str]) -> None:
        assert dimension_values == ["tiny", "1.0"]
        self.values.append(value)


@pytest.fixture
def metrics() -> dict[str, Any]:
    return {name: Metric() for name in (ROWS, DROPPED)}


def make_log(folder: Path, metrics: Any = None, **options: Any) -> RequestLog:
    return RequestLog(tiny.spec(), None, LogOptions(str(folder), **options), metrics or {})


def request(request_id: str, *records: Any) -> Request:
    return Request([*records], ids=RequestIds(request_id))


def entries(folder: Path) -> list[dict[str, Any]]:
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    return [orjson.loads(line) for line in lines]


def totals(metrics: dict[str, Any]) -> tuple[float, float]:
    return sum(metrics[ROWS].values), sum(metrics[DROPPED].values)


def test_a_batch_of_requests(tmp_path: Path, metrics: dict[str, Any]) -> None:
    log = make_log(tmp_path, metrics)
    assert totals(metrics) == (0, 0)
    assert [len(metric.values) for metric in metrics.values()] == [1, 1]  # zeros, for Prometheus
    service = Service(tiny.predictor(), MAX_RESPONSE, [log])
    service.respond([request("a", tiny.record(age=20), {}), request("b", tiny.record(age=30))])
    service.respond([Request([tiny.record()])])
    service.close()
    found = [(each["request_id"], each["row"], each["record"].get("age")) for each in entries(tmp_path)]
    assert found == [("a", 0, 20), ("a", 1, None), ("b", 0, 30), ("", 0, 49)]
    assert totals(metrics) == (4, 0)


def test_measures_belong_to_their_pictures(tmp_path: Path) -> None:
    predictor = tiny_pictures.predictor()
    log = RequestLog(predictor.spec, None, LogOptions(str(tmp_path)), {})
    service = Service(predictor, MAX_RESPONSE, [log])
    first = [tiny_pictures.picture(size=(8, 6)), b"no picture", tiny_pictures.picture(size=(9, 6))]
    service.respond([request("a", *first), request("b", tiny_pictures.picture(size=(7, 5)))])
    service.close()
    widths = [each.get("measures", {}).get("width") for each in entries(tmp_path)]
    assert widths == [8, None, 9, 7]
    assert {str(each["record"]) for each in entries(tmp_path)} == {"{}"}


class TestSampling:
    def test_the_share(self) -> None:
        ids = [f"{number:032x}" for number in range(20_000)]
        for share in (0.01, 0.1, 0.5):
            found = sum(is_sampled(each, share) for each in ids) / len(ids)
            assert abs(found - share) < 4 * (share * (1 - share) / len(ids)) ** 0.5

    @given(st.text(), st.floats(0, 1), st.floats(0, 1))
    def test_a_larger_share_has_the_requests_of_a_smaller_one(self, text: str, one: float, other: float) -> None:
        low, high = sorted((one, other))
        assert is_sampled(text, high) or not is_sampled(text, low)
        assert not is_sampled(text, 0.0)
        assert is_sampled(text, 1.0)

    def test_whole_requests_are_sampled(self, tmp_path: Path) -> None:
        logs = [make_log(tmp_path / str(worker), sample=0.5) for worker in range(2)]
        requests = [request(str(number), *[tiny.record()] * 3) for number in range(100)]
        for log in logs:
            Service(tiny.predictor(), MAX_RESPONSE, [log]).respond(requests)
            log.close()
        found = [Counter(each["request_id"] for each in entries(tmp_path / str(worker))) for worker in range(2)]
        assert found[0] == found[1]
        assert set(found[0].values()) == {3}
        assert 30 < len(found[0]) < 70


class TestQueue:
    def test_what_does_not_fit_is_counted(
        self, tmp_path: Path, metrics: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logger, "INTERVAL", 60.0)
        monkeypatch.setattr(logger, "MAX_WAITING", 50_000)
        log = make_log(tmp_path, metrics)
        service = Service(tiny.predictor(), MAX_RESPONSE, [log])
        for number in range(30):
            assert service.respond([request(str(number), *[tiny.record()] * 10)])[0].status == 200
        log.close()
        rows, dropped = totals(metrics)
        assert rows + dropped == 300
        assert rows == len(entries(tmp_path))
        assert 30 <= rows <= 60  # the estimate of a record is about a kilobyte

    def test_long_texts_count_for_more(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(logger, "INTERVAL", 60.0)
        monkeypatch.setattr(logger, "MAX_WAITING", 50_000)
        log = make_log(tmp_path)
        service = Service(tiny.predictor(), MAX_RESPONSE, [log])
        for number in range(10):
            service.respond([request(str(number), tiny.record(workclass="x" * 30_000))])
        log.close()
        assert len(entries(tmp_path)) == 2

    def test_no_answer_waits_for_the_disk(
        self, tmp_path: Path, metrics: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hangs, goes_on = threading.Event(), threading.Event()
        write = LogFiles.write

        def hang(self: LogFiles, lines: bytes) -> None:
            hangs.set()
            assert goes_on.wait(TIMEOUT)
            write(self, lines)

        monkeypatch.setattr(LogFiles, "write", hang)
        monkeypatch.setattr(logger, "INTERVAL", 0.01)
        monkeypatch.setattr(logger, "MAX_WAITING", 100_000)
        log = make_log(tmp_path, metrics)
        service = Service(tiny.predictor(), MAX_RESPONSE, [log])
        service.respond([request("first", tiny.record())])
        assert hangs.wait(TIMEOUT)
        began = time.monotonic()
        for number in range(500):
            service.respond([request(str(number), tiny.record())])
        assert time.monotonic() - began < TIMEOUT / 2
        goes_on.set()
        log.close()
        rows, dropped = totals(metrics)
        assert (rows, rows + dropped) == (len(entries(tmp_path)), 501)
        assert dropped > 300

    def test_errors_of_the_disk(
        self,
        tmp_path: Path,
        metrics: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        log = make_log(tmp_path, metrics)
        service = Service(tiny.predictor(), MAX_RESPONSE, [log])

        def fail(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(LogFiles, "write", fail)
            for number in range(3):
                service.respond([request(str(number), tiny.record())])
                log.flush()
        service.respond([request("later", tiny.record())])
        log.close()
        assert [each["request_id"] for each in entries(tmp_path)] == ["later"]
        assert totals(metrics) == (1, 3)
        assert len(caplog.records) == 1

    def test_values_that_are_no_json(self, tmp_path: Path, metrics: dict[str, Any]) -> None:
        deep: Any = []
        for _ in range(100_000):
            deep = [deep]
        log = make_log(tmp_path, metrics)
        answers = tiny.predictor().predict([tiny.record()])
        log.computed([request("a", tiny.record(age=deep)), request("b", tiny.record())], [answers, answers], [])
        log.close()
        assert [each["request_id"] for each in entries(tmp_path)] == ["b"]
        assert totals(metrics) == (1, 1)

    def test_threads(self, tmp_path: Path, metrics: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(logger, "INTERVAL", 0.001)
        monkeypatch.setattr(logger, "METRICS_INTERVAL", 0.01)
        log = make_log(tmp_path, metrics)
        answers = tiny.predictor().predict([tiny.record()] * 3)

        def send(thread: int) -> None:
            for number in range(200):
                log.computed([request(f"{thread}-{number}", *[tiny.record()] * 3)], [answers], [])

        threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
        log.close()
        found = [(each["request_id"], each["row"]) for each in entries(tmp_path)]
        assert len(found) == len(set(found)) == 4800
        assert totals(metrics) == (4800, 0)

    def test_written_without_close(self, tmp_path: Path, metrics: dict[str, Any]) -> None:
        log = make_log(tmp_path, metrics)
        Service(tiny.predictor(), MAX_RESPONSE, [log]).respond([request("a", tiny.record())])
        ends = time.monotonic() + TIMEOUT
        while totals(metrics) != (1, 0):
            assert time.monotonic() < ends
            time.sleep(0.01)
        assert len(entries(tmp_path)) == 1
        log.close()


class TestRefusals:
    """A version is not logged if the log might show what it must hide."""

    def test_no_options(self) -> None:
        assert request_log(tiny.spec(), None, None, {}) is None

    def test_a_version_without_a_hidden_field(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        options = LogOptions(str(tmp_path), drop=["ssn", "age"], hidden={"tiny": ["ssn", "age"], "other": ["absent"]})
        assert request_log(tiny.spec(), None, options, {}) is None
        assert "ssn" in caplog.text
        log = request_log(tiny.spec(name="new"), None, options, {})
        assert log is not None
        log.close()

    def test_no_salt(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        options = LogOptions(str(tmp_path), hash=["age"])
        monkeypatch.delenv(SALT, raising=False)
        assert request_log(tiny.spec(), None, options, {}) is None
        monkeypatch.setenv(SALT, "0123456789abcdef")
        log = request_log(tiny.spec(), None, options, {})
        assert log is not None
        log.close()
