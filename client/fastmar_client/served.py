"""Models on a server: their paths, schemas, readiness, and their answers to rows of tables."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote

from fastmar_client.errors import (
    ClientError,
    ModelNotFound,
    RecordRefused,
    ServerFailed,
    ServerUnreachable,
    Timeout,
    Unauthorized,
)
from fastmar_client.flows import Flow, Pause
from fastmar_client.keys import UNREADABLE
from fastmar_client.requester import Requester
from fastmar_client.retries import NO_RETRIES, Retries
from fastmar_contract.display import short_repr
from fastmar_contract.similar import SimilarNames

if TYPE_CHECKING:
    from fastmar_client.client import Client

_REQUEST = "application/{}-request+json"  # requests a document of the default version
SCHEMA_REQUEST, SAMPLES_REQUEST = map(_REQUEST.format, ("schema", "samples"))
READY_POLL = 0.25
ABSENT_GRACE = 10.0  # seconds in which a server may still load a model that it does not list
_MAX_LISTED = 10  # names of models in a message
_NO_DOCUMENT = "not_found"  # code of the error for a document that a model does not have


class ServedModel(TypedDict):
    """A model on a server; `version` is the default version."""

    name: str
    version: str
    versions: list[str]
    ready: bool


def check_names(model: object, version: object) -> None:
    """Check the types of a model's name and version: swapped arguments, and versions such as 2 for "2.0".

    Raises:
        TypeError: one of them is not a str.
    """
    if not isinstance(model, str):
        raise TypeError(
            f"the model's name is {short_repr(model)}, of type {type(model).__name__}. "
            'Fix: pass the name first, as in predict("flights", record).'
        )
    if not isinstance(version, str | None):
        raise TypeError(
            f"version is {short_repr(version)}, of type {type(version).__name__}. "
            'Fix: pass the whole version as text, such as version="2.0".'
        )


def path_of(model: str, version: str | None) -> str:
    """The path of a model's predictions."""
    check_names(model, version)
    path = f"/predictions/{quote(model, safe='')}"
    return path if version is None else f"{path}/{quote(version, safe='')}"


def get_schema(requester: Requester, model: str, version: str | None) -> Flow[dict[str, Any]]:
    """The schema of a model. See `Client.schema`."""
    schema = yield from _get_document(requester, model, version, "schema")
    if not isinstance(schema, dict):
        raise ServerFailed(
            f"{model} returned no schema.",
            fix="export the model with this version of fastmar.",
            code="no_schema",
            model=model,
        )
    return schema


def get_samples(requester: Requester, model: str, version: str | None) -> Flow[list[bytes]]:
    """The sample pictures of a model. See `Client.samples`."""
    try:
        found = yield from _get_document(requester, model, version, "samples")
    except ModelNotFound as error:
        if error.code == _NO_DOCUMENT:
            return []
        raise
    try:
        return [base64.b64decode(record["image"]["b64"], validate=True) for record in found["samples"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ServerFailed(
            f"{model} returned samples that can't be read ({error!r}).",
            fix="export the model with this version of fastmar.",
            code="samples_unreadable",
            model=model,
        ) from error


def _get_document(requester: Requester, model: str, version: str | None, name: str) -> Flow[Any]:
    path = path_of(model, version)
    if version is not None:
        return (yield from requester.request("GET", f"{path}/{name}", model=model))
    return (yield from requester.request("POST", path, b"", content_type=_REQUEST.format(name), model=model))


def list_models(requester: Requester, retries: Retries | None = None) -> Flow[list[ServedModel]]:
    """The models that the server has loaded. See `Client.models`."""
    found = yield from requester.request("GET", "/v1/models", retries=retries)
    details = found.get("details") if isinstance(found, dict) else None
    if not isinstance(details, list):
        raise ServerFailed(
            "the server returned no list of models.",
            fix="serve the models with this version of `fastmar serve`.",
            code="no_list",
        )
    return details


def wait_until_ready(requester: Requester, model: str, timeout: float, version: str | None) -> Flow[None]:
    """Return once the model answers a request. See `Client.wait_until_ready`."""
    deadline = time.monotonic() + timeout
    absent_since = None
    while True:
        # A model without a worker does not refuse requests but keeps them waiting: send without retries, and limit the
        # timeout to the remaining time.
        left = max(deadline - time.monotonic(), READY_POLL)
        connect, read = requester.timeout
        limits = min(connect, left), min(read, left)
        path = path_of(model, version)
        try:
            yield from requester.request(
                "POST", path, b"", content_type=SCHEMA_REQUEST, model=model, retries=NO_RETRIES, timeout=limits
            )
        except RecordRefused:
            return  # the model answers, but not with a schema
        except (ServerUnreachable, ServerFailed, ModelNotFound, Timeout, Unauthorized) as error:
            if isinstance(error, Unauthorized) and error.code != UNREADABLE:  # the key file may come later
                raise
            absent_since = (absent_since or time.monotonic()) if isinstance(error, ModelNotFound) else None
            if absent_since is not None and time.monotonic() >= absent_since + ABSENT_GRACE:
                yield from _check_listed(requester, model, error)
            if time.monotonic() + READY_POLL > deadline:
                raise Timeout(
                    f"{model} is not ready after {timeout:g} s: {error.message}",
                    fix="read the server's log; `fastmar doctor MODEL.mar` shows why a model does not load.",
                    model=model,
                ) from error
        else:
            return
        yield Pause(READY_POLL)


def _check_listed(requester: Requester, model: str, refusal: ClientError) -> Flow[None]:
    """Check that a model can still become ready, after the server has refused it as unknown.

    It can if the server lists it, since a deployment may load the requested version; or if the server lists no models
    or models that are not ready, since it may be starting.

    Raises:
        ModelNotFound: the server has loaded other models only.
    """
    try:
        models = yield from list_models(requester, NO_RETRIES)
    except ClientError:  # a proxy or another kind of server
        return
    names = [served["name"] for served in models]
    if not names or model in names or not all(served["ready"] for served in models):
        return
    listed = ", ".join(names[:_MAX_LISTED]) + (f" and {len(names) - _MAX_LISTED} more" if names[_MAX_LISTED:] else "")
    similar = SimilarNames(names).closest(model)
    hint = f" Did you mean {similar!r}?" if similar else ""
    raise ModelNotFound(
        f"the server has no model {model!r}; it has loaded {listed}.{hint}",
        fix="check the name; if it is right, deploy the model first.",
        status=refusal.status,
        model=model,
        request_id=refusal.request_id,
    ) from refusal


class ServedRowModel:
    """One version of a served model, as a `RowModel` of `scoring`."""

    def __init__(self, client: Client, name: str, version: str | None) -> None:
        self.schema: Mapping[str, Any] = client.schema(name, version)
        self._client = client
        self._name = name
        # Pin the version: a deployment during the run must not change it.
        self._version = version or self.schema.get("version")

    @property
    def identity(self) -> str:
        """Name, version and a hash of the schema, since an archive can be replaced under the same version."""
        digest = sha256(json.dumps(self.schema, sort_keys=True).encode()).hexdigest()
        return f"{self._name} {self._version} {digest[:16]}"

    def answer(self, body: bytes, content_type: str) -> Sequence[dict[str, Any]]:
        """See `scoring.RowModel`."""
        return self._client.predict_body(self._name, body, content_type, self._version)
