"""A model on a server: its paths, whether it is ready, and its answers to the rows of a table."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote

from fastmar_client.errors import ModelNotFound, RecordRefused, ServerFailed, ServerUnreachable, Timeout, Unauthorized
from fastmar_client.keys import UNREADABLE
from fastmar_client.requester import Requester
from fastmar_client.retries import NO_RETRIES
from fastmar_client.steps import Pause, Steps

if TYPE_CHECKING:
    from fastmar_client.client import Client

SCHEMA_REQUEST = "application/schema-request+json"  # asks for the schema where the version is not known
READY_POLL = 0.25


class ServedModel(TypedDict):
    """A model on the server: `version` is the one that answers where none is asked for."""

    name: str
    version: str
    versions: list[str]
    ready: bool


def path_of(model: str, version: str | None) -> str:
    """Where a model answers."""
    path = f"/predictions/{quote(model, safe='')}"
    return path if version is None else f"{path}/{quote(version, safe='')}"


def get_schema(requester: Requester, model: str, version: str | None) -> Steps[dict[str, Any]]:
    """What the model takes and gives. See `Client.schema`."""
    path = path_of(model, version)
    if version is not None:
        schema = yield from requester.request("GET", f"{path}/schema", model=model)
    else:
        schema = yield from requester.request("POST", path, b"", content_type=SCHEMA_REQUEST, model=model)
    if not isinstance(schema, dict):
        raise ServerFailed(
            f"{model} does not describe itself.",
            fix="export the model with fastmar.",
            code="no_schema",
            model=model,
        )
    return schema


def list_models(requester: Requester) -> Steps[list[ServedModel]]:
    """The models that the server has. See `Client.models`."""
    found = yield from requester.request("GET", "/v1/models")
    details = found.get("details") if isinstance(found, dict) else None
    if not isinstance(details, list):
        raise ServerFailed(
            "the server has no list of its models.",
            fix="serve with this version of `fastmar serve`.",
            code="no_list",
        )
    return details


def wait_until_ready(requester: Requester, model: str, timeout: float, version: str | None) -> Steps[None]:
    """Return once the model answers a request. See `Client.wait_until_ready`."""
    deadline = time.monotonic() + timeout
    while True:
        # A model without a worker lets requests wait instead of refusing them: no retry, and a time-out that is longer
        # than what is left, would both be no use to a caller who waits anyway.
        left = max(deadline - time.monotonic(), READY_POLL)
        connect, read = requester.timeout
        limits = min(connect, left), min(read, left)
        path = path_of(model, version)
        try:
            yield from requester.request(
                "POST", path, b"", content_type=SCHEMA_REQUEST, model=model, retries=NO_RETRIES, timeout=limits
            )
        except RecordRefused:
            return  # it answered, if not with a schema: an archive of another make
        except (ServerUnreachable, ServerFailed, ModelNotFound, Timeout, Unauthorized) as error:
            if isinstance(error, Unauthorized) and error.code != UNREADABLE:  # a file of keys comes with the server
                raise
            if time.monotonic() + READY_POLL > deadline:
                raise Timeout(
                    f"{model} is not ready after {timeout:g} s: {error.message}",
                    fix="look at the server's log; `fastmar doctor` says why a model does not load.",
                    model=model,
                ) from error
        else:
            return
        yield Pause(READY_POLL)


class ServedRows:
    """The rows of a table, asked of one version of a served model; a `Model` of `scoring`."""

    def __init__(self, client: Client, name: str, version: str | None) -> None:
        self.schema: Mapping[str, Any] = client.schema(name, version)
        self._client = client
        self._name = name
        # A deployment while this runs must not change who answers.
        self._version = version or self.schema.get("version")

    @property
    def identity(self) -> str:
        """Name, version and what it says of itself: an archive may have been replaced under the same version."""
        described = sha256(json.dumps(self.schema, sort_keys=True).encode()).hexdigest()
        return f"{self._name} {self._version} {described[:16]}"

    def answer(self, body: bytes, content_type: str) -> Sequence[dict[str, Any]]:
        """See `scoring.Model`."""
        return self._client.predict_body(self._name, body, content_type, self._version)
