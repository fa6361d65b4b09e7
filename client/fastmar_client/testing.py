"""A server for your own tests that is none: it answers as a model of a schema would, or as you tell it.

from fastmar_client.testing import FakeServer

server = FakeServer("schema.json")  # of an archive, or of `client.schema("adult")`
client = server.client()
client.predict("adult", server.example("adult"))  # always the same answer to the same record
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

from fastmar_client import plausible
from fastmar_client.client import Client
from fastmar_client.retries import Retries
from fastmar_client.schema import Schema
from fastmar_client.sender import Reply, timed_out, unreachable
from fastmar_client.served import SCHEMA_REQUEST
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
    """A request that arrived, and the records that were in it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    records: list[Any] = field(default_factory=list)


@dataclass
class _Fault:
    """What happens to the next requests instead of an answer; `times` is None for all of them."""

    times: int | None
    happen: Callable[[tuple[float, float]], Reply]


class FakeServer:
    """Takes the place of a server, below `Client`: nothing is sent, all else is as with a real one.

    Attributes:
        requests: what arrived so far, in its order.
        ready: whether it is ready; set it to False, and it answers as a server does whose models are still loading.
    """

    def __init__(self, *schemas: Described) -> None:
        """A server of models, each given by its schema: a dict, a schema.json, or a .mar that holds one."""
        self.requests: list[Request] = []
        self.ready = True
        self._models: dict[str, list[Schema]] = {}
        self._told: dict[str, Answers] = {}
        self._fault: _Fault | None = None
        self._lock = threading.Lock()
        for described in schemas:
            schema = Schema(_read(described))
            self._models.setdefault(schema.name, []).append(schema)

    def client(self, **options: Any) -> Client:
        """A client of this server; repeats requests as always, but without a pause."""
        return Client(URL, sender=self, **{"retries": Retries(backoff=0.0, longest=0.0), **options})

    def async_client(self, **options: Any) -> AsyncClient:
        """The same for code that uses `AsyncClient`."""
        from fastmar_client.async_client import AsyncClient  # noqa: PLC0415 - asyncio, where it is needed

        return AsyncClient(URL, sender=_AsyncFake(self), **{"retries": Retries(backoff=0.0, longest=0.0), **options})

    def example(self, model: str) -> dict[str, Any]:
        """A record that the model takes without a warning."""
        return plausible.record(self._models[model][-1])

    def answer(self, model: str, answer: Answers) -> None:
        """Answer each of the model's records like this from now on: with a dict, or with what a function returns."""
        self._told[model] = answer

    def fail(self, status: int = 500, message: str = "it was told to fail", times: int | None = FOREVER) -> None:
        """Refuse requests with an HTTP status, the next `times` ones or all."""
        body = json.dumps({"code": status, "type": "Told", "message": message}).encode()
        self._fault = _Fault(times, lambda _: Reply(status, body))

    def time_out(self, times: int | None = FOREVER) -> None:
        """Let requests time out, at once."""

        def happen(timeout: tuple[float, float]) -> Reply:
            raise timed_out(URL, timeout[1])

        self._fault = _Fault(times, happen)

    def break_connections(self, times: int | None = FOREVER) -> None:
        """Be unreachable."""

        def happen(_: tuple[float, float]) -> Reply:
            raise unreachable(URL, "it was told to be unreachable")

        self._fault = _Fault(times, happen)

    def recover(self) -> None:
        """Answer again."""
        self._fault = None

    def close(self) -> None:
        """Nothing is open."""

    def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: tuple[float, float]
    ) -> Reply:
        """See `fastmar_client.sender.Sender`: what a client calls."""
        request = Request(method, path, dict(headers), body or b"")
        self.requests.append(request)
        fault = self._next_fault()
        if fault is not None:
            return fault.happen(timeout)
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
        """The schema of a version; the one that was given last is the default."""
        found = [schema for schema in self._models.get(name, ()) if version in (None, schema.version)]
        return found[-1] if found else None

    def _predict(self, schema: Schema, request: Request) -> Reply:
        try:
            records, shape = plausible.read_body(request.body, request.headers.get("Content-Type", JSON), schema)
        except TableUnreadable as error:
            return _json(400, error.as_dict())
        except ValueError as error:
            report = {"code": "bad_request", "field": None, "message": f"{error}.", "fix": "send what the model reads."}
            return _json(400, {"error": report})
        request.records.extend(records)
        answers = [self._answer(schema, record, place) for place, record in enumerate(records)]
        status = 400 if answers and all("error" in answer for answer in answers) else 200
        if shape == "lines":
            lines = b"".join(json.dumps(answer).encode() + b"\n" for answer in answers)
            return Reply(200, lines, {"Content-Type": LINES})
        return _json(
            status,
            {"one": answers[0] if answers else None, "predictions": {"predictions": answers}}.get(shape, answers),
        )

    def _answer(self, schema: Schema, record: Any, place: int) -> dict[str, Any]:
        told = self._told.get(schema.name)
        if told is None:
            return plausible.answer(schema, record, place)
        answer = dict(told(record) if callable(told) else told)
        return answer if "error" in answer else {"warnings": [], **answer}


class _AsyncFake:
    """A fake server as an `AsyncSender`."""

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
