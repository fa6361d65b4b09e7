"""The handler for TorchServe.

It works around these faults of TorchServe: an exception fails all requests of a batch, a dict is sent without a
Content-Type, user text in a status phrase hangs the worker, and a response over the size limit kills it.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from fastmar_contract import check_requests
from fastmar_contract.machine import usable_cores
from fastmar_contract.profiles import PERIOD
from fastmar_contract.request_log import LogOptions
from fastmar_runtime import __version__, payload, protocol_v2
from fastmar_runtime.errors import BundleError, RuntimeMismatch
from fastmar_runtime.golden import check_golden, read_golden
from fastmar_runtime.logs import RequestIds
from fastmar_runtime.memory import release_freed
from fastmar_runtime.observers import worker_observers
from fastmar_runtime.payload import Request, Response
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.profiles.reporting import warn_of_killed
from fastmar_runtime.samples import read_samples
from fastmar_runtime.service import Service
from fastmar_runtime.spec import Spec

log = logging.getLogger(__name__)

PHRASES = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    413: "Payload Too Large",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
}
# Headers that the server's front adds: the caller's Content-Type if the body is raw bytes, the protocol, and the id.
RAW_TYPE, PROTOCOL, REQUEST_ID = "fastmar-content-type", "fastmar-protocol", "x-request-id"
MAX_RESPONSE = "FASTMAR_MAX_RESPONSE_BYTES"  # environment variable: TorchServe's max_response_size
# Environment variables: folder of the files with profiles of the records, and seconds between two reports.
PROFILES, PROFILE_PERIOD = "FASTMAR_PROFILES", "FASTMAR_PROFILE_PERIOD"
REQUEST_LOG = "FASTMAR_REQUEST_LOG_OPTIONS"  # environment variable: `LogOptions` as JSON
_DEFAULT_MAX_RESPONSE = 6_553_500  # TorchServe's own default
_FRAMING_BYTES = 64 * 1024  # headers and framing of a batch


def open_checked(model_dir: str | Path, threads: int, gpu: int | None = None) -> Predictor:
    """Open the bundle in `model_dir` and check that it reproduces its golden records.

    Raises:
        BundleError: the runtime or the protocol does not match, a member is invalid, or answers differ.
    """
    predictor = Predictor.open(model_dir, threads=threads, gpu=gpu)
    spec = predictor.spec
    if spec.runtime != __version__:
        raise RuntimeMismatch(
            f"the archive was written for runtime {spec.runtime}, but {__version__} was imported from {__file__}.",
            fix="remove PYTHONPATH from the server's environment, or export the learner again.",
        )
    if predictor.files is not None:
        check_golden(predictor, read_golden(predictor.files, [t.name for t in spec.inputs]))
        read_samples(predictor.files)  # damaged ones are reported like other members
    release_freed()
    return predictor


class Handler:
    """TorchServe calls `initialize` once per worker, then `handle` for each batch."""

    def __init__(self) -> None:
        self._check_token = os.environ.get(check_requests.VARIABLE)
        self._max_response = int(os.environ.get(MAX_RESPONSE, _DEFAULT_MAX_RESPONSE))

    def initialize(self, context: Any) -> None:
        """Open the model. If that fails, print the reason in one line and exit: the worker never becomes READY."""
        logging.getLogger().addFilter(_is_worth_logging)
        settings = (context.model_yaml_config or {}).get("fastmar") or {}
        properties = context.system_properties
        try:
            predictor = open_checked(properties["model_dir"], _threads(settings), properties.get("gpu_id"))
        except BundleError as error:
            _give_up(context.model_name, error.message, error.fix, error)
        except Exception as error:  # a bug, or a fault of the machine
            log.exception("loading failed")
            _give_up(context.model_name, f"{error!r}.", "see the worker's log, and export the learner again.", error)
        text = os.environ.get(REQUEST_LOG)
        killed: list[str] = []
        period = float(os.environ.get(PROFILE_PERIOD) or PERIOD)
        observers = worker_observers(
            predictor,
            (context.model_name, predictor.spec.version),
            _declared_metrics(context),
            _worker_number(),
            profiles=Path(os.environ[PROFILES]) if os.environ.get(PROFILES) else None,
            period=period,
            log=LogOptions(**json.loads(text)) if text else None,
            on_killed=killed.append,
        )
        warn_of_killed(killed, period)
        if len(observers) > 1:
            signal.signal(signal.SIGTERM, _exit)  # by default their last reports would be lost
        self._service = Service(predictor, self._max_response - _FRAMING_BYTES, observers)

    def handle(self, data: Sequence[dict[str, Any]], context: Any) -> list[Any]:
        """Answer a batch of requests. Returns the bodies; statuses and headers are set in `context`."""
        started = time.perf_counter()
        received = [self._receive(row, index, context) for index, row in enumerate(data)]
        responses = self._service.respond(received, started)
        for index, response in enumerate(responses):
            if response.status != 200:
                context.set_response_status(response.status, PHRASES[response.status], index)
            context.set_response_content_type(index, response.content_type)
            for name, value in response.headers.items():
                context.set_response_header(index, name, value)
        return [response.body for response in responses]

    def _receive(self, row: dict[str, Any], index: int, context: Any) -> Request | Response:
        """The request of one row, or the response if it requests a document or can't be read."""
        headers = _headers(index, context)
        path = _document_path(row, index, context, headers)
        if path:
            return self._service.document(path)
        request = self._service.receive(
            lambda max_records: _request(row, index, context, headers, self._service.spec, max_records),
            v2=_is_v2(headers),
        )
        if isinstance(request, Request):
            request.is_check = check_requests.is_check(self._check_token, headers.get(check_requests.HEADER))
            if REQUEST_ID in headers:
                request.ids = RequestIds(headers[REQUEST_ID])
        return request


