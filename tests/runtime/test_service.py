"""Calls of observers by a service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from fastmar_contract.errors import RequestError
from fastmar_runtime import payload, service
from fastmar_runtime.observer import Observer
from fastmar_runtime.payload import LIST, ONE, Request
from fastmar_runtime.service import Service
from tests.runtime import tiny, tiny_pictures

MAX_RESPONSE = 1 << 20


class Recorder(Observer):
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def refused(self, code: str) -> None:
        self.calls.append(("refused", code))

    def computed(self, requests: Any, answers: Any, groups: Any) -> None:
        prepared = [(columns["age"], rows) for columns, rows in groups if "age" in columns]
        errors = [["error" in answer for answer in each] for each in answers]
        self.calls.append(("computed", [request.shape for request in requests], prepared, errors))

    def responded(self, statuses: Sequence[int], seconds: float) -> None:
        assert seconds > 0
        self.calls.append(("responded", statuses))


def test_order_of_calls_for_a_batch() -> None:
    recorder = Recorder()
    model_service = Service(tiny.predictor(), MAX_RESPONSE, [recorder])

    def unreadable(_: int) -> Request:
        raise RequestError("no", code="bad_json", fix="-")

    reads = [lambda _: Request([tiny.record(age=20), {}]), unreadable, lambda _: Request([tiny.record(age=30)], ONE)]
    model_service.respond([model_service.receive(read) for read in reads])
    assert recorder.calls == [
        ("refused", "bad_json"),
        ("computed", [LIST, ONE], [([20.0, 30.0], [0, 2])], [[False, True], [False]]),
        ("responded", [200, 400, 200]),
    ]


def test_a_failed_request_is_not_observed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    model_service = Service(tiny.predictor(), MAX_RESPONSE, [recorder])
    write = payload.write

    def failing(request: Request, answers: Any, spec: Any) -> Any:
        if request.records[0]["age"] == 30:
            raise ArithmeticError
        return write(request, answers, spec)

    monkeypatch.setattr(service.payload, "write", failing)
    model_service.respond([Request([tiny.record(age=20)]), Request([tiny.record(age=30)])])
    assert recorder.calls == [("computed", [LIST], [([20.0], [0])], [[False]]), ("responded", [200, 500])]


def test_check_requests_are_left_out_for_observers_of_traffic() -> None:
    class All(Recorder):
        counts_checks = True

    traffic, everything = Recorder(), All()
    model_service = Service(tiny.predictor(), MAX_RESPONSE, [traffic, everything])
    checks = [Request([tiny.record(age=20), {}], is_check=True), Request([tiny.record(age=50)], is_check=True)]
    own = Request([{}, tiny.record(age=30), tiny.record(age=40)])
    model_service.respond([checks[0], own, checks[1]])
    assert traffic.calls[0] == ("computed", [LIST], [([30.0, 40.0], [1, 2])], [[True, False, False]])
    assert everything.calls[0][2] == [([20.0, 30.0, 40.0, 50.0], [0, 3, 4, 5])]
    model_service.respond(checks)
    assert traffic.calls[2] == ("computed", [], [], [])
    assert [call[0] for call in traffic.calls] == ["computed", "responded"] * 2


@pytest.mark.parametrize("method", ["refused", "computed", "responded"])
def test_a_failing_observer_changes_no_answer(
    method: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Observer):
        pass

    def fail(*_: Any) -> None:
        raise ArithmeticError

    monkeypatch.setattr(Failing, method, fail)
    before, after = Recorder(), Recorder()
    predictor = tiny.predictor()
    model_service = Service(predictor, MAX_RESPONSE, [before, Failing(), after])
    predictions: list[int] = []
    predict = predictor.predict

    def counted(records: Any, observe: Any) -> Any:
        predictions.append(len(records))
        return predict(records, observe)

    monkeypatch.setattr(predictor, "predict", counted)

    def unreadable(_: int) -> Request:
        raise RequestError("no", code="bad_json", fix="-")

    for _ in range(2):
        received = [model_service.receive(unreadable), Request([tiny.record(age=20)]), Request([{}])]
        assert [response.status for response in model_service.respond(received)] == [400, 200, 400]
    assert predictions == [2, 2]
    assert before.calls == after.calls
    assert [call[0] for call in after.calls] == ["refused", "computed", "responded"] * 2
    assert len(caplog.records) == 1  # not for each request


def test_measures_of_pictures_have_positions() -> None:
    class Widths(Observer):
        def computed(self, requests: Any, answers: Any, groups: Any) -> None:
            found.update(
                (row, width) for columns, rows in groups for row, width in zip(rows, columns["width"], strict=True)
            )

    found: dict[int, float] = {}
    sizes = [(8, 6), (9, 6), (8, 6), (7, 5)] * 10  # more than are processed together
    pictures: list[Any] = [tiny_pictures.picture(size=size) for size in sizes]
    pictures[2] = b"no picture"
    service.Service(tiny_pictures.predictor(), MAX_RESPONSE, [Widths()]).respond([Request([each]) for each in pictures])
    assert found == {row: width for row, (width, _) in enumerate(sizes) if row != 2}


def test_the_default_methods_do_nothing() -> None:
    model_service = Service(tiny.predictor(), MAX_RESPONSE, [Observer()])
    assert [response.status for response in model_service.respond([Request([tiny.record()])])] == [200]
