"""The HTTP application that serves the models, for ASGI 3 servers and for Granian's RSGI."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs

from fastmar_contract import check_requests
from fastmar_runtime import payload, protocol_v2
from fastmar_runtime.batching import QueueFull
from fastmar_runtime.http import refusals
from fastmar_runtime.http.asgi_types import Headers, Receive, Scope, Send, encoded
from fastmar_runtime.http.cors import Cors
from fastmar_runtime.http.deadlines import Deadlines
from fastmar_runtime.http.encodings import Damaged, TooLarge, UnknownEncoding, decompress
from fastmar_runtime.http.event_response import EventStream
from fastmar_runtime.http.event_stream import accepts_events
from fastmar_runtime.http.keys import admits
from fastmar_runtime.http.request_bodies import AsgiBody, Body, Disconnected, RsgiBody
from fastmar_runtime.http.request_ids import request_ids
from fastmar_runtime.http.routes import READ, Models, PlatformPaths, Version, is_v2, routes
from fastmar_runtime.http.server_documents import STOPPING
from fastmar_runtime.http.unknown_paths import unknown_path
from fastmar_runtime.logs import CURRENT, RequestIds, log_access
from fastmar_runtime.payload import Request, Response
from fastmar_runtime.tracing import Tracing

MAX_BODY = 16 * 1024 * 1024  # bytes, decompressed
REQUEST_TIMEOUT = 20.0  # seconds
RESPONSE_TIMEOUT = 60.0  # seconds
ONE_READ = 65536  # bytes; a larger body is read in parts, so that each part extends the time limit
# An empty body with this Content-Type requests a document, on all engines; the path may name no version.
_DOCUMENT_TYPE = re.compile(r"application/(.+)-request\+json")
_NO_HEADERS: Mapping[str, str] = {}


class Application:
    """Handles the requests of one worker.

    Args:
        models: the served models.
        keys: callers must send one of these keys; None if they need none.
        origins: origins of web pages that may send requests; `*` for all.
        health: additional paths with the response of `/ping`.
        predictions: additional paths for predictions, and the model of each.
        max_body: maximum bytes of a request's body after decompression.
        request_timeout: maximum seconds for the arrival of a body.
        response_timeout: maximum seconds for a prediction in a thread, including the wait in the queue.
        tracing: makes the spans of requests; None for no spans.
        access_log: whether to log each request.
        check_token: token of check requests; see `fastmar_contract.check_requests`.

    Attributes:
        models: the served models.
        in_flight: number of requests without a response.
        answered: number of requests with a response.
    """

    def __init__(
        self,
        models: Models,
        *,
        keys: Iterable[str] | None = None,
        origins: Sequence[str] = (),
        health: Sequence[str] = (),
        predictions: Mapping[str, str] = MappingProxyType({}),
        max_body: int = MAX_BODY,
        request_timeout: float = REQUEST_TIMEOUT,
        response_timeout: float = RESPONSE_TIMEOUT,
        tracing: Tracing | None = None,
        access_log: bool = False,
        check_token: str | None = None,
    ) -> None:
        self._check_token = check_token
        self._keys: tuple[bytes, ...] | None = None
        if keys is not None:
            self.accept(keys)
        self._cors = Cors(origins) if origins else None
        self._platform = PlatformPaths(health, predictions)
        self._max_body = max_body
        self._deadlines = Deadlines(request_timeout)
        self._response_timeout = response_timeout
        self._tracing = tracing
        self._logs_access = access_log
        self.in_flight = 0
        self.answered = 0
        self._close: Mapping[str, str] = {}
        self._held: asyncio.Event | None = None
        self.serve(models)

    def serve(self, models: Models) -> None:
        """Replace the served models. Requests in flight are still answered by the previous ones."""
        self.models = models
        self._routes = routes(models, self._platform)
        self._release()

    def accept(self, keys: Iterable[str]) -> None:
        """Accept exactly these keys from now on."""
        self._keys = tuple(key.encode() for key in keys)

    def hold(self) -> None:
        """Make new requests wait for the next call of `serve`, so that all workers switch at the same time."""
        self._held = self._held or asyncio.Event()

    def _release(self) -> None:
        if self._held is not None:
            self._held.set()
            self._held = None

    def drain(self) -> None:
        """Report not ready, and close the connection after each response."""
        self._release()
        self._routes = routes(self.models, self._platform, STOPPING)
        self._close = {"connection": "close"}

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Handle a request from Granian."""
        body = RsgiBody(protocol)
        try:
            response, headers = await self._respond(
                scope.scheme, scope.method, scope.path, scope.query_string, scope.headers, body
            )
        except Disconnected:
            return
        if not isinstance(response, EventStream):
            protocol.response_bytes(response.status, headers, response.body)
            return
        transport = protocol.response_stream(response.status, headers)
        async with response as parts:
            async for part in parts:
                await transport.send_bytes(part)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request from an ASGI server."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        try:
            response, headers = await self.respond(scope, AsgiBody(receive))
        except Disconnected:
            return
        if isinstance(response, EventStream):
            await response.send(headers, send)
            return
        sent = [*encoded(headers), (b"content-length", str(len(response.body)).encode())]
        await send({"type": "http.response.start", "status": response.status, "headers": sent})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})

    async def respond(self, scope: Mapping[str, Any], body: Body) -> tuple[Response, list[tuple[str, str]]]:
        """The response to a request with an ASGI scope, and all its headers.

        Raises:
            Disconnected: the caller has left.
        """
        given = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        return await self._respond(scope["scheme"], scope["method"], scope["path"], query, given, body)

    async def _respond(
        self, scheme: str, method: str, path: str, query: str, headers: Headers, body: Body
    ) -> tuple[Response, list[tuple[str, str]]]:
        """The response to a request, and all its headers.

        Raises:
            Disconnected: the caller has left.
        """
        span = None
        if self._tracing is not None:
            span = self._tracing.start(method, scheme, path, path if path in self._routes else None, headers)
        ids = request_ids(headers, span)
        CURRENT.set(ids)
        status = None
        began = time.perf_counter() if self._logs_access else 0.0
        self.in_flight += 1
        try:
            if self._held is not None:
                await self._held.wait()
            response = await self._route(method, path, query, headers, body)
            status = response.status
            if isinstance(response, EventStream):
                self.in_flight += 1  # until its end
        finally:
            self._finish()
            if self._logs_access:
                log_access(method, path, status, 1000 * (time.perf_counter() - began))
            if self._tracing is not None and span is not None:
                self._tracing.end(span, status)
        return response, self._headers(response, ids, headers)

    def _finish(self) -> None:
        self.in_flight -= 1
        self.answered += 1

    def _headers(self, response: Response, ids: RequestIds, request: Headers) -> list[tuple[str, str]]:
        headers = [("content-type", response.content_type), ("x-request-id", ids.request)]
        if response.headers:
            headers += response.headers.items()
        if self._close:
            headers += self._close.items()
        if self._cors is not None and (origin := request.get("origin")) is not None:
            headers += self._cors.headers(origin).items()
        return headers

    async def _route(self, method: str, path: str, query: str, headers: Headers, body: Body) -> Response:
        preflight = method == "OPTIONS" and headers.get("access-control-request-method") is not None
        if preflight and self._cors is not None:
            return self._cors.preflight()
        endpoint = self._routes.get(path)
        needs_key = self._keys is not None and (endpoint is None or endpoint.needs_key)
        if needs_key and not admits(self._keys, headers.get("authorization")):
            return refusals.unauthorized(v2=is_v2(path), browser=method in READ and path.endswith("/docs"))
        if endpoint is None:
            return unknown_path(self.models, path)
        if method not in endpoint.methods:
            return refusals.not_allowed(", ".join(endpoint.methods), v2=endpoint.v2, preflight=preflight)
        if endpoint.fixed is not None:
            return endpoint.fixed
        version = endpoint.version or self._find_default(query)
        if version is None:
            return refusals.model_not_found(v2=False) if "model_name" in query else refusals.name_required()
        request = await self._read(version, endpoint.v2, headers, body)
        if isinstance(request, Response):
            return request
        request.ids = CURRENT.get()
        request.is_check = check_requests.is_check(self._check_token, headers.get(check_requests.HEADER))
        try:
            if accepts_events(headers.get("accept")):
                events = await version.batcher.call(partial(version.service.stream, request))
                if events is not None:
                    return EventStream(self._parts(version, events, body), self._finish)
            return await self._predict(version, request, body, v2=endpoint.v2)
        finally:
            if self._tracing is not None:
                self._tracing.predicted(version.name, version.version, request)

    def _find_default(self, query: str) -> Version | None:
        """The default version of the model that a query names."""
        name = parse_qs(query).get("model_name", [""])[0]
        return self.models.default(name) if name in self.models.versions else None

    async def _read(self, version: Version, v2: bool, headers: Headers, body: Body) -> Request | Response:
        """Read a request; returns the response if it is refused, or if it requests a document."""
        length = headers.get("content-length")
        if length is not None and int(length) > self._max_body:
            return refusals.too_large(self._max_body, v2=v2)
        try:
            content = body.arrived()
            if content is None:
                with self._deadlines:
                    if length is not None and int(length) <= ONE_READ:
                        content = await body.read()
                    else:
                        content = await body.read_chunks(self._max_body, self._deadlines.extend)
            elif len(content) > self._max_body:
                raise TooLarge
            encoding = headers.get("content-encoding")
            if encoding is not None:
                content = decompress(content, encoding, self._max_body)
        except TimeoutError:
            return refusals.request_timeout(v2=v2)
        except TooLarge:
            return refusals.too_large(self._max_body, v2=v2)
        except UnknownEncoding:
            return refusals.unknown_encoding(v2=v2)
        except Damaged:
            return refusals.damaged_body(v2=v2)
        tensors = headers.get(protocol_v2.JSON_LENGTH)
        of_tensors = _NO_HEADERS if tensors is None else {protocol_v2.JSON_LENGTH: tensors}
        media_type = headers.get("content-type")
        if not content and media_type is not None and (document := _DOCUMENT_TYPE.fullmatch(media_type)):
            return version.service.document(document[1])
        received = version.service.receive(
            lambda limit: payload.read(content, media_type, version.spec, None, limit, of_tensors, v2), v2=v2
        )
        return _counted(version, received) if isinstance(received, Response) else received

    async def _parts(self, version: Version, events: Iterator[bytes], body: Body) -> AsyncGenerator[bytes, None]:
        """The events, until the caller leaves."""
        left = asyncio.ensure_future(body.disconnected())
        try:
            while not left.done() and (part := await version.batcher.call(partial(next, events, None))) is not None:
                yield part
        finally:
            left.cancel()

    async def _predict(self, version: Version, request: Request, body: Body, *, v2: bool) -> Response:
        try:
            computed = version.batcher.submit(request)
        except QueueFull:
            return _counted(version, refusals.overloaded(v2=v2))
        if not version.batcher.in_thread:
            return await computed
        left = asyncio.ensure_future(body.disconnected())
        try:
            await asyncio.wait((computed, left), timeout=self._response_timeout, return_when=asyncio.FIRST_COMPLETED)
            if computed.done():
                return computed.result()
            computed.cancel()
            if left.done():
                raise Disconnected
            return _counted(version, refusals.response_timeout(v2=v2))
        finally:
            left.cancel()


def _counted(version: Version, response: Response) -> Response:
    """A response that the service did not make, after its observers have counted the status."""
    return version.service.respond([response])[0]


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
