"""Requests to responses, in batches, for any server: reading, limits, answers, errors, and the documents of a model."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

from fastmar_contract.errors import RequestError
from fastmar_runtime import payload
from fastmar_runtime.documents import documents
from fastmar_runtime.observer import Observer
from fastmar_runtime.payload import Request, Response
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.preprocess import Columns

log = logging.getLogger(__name__)

MAX_RECORDS = 250_000
"""Of a request: being answered they take over a kilobyte each, so that a small body of many could fill the memory.
The 6 MB that SageMaker's batch jobs send at once hold as many lines of 25 bytes."""


class Service:
    """Answers the requests of one model.

    Args:
        predictor: of the model.
        max_response: bytes of a response's body; larger ones are refused with status 413.
        observers: see `Observer`.
    """

    def __init__(self, predictor: Predictor, max_response: int, observers: Sequence[Observer] = ()) -> None:
        self.spec = predictor.spec
        self._predictor = predictor
        self._max_response = max_response
        self._observers = observers
        self._documents = documents(self.spec)
        self._max_records = max(1, min(MAX_RECORDS, max_response // payload.min_answer_bytes(self.spec)))

    def document(self, path: str) -> Response:
        """The document below the model: its schema, OpenAPI, or page for people; status 404 where there is none."""
        if path in self._documents:
            media_type, body = self._documents[path]
            return Response(200, body, media_type)
        error = RequestError(
            f"there is no {path!r} below a model.",
            code="not_found",
            fix=f"request one of {', '.join(self._documents)} there.",
        )
        return Response(404, orjson.dumps(error.as_dict()))

    def receive(self, read: Callable[[int], Request], *, v2: bool = False) -> Request | Response:
        """A request, or the response to it where it can't be answered with predictions.

        Args:
            read: reads the request. Its argument is the number of records after which reading may stop.
            v2: whether an error is one of protocol v2.
        """
        try:
            return self._limited(read(self._max_records + 1))
        except RequestError as error:
            for observer in self._observers:
                observer.refused(error.code)
            return payload.refused(error)
        except Exception:
            return _internal_error(v2=v2)

    def respond(self, received: Sequence[Request | Response], since: float | None = None) -> list[Response]:
        """Responses to what was received, in order; all records go through the graph at once.

        Args:
            received: see `receive`.
            since: when the batch began, in seconds of `time.perf_counter`; None is now.
        """
        began = time.perf_counter() if since is None else since
        requests = [item for item in received if isinstance(item, Request)]
        records = [record for request in requests for record in request.records]
        written: Iterator[Response]
        if len(records) > self._max_records:  # together they would take the memory that one request may not take
            written = iter([self._answer_alone(request) for request in requests])
        else:
            written = iter(self._answer_together(requests, records))
        responses = [next(written) if isinstance(item, Request) else item for item in received]
        seconds = time.perf_counter() - began
        for observer in self._observers:
            observer.responded([response.status for response in responses], seconds)
        return responses

    def _limited(self, request: Request) -> Request:
        """`request`, which is refused before it takes the model's time where it has too many records."""
        if len(request.records) <= self._max_records:
            return request
        error = RequestError(
            f"the request has more than {self._max_records:,} records.",
            code=payload.TOO_MANY,
            fix=f"send at most {self._max_records:,} at once, or a table with `fastmar score` or score_csv, "
            "which cut it.",
        )
        error.v2 = request.shape == payload.V2
        raise error

    def _answer_together(self, requests: list[Request], records: list[Any]) -> list[Response]:
        try:
            return self._answer(requests, records)
        except Exception:  # a fault of ours must not fail the neighbours in the batch
            log.exception("a batch of %d requests failed; each is tried alone", len(requests))
            return [self._answer_alone(request) for request in requests]

    def _answer_alone(self, request: Request) -> Response:
        try:
            return self._answer([request], request.records)[0]
        except Exception:
            return _internal_error(v2=request.shape == payload.V2)

    def _answer(self, requests: list[Request], records: list[Any]) -> list[Response]:
        """Responses to `requests`, whose records are `records`; observers are called once all are written."""
        columns: list[Columns] = []  # the inputs are not kept: pictures would fill the memory
        answers = iter(self._predictor.predict(records, columns.append))
        answered = [[next(answers) for _ in request.records] for request in requests]
        responses = [self._write(request, each) for request, each in zip(requests, answered, strict=True)]
        for observer in self._observers:
            for of_group in columns:
                observer.prepared(of_group)
            for each in answered:
                observer.answered(each)
        return responses

    def _write(self, request: Request, answers: list[dict[str, Any]]) -> Response:
        response = payload.write(request, answers, self.spec)
        if len(response.body) <= self._max_response:
            return response
        error = RequestError(
            f"the answer would be {len(response.body):,} bytes long, over the limit of {self._max_response:,}.",
            code=payload.TOO_MANY,
            fix=f"send fewer than {len(answers)} records at once." if len(answers) > 1 else "send a smaller record.",
        )
        error.v2 = request.shape == payload.V2
        return payload.refused(error)


def _internal_error(*, v2: bool = False) -> Response:
    """The response to a request that failed in this code; called where the exception is being handled."""
    log.exception("a request failed")
    error = RequestError("the server failed on this request.", code="internal", fix="see the server's log.")
    error.v2 = v2
    return Response(500, payload.refused(error).body)
