"""Engine-neutral request handling: parsing, limits, batched predictions, errors, and documents about a model."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from operator import methodcaller
from typing import Any

import orjson

from fastmar_contract.errors import RecordError, RequestError
from fastmar_runtime import payload
from fastmar_runtime.documents import documents
from fastmar_runtime.http.event_stream import ANSWER, ERROR, event
from fastmar_runtime.logs import about
from fastmar_runtime.observer import Groups, Observer, without_checks
from fastmar_runtime.payload import Request, Response
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.preprocess import Columns

log = logging.getLogger(__name__)

MAX_RECORDS = 250_000
"""Maximum records of a request. It limits memory: a record takes over a kilobyte while it is processed. It admits the
largest request of a SageMaker batch job, 6 MB, with lines of 25 bytes."""


class Service:
    """Answers the requests of one model.

    Args:
        predictor: the model.
        max_response: maximum bytes of a response's body; larger responses are replaced by an error with status 413.
        observers: are notified of requests, columns and answers. An observer that fails is logged once.

    Attributes:
        spec: spec of the model.
        documents: media type and body of each document of the model, by name.
    """

    def __init__(self, predictor: Predictor, max_response: int, observers: Sequence[Observer] = ()) -> None:
        self.spec = predictor.spec
        self._predictor = predictor
        self._max_response = max_response
        self._observers = observers
        self._failed_observers: set[Observer] = set()
        self.documents = documents(self.spec, predictor.files)
        self._max_records = max(1, min(MAX_RECORDS, max_response // payload.min_answer_bytes(self.spec)))

    def close(self) -> None:
        """End the observers, which may have something to report."""
        self._notify(methodcaller("close"))

    def document(self, path: str) -> Response:
        """The response with a document of the model: schema, OpenAPI or HTML page; status 404 for an unknown path."""
        if path in self.documents:
            media_type, body = self.documents[path]
            return Response(200, body, media_type)
        error = RequestError(
            f"the model has no document {path!r}.",
            code="not_found",
            fix=f"request one of {', '.join(self.documents)}.",
        )
        return Response(404, orjson.dumps(error.as_dict()))

    def receive(self, read: Callable[[int], Request], *, v2: bool = False) -> Request | Response:
        """Parse a request.

        Args:
            read: returns the request. Its argument is the number of records at which reading may stop.
            v2: whether errors are in the format of protocol v2.

        Returns:
            The request, or the response with its error.
        """
        try:
            return self._check_size(read(self._max_records + 1))
        except RequestError as error:
            self._notify(methodcaller("refused", error.code))
            return payload.refused(error)
        except Exception:
            return _internal_error(v2=v2)

    def respond(self, received: Sequence[Request | Response], since: float | None = None) -> list[Response]:
        """Answer a batch of requests; their records go through the graph together.

        Args:
            received: results of `receive`.
            since: start of the batch, as a `time.perf_counter` value; None for now.

        Returns:
            A response for each item of `received`, in order.
        """
        started = time.perf_counter() if since is None else since
        requests = [item for item in received if isinstance(item, Request)]
        records = [record for request in requests for record in request.records]
        written: Iterator[Response]
        if len(records) > self._max_records:  # too many to process at once
            written = iter([self._answer_alone(request) for request in requests])
        else:
            written = iter(self._answer_together(requests, records))
        responses = [next(written) if isinstance(item, Request) else item for item in received]
        seconds = time.perf_counter() - started
        self._notify(methodcaller("responded", [response.status for response in responses], seconds))
        return responses

    def stream(self, request: Request) -> Iterator[bytes] | None:
        """The answer to a request as server-sent events; None if it has no parts, so that `respond` must answer."""
        operations = self._predictor.operations
        if operations is None or request.shape != payload.ONE:
            return None
        started = time.perf_counter()
        try:
            parts = operations.stream(request.records[0])
        except RecordError:
            return None
        return None if parts is None else self._events(request, parts, time.perf_counter() - started)

    def _events(self, request: Request, parts: Iterator[dict[str, Any]], seconds: float) -> Iterator[bytes]:
        """An event for each part, and for the answer, which is the last part; `seconds` have been spent before."""
        answer: dict[str, Any] = {}
        status = 200
        try:
            while True:
                started = time.perf_counter()
                part = next(parts, None)
                seconds += time.perf_counter() - started
                if part is None:
                    break
                if answer:
                    yield event(answer)
                answer = part
            yield event(answer, ANSWER)
        except RecordError as error:
            status, answer = 400, error.as_dict(0)
            yield event(answer, ERROR)
        except Exception:
            status, answer = 500, orjson.loads(_internal_error().body)
            yield event(answer, ERROR)
        self._computed([request], [[answer]], [])
        self._notify(methodcaller("responded", [status], seconds))

    def _check_size(self, request: Request) -> Request:
        """Return `request`, or raise `RequestError` if it has too many records."""
        operations = self._predictor.operations
        size = len(request.records) + (0 if operations is None else operations.check(request))
        if size <= self._max_records:
            return request
        if size > len(request.records):
            raise RequestError(
                f"the operations in the request take as much time as {size:,} records, over the limit of "
                f"{self._max_records:,}.",
                code=payload.TOO_MANY,
                fix="send fewer records in a request, or request less with each.",
            )
        error = RequestError(
            f"the request has more than {self._max_records:,} records.",
            code=payload.TOO_MANY,
            fix=f"send at most {self._max_records:,} records per request; `fastmar score` and score_csv split a table.",
        )
        error.v2 = request.shape == payload.V2
        raise error

    def _answer_together(self, requests: list[Request], records: list[Any]) -> list[Response]:
        try:
            return self._answer(requests, records)
        except Exception:  # a bug must not fail the other requests of the batch
            log.exception("a batch of %d requests failed; retrying them one by one", len(requests))
            return [self._answer_alone(request) for request in requests]

    def _answer_alone(self, request: Request) -> Response:
        try:
            return self._answer([request], request.records)[0]
        except Exception:
            with about(request.ids):
                return _internal_error(v2=request.shape == payload.V2)

    def _answer(self, requests: list[Request], records: list[Any]) -> list[Response]:
        """Responses to `requests`, whose records are `records`. Then calls the observers."""
        groups: list[tuple[Columns, Sequence[int]]] = []  # without the inputs: pictures would fill the memory
        answers = iter(self._predictor.predict(records, lambda *group: groups.append(group)))
        per_request = [[next(answers) for _ in request.records] for request in requests]
        responses = [self._write(request, each) for request, each in zip(requests, per_request, strict=True)]
        self._computed(requests, per_request, groups)
        return responses

    def _computed(self, requests: list[Request], answers: list[list[dict[str, Any]]], groups: Groups) -> None:
        """Call `computed` of the observers, of most of them without check requests."""
        of_all = requests, answers, groups
        has_checks = any(request.is_check for request in requests)
        of_traffic = without_checks(*of_all) if has_checks else of_all
        self._notify(lambda observer: observer.computed(*(of_all if observer.counts_checks else of_traffic)))

    def _notify(self, call: Callable[[Observer], None]) -> None:
        """Call all observers. The exception of an observer must neither change nor repeat an answer."""
        for observer in self._observers:
            try:
                call(observer)
            except Exception:
                if observer not in self._failed_observers:  # else it could fill the log
                    self._failed_observers.add(observer)
                    log.exception("the observer %s failed; its later failures are not logged", type(observer).__name__)

    def _write(self, request: Request, answers: list[dict[str, Any]]) -> Response:
        response = payload.write(request, answers, self.spec)
        if len(response.body) <= self._max_response:
            return response
        error = RequestError(
            f"the response would have {len(response.body):,} bytes, over the limit of {self._max_response:,}.",
            code=payload.RESPONSE_TOO_LARGE,
            fix=f"send fewer than {len(answers)} records per request."
            if len(answers) > 1
            else "send a smaller record.",
        )
        error.v2 = request.shape == payload.V2
        return payload.refused(error)


def _internal_error(*, v2: bool = False) -> Response:
    """The response to a request that failed because of a bug; logs the exception that is being handled."""
    log.exception("a request failed")
    error = RequestError("the server failed on this request.", code="internal", fix="see the server's log.")
    error.v2 = v2
    return Response(500, payload.refused(error).body)
