"""What a service reports to its observers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from fastmar_contract.errors import RequestError
from fastmar_runtime import payload, service
from fastmar_runtime.observer import Observer
from fastmar_runtime.payload import Request
from fastmar_runtime.service import Service
from tests.runtime import tiny, tiny_pictures

MAX_RESPONSE = 1 << 20


class Recorder(Observer):
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def refused(self, code: str) -> None:
        self.calls.append(("refused", code))

    def prepared(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self.calls.append(("prepared", columns["age"]))

    def answered(self, answers: Sequence[dict[str, Any]]) -> None:
        self.calls.append(("answered", ["error" in answer for answer in answers]))

    def responded(self, statuses: Sequence[int], seconds: float) -> None:
        assert seconds > 0
        self.calls.append(("responded", statuses))


def test_a_batch_is_reported_once_in_its_order() -> None:
    recorder = Recorder()
    answering = Service(tiny.predictor(), MAX_RESPONSE, [recorder])

    def unreadable(_: int) -> Request:
        raise RequestError("no", code="bad_json", fix="-")

    reads = [lambda _: Request([tiny.record(age=20), {}]), unreadable, lambda _: Request([tiny.record(age=30)])]
    answering.respond([answering.receive(read) for read in reads])
    assert recorder.calls == [
        ("refused", "bad_json"),
        ("prepared", [20.0, 30.0]),
        ("answered", [False, True]),
        ("answered", [False]),
        ("responded", [200, 400, 200]),
    ]


def test_a_batch_that_fails_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    answering = Service(tiny.predictor(), MAX_RESPONSE, [recorder])
    write = payload.write

    def failing(request: Request, answers: Any, spec: Any) -> Any:
        if request.records[0]["age"] == 30:
            raise ArithmeticError
        return write(request, answers, spec)

    monkeypatch.setattr(service.payload, "write", failing)
    answering.respond([Request([tiny.record(age=20)]), Request([tiny.record(age=30)])])
    assert recorder.calls == [("prepared", [20.0]), ("answered", [False]), ("responded", [200, 500])]


def test_pictures_have_no_columns() -> None:
    recorder = Recorder()
    answering = Service(tiny_pictures.predictor(), MAX_RESPONSE, [recorder])
    answering.respond([Request([tiny_pictures.picture()])])
    assert recorder.calls == [("answered", [False]), ("responded", [200])]


def test_an_observer_may_leave_calls_out() -> None:
    answering = Service(tiny.predictor(), MAX_RESPONSE, [Observer()])
    assert [response.status for response in answering.respond([Request([tiny.record()])])] == [200]
