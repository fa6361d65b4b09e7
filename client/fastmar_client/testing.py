"""A fake server for tests of your code: it makes up answers that fit a model's schema, or returns yours.

from fastmar_client.testing import FakeServer

server = FakeServer("schema.json")  # from an archive, or from `client.schema("adult")`
client = server.client()
client.predict("adult", server.example("adult"))  # the same record always gets the same answer
server.answer("adult", {"prediction": ">=50k"})  # or a function of the record
server.fail(503, times=1)
server.time_out()
assert server.requests[0].records == [...]
"""

from __future__ import annotations

import json
import os
import threading
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from fastmar_client import synthetic
from fastmar_client.client import Client
from fastmar_client.retries import Retries
from fastmar_client.schema import Schema
from fastmar_client.served import SAMPLES_REQUEST, SCHEMA_REQUEST
from fastmar_client.transport import Reply, timed_out, unreachable
from fastmar_contract.errors import TableUnreadable
from fastmar_contract.members import SCHEMA

if TYPE_CHECKING:
    from fastmar_client.async_client import AsyncClient

JSON, LINES = "application/json", "application/jsonlines"
URL = "http://fake"
FOREVER = None

Described = Mapping[str, Any] | str | os.PathLike[str]
Answers = Mapping[str, Any] | Callable[[Any], Mapping[str, Any]]