def _exit(*_: object) -> NoReturn:
    raise SystemExit(0)


def _is_worth_logging(record: logging.LogRecord) -> bool:
    """Filter out log records that callers could fill the log with.

    TorchServe's message handler logs a line for each batch, and a traceback for each body that is not JSON, which the
    caller learns from the response.
    """
    return record.module != "otf_message_handler" or record.levelno >= logging.ERROR


def _threads(settings: dict[str, Any]) -> int:
    """Threads of one worker; 0 means its share of the cores, which the launcher passes as OMP_NUM_THREADS."""
    threads = int(settings.get("threads", 1))
    if threads > 0:
        return threads
    shared = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(shared) if shared.isdecimal() and int(shared) else usable_cores()


def _declared_metrics(context: Any) -> dict[str, Any]:
    """The metrics that TorchServe's metrics.yaml declares, by name."""
    cache = getattr(context.metrics, "cache", {})
    return {name: metric for metrics in cache.values() for name, metric in metrics.items()}


def _worker_number() -> str:
    """The worker's number, from the name of its socket. A worker restarted after a crash has the same number."""
    return next((argument.rpartition(".")[2] for argument in sys.argv if ".ts.sock." in argument), "0")


def _give_up(model: str, message: str, fix: str, error: Exception) -> NoReturn:
    """Print the reason in one line, and exit the worker."""
    print("fastmar:", *f"{model} can't be served: {message} Fix: {fix}".split(), file=sys.stderr, flush=True)
    raise SystemExit(1) from error


def _document_path(row: dict[str, Any], index: int, context: Any, headers: Mapping[str, str]) -> str:
    """The requested document: from the path ``/predictions/NAME/VERSION/schema``, or from the Content-Type.

    In a path without a version, TorchServe reads ``schema`` as the version. A caller that does not know the version
    sends an empty body with Content-Type ``application/schema-request+json`` instead. A ``?customized=true`` request on
    the management port arrives as a row without a body with the header ``describe``, which other callers may send as
    well.
    """
    if not row and context.get_request_header(index, "describe") == "True":
        return "schema"
    path = context.get_request_header(index, "url_path") or ""
    if not path:
        media_type = headers.get("content-type", "")
        if media_type.startswith("application/") and media_type.endswith("-request+json"):
            path = media_type.removeprefix("application/").removesuffix("-request+json")
    return path.strip("/")


def _headers(index: int, context: Any) -> dict[str, str]:
    """Request headers by name in lower case. TorchServe keeps the client's case, and adds the parts of a form."""
    headers = context.get_all_request_header(index)
    return {key.lower(): value for key, value in headers.items() if isinstance(value, str)}


def _is_v2(headers: Mapping[str, str]) -> bool:
    return headers.get(PROTOCOL) == "v2" or protocol_v2.JSON_LENGTH in headers


def _request(
    row: dict[str, Any], index: int, context: Any, headers: Mapping[str, str], spec: Spec, max_records: int
) -> Request:
    """The request of one row: a raw body, a body that TorchServe parsed, or the parts of a form.

    Raises:
        RequestError: it can't be read as records.
    """
    raw_type = headers.get(RAW_TYPE)
    if raw_type is not None:
        body = row.get("body", row.get("data", b""))
        return payload.read(
            body, raw_type, spec, _without(row, "body"), max_records, headers, headers.get(PROTOCOL) == "v2"
        )
    content_type = headers.get("content-type")
    own_types = {name: _part_type(index, context, name) for name in row}
    is_form = (content_type or "").lower().startswith("multipart/")
    if is_form and sum(isinstance(part, bytes | bytearray) for part in row.values()) > 1:
        return payload.read_form(row, spec, max_records, own_types)
    for key in ("body", "data"):  # not `or`: 0, [] and {} are valid bodies
        if key in row:
            return payload.read(
                row[key], own_types[key] or content_type, spec, _without(row, key), max_records, headers
            )
    return payload.read_form(row, spec, max_records, own_types)


def _without(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != key}


def _part_type(index: int, context: Any, name: str) -> str:
    """The Content-Type of one part of a form, which TorchServe stores among the request's headers."""
    part = context.get_request_header(index, name)
    return (part.get("content-type") if isinstance(part, dict) else None) or ""
