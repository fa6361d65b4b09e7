"""Requests to responses, in batches, for any server: reading, limits, answers, errors, and the documents of a model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import orjson

from fastmar_contract.errors import RequestError
from fastmar_runtime import payload
from fastmar_runtime.documents import documents
from fastmar_runtime.payload import Request, Response
from fastmar_runtime.predictor import Predictor

log = logging.getLogger(__name__)

MOST_RECORDS = 250_000
"""Of a request: being answered they take over a kilobyte each, so that a small body of many could fill the memory.
The 6 MB that SageMaker's batch jobs send at once hold as many lines of 25 bytes."""


class Observer(Protocol):
    """Is called with what happens; metrics are one."""

    def refused(self, code: str) -> None:
        """A request could not be read as records."""

    def answers(self, answers: list[dict[str, Any]]) -> None:
        """The answers to a request's records."""


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
        self._most = max(1, min(MOST_RECORDS, max_response // payload.least_bytes(self.spec)))

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
            return self._limited(read(self._most + 1))
        except RequestError as error:
            for observer in self._observers:
                observer.refused(error.code)
            return payload.refused(error)
        except Exception:
            return _our_fault(v2=v2)

    def respond(self, received: Sequence[Request | Response]) -> list[Response]:
        """Responses to what was received, in order; all records go through the graph at once."""
        requests = [item for item in received if isinstance(item, Request)]
        records = [record for request in requests for record in request.records]
        written: Iterator[Response]
        if len(records) > self._most:  # together they would take the memory that one request may not take
            written = iter([self._answer_alone(request) for request in requests])
        else:
            written = iter(self._answer_together(requests, records))
        return [next(written) if isinstance(item, Request) else item for item in received]

    def _limited(self, request: Request) -> Request:
        """`request`, which is refused before it takes the model's time where it has too many records."""
        if len(request.records) <= self._most:
            return request
        error = RequestError(
            f"the request has more than {self._most:,} records.",
            code=payload.TOO_MANY,
            fix=f"send at most {self._most:,} at once, or a table with `fastmar score` or score_csv, which cut it.",
        )
        error.v2 = request.shape == payload.V2
        raise error

    def _answer_together(self, requests: list[Request], records: list[Any]) -> list[Response]:
        try:
            answers = iter(self._predictor.predict(records))
            return [self._write(request, [next(answers) for _ in request.records]) for request in requests]
        except Exception:  # a fault of ours must not fail the neighbours in the batch
            log.exception("a batch of %d requests failed; each is tried alone", len(requests))
            return [self._answer_alone(request) for request in requests]

    def _answer_alone(self, request: Request) -> Response:
        try:
            return self._write(request, self._predictor.predict(request.records))
        except Exception:
            return _our_fault(v2=request.shape == payload.V2)

    def _write(self, request: Request, answers: list[dict[str, Any]]) -> Response:
        response = payload.write(request, answers, self.spec)
        for observer in self._observers:
            observer.answers(answers)
        if len(response.body) <= self._max_response:
            return response
        error = RequestError(
            f"the answer would be {len(response.body):,} bytes long, over the limit of {self._max_response:,}.",
            code=payload.TOO_MANY,
            fix=f"send fewer than {len(answers)} records at once." if len(answers) > 1 else "send a smaller record.",
        )
        error.v2 = request.shape == payload.V2
        return payload.refused(error)


def _our_fault(*, v2: bool = False) -> Response:
    """The response to a request that failed in this code; called where the exception is being handled."""
    log.exception("a request failed")
    error = RequestError("the server failed on this request.", code="internal", fix="see the server's log.")
    error.v2 = v2
    return Response(500, payload.refused(error).body)