@dataclass(frozen=True)
class Request:
    """A received request, and its records."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    records: list[Any] = field(default_factory=list)


@dataclass
class _Fault:
    """A failure of the next `times` requests, or of all if None."""

    times: int | None
    fail: Callable[[tuple[float, float]], Reply]


class FakeServer:
    """A transport that answers like a server, without HTTP.

    Attributes:
        requests: the requests received so far, in order.
        ready: set it to False to answer like a server whose models are still loading.
    """

    def __init__(self, *schemas: Described) -> None:
        """Serve a model for each schema: a dict, a schema.json, or a .mar."""
        self.requests: list[Request] = []
        self.ready = True
        self._models: dict[str, list[Schema]] = {}
        self._answers: dict[str, Answers] = {}
        self._fault: _Fault | None = None
        self._lock = threading.Lock()
        for described in schemas:
            schema = Schema(_read(described))
            self._models.setdefault(schema.name, []).append(schema)

    def client(self, **options: Any) -> Client:
        """A client of this server; it retries without pauses."""
        return Client(URL, transport=self, **{"retries": Retries(backoff=0.0, longest=0.0), **options})

    def async_client(self, **options: Any) -> AsyncClient:
        """An `AsyncClient` of this server; it retries without pauses."""
        from fastmar_client.async_client import AsyncClient  # noqa: PLC0415 - imports asyncio

        return AsyncClient(URL, transport=_AsyncFake(self), **{"retries": Retries(backoff=0.0, longest=0.0), **options})

    def example(self, model: str) -> dict[str, Any]:
        """A record that is answered without warnings."""
        return synthetic.record(self._models[model][-1])

    def answer(self, model: str, answer: Answers) -> None:
        """Set the answer to each of the model's records: a dict, or a function of the record that returns one."""
        self._answers[model] = answer

    def fail(self, status: int = 500, message: str = "the fake server fails", times: int | None = FOREVER) -> None:
        """Answer the next `times` requests, or all, with an HTTP error."""
        body = json.dumps({"code": status, "type": "FakeFailure", "message": message}).encode()
        self._fault = _Fault(times, lambda _: Reply(status, body))

    def time_out(self, times: int | None = FOREVER) -> None:
        """Let the next `times` requests, or all, time out immediately."""

        def fail(timeout: tuple[float, float]) -> Reply:
            raise timed_out(URL, timeout[1])

        self._fault = _Fault(times, fail)

    def break_connections(self, times: int | None = FOREVER) -> None:
        """Break the connections of the next `times` requests, or of all."""

        def fail(_: tuple[float, float]) -> Reply:
            raise unreachable(URL, "the fake server breaks connections")

        self._fault = _Fault(times, fail)

    def recover(self) -> None:
        """End the failures."""
        self._fault = None

    def close(self) -> None:
        """Do nothing; there are no connections."""

    def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: tuple[float, float]
    ) -> Reply:
        """See `fastmar_client.transport.Transport`."""
        request = Request(method, path, dict(headers), body or b"")
        self.requests.append(request)
        fault = self._next_fault()
        if fault is not None:
            return fault.fail(timeout)
        if path == "/v1/models":
            return _json(200, {"models": list(self._models), "details": self._details()})
        _, _, name, *rest = map(unquote, path.split("/"))
        version, below, *_ = [*rest, None, None]
        schema = self._find(name, version)
        if schema is None:
            return _error(404, "ModelNotFoundException", f"Model not found: {name} {version or ''}".rstrip())
        if not self.ready:
            return _error(
                503, "ServiceUnavailableException", f'Model "{name}" has no worker to serve inference request.'
            )
        if below == "schema" or headers.get("Content-Type") == SCHEMA_REQUEST:
            return _json(200, schema.described)
        if below == "samples" or headers.get("Content-Type") == SAMPLES_REQUEST:
            return _json(200, {"samples": []})
        return self._predict(schema, request)

    def _next_fault(self) -> _Fault | None:
        with self._lock:
            fault = self._fault
            if fault is None or fault.times == 0:
                return None
            if fault.times is not None:
                fault.times -= 1
            return fault

    def _details(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "version": schemas[-1].version,
                "versions": [schema.version for schema in schemas],
                "ready": self.ready,
            }
            for name, schemas in self._models.items()
        ]

    def _find(self, name: str, version: str | None) -> Schema | None:
        """The schema of a version; the default is the last one passed to the constructor."""
        found = [schema for schema in self._models.get(name, ()) if version in (None, schema.version)]
        return found[-1] if found else None

    def _predict(self, schema: Schema, request: Request) -> Reply:
        try:
            records, shape = synthetic.read_body(request.body, request.headers.get("Content-Type", JSON), schema)
        except TableUnreadable as error:
            return _json(400, error.as_dict())
        except ValueError as error:
            report = {
                "code": "bad_request",
                "field": None,
                "message": f"{error}.",
                "fix": "send JSON or CSV.",
            }
            return _json(400, {"error": report})
        request.records.extend(records)
        answers = [self._answer(schema, record, position) for position, record in enumerate(records)]
        status = 400 if answers and all("error" in answer for answer in answers) else 200
        if shape == "lines":
            lines = b"".join(json.dumps(answer).encode() + b"\n" for answer in answers)
            return Reply(200, lines, {"Content-Type": LINES})
        return _json(
            status,
            {"one": answers[0] if answers else None, "predictions": {"predictions": answers}}.get(shape, answers),
        )

    def _answer(self, schema: Schema, record: Any, position: int) -> dict[str, Any]:
        configured = self._answers.get(schema.name)
        if configured is None:
            requested = (
                synthetic.item_list(schema, record)
                or synthetic.of_text(schema, record)
                or synthetic.explanation(schema, record, position)
            )
            return requested or synthetic.answer(schema, record, position)
        answer = dict(configured(record) if callable(configured) else configured)
        return answer if "error" in answer else {"warnings": [], **answer}


class _AsyncFake:
    """Makes a fake server an `AsyncTransport`."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server

    async def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: tuple[float, float]
    ) -> Reply:
        return self._server.send(method, path, body, headers, timeout)

    async def close(self) -> None:
        self._server.close()


def _read(described: Described) -> Mapping[str, Any]:
    if isinstance(described, Mapping):
        return described
    path = Path(described)
    if path.suffix == ".mar":
        with zipfile.ZipFile(path) as archive:
            text = archive.read(SCHEMA)
    else:
        text = path.read_bytes()
    schema: Mapping[str, Any] = json.loads(text)
    return schema


def _json(status: int, body: Any) -> Reply:
    return Reply(status, json.dumps(body).encode(), {"Content-Type": JSON})


def _error(status: int, kind: str, message: str) -> Reply:
    return _json(status, {"code": status, "type": kind, "message": message})
