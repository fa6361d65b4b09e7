"""The client: predictions, schemas and readiness of models on a TorchServe that serves fastmar archives."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, Self, overload
from urllib.parse import quote

import requests

from fastmar_client.bulk import answers_in_order
from fastmar_client.encoding import JSON, Part, Picture, part, together
from fastmar_client.errors import ClientError, ModelNotFound, RecordRefused, ServerFailed, ServerUnreachable, Timeout
from fastmar_client.keys import FixedKey, KeyFile, Keys
from fastmar_client.retries import NO_RETRIES, Retries
from fastmar_client.transport import Transport

Record = dict[str, Any]
Answer = dict[str, Any]

SCHEMA_REQUEST = "application/schema-request+json"  # asks for the schema where the version is not known
READY_POLL = 0.25
REQUEST_BYTES = 4_000_000  # of several records in one request: well below the 6.5 MB that the server takes


class Client:
    """Talks to one server. Safe to use from several threads; close it, or use it in a `with` statement.

    with Client("http://127.0.0.1:8080") as client:
        answer = client.predict("adult", {"age": 49, "workclass": " Private"})
        answer["prediction"], answer["probabilities"]
        client.predict("pets", "cat.jpg")  # a picture: its path, or the bytes of its file
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        token: str | None = None,
        key_file: str | os.PathLike[str] | None = None,
        management_url: str | None = None,
        timeout: tuple[float, float] = (3.0, 60.0),
        retries: Retries = Retries(),  # noqa: B008 - frozen
        session: requests.Session | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            url: address of the inference API.
            token: key for the inference API, if it asks for one.
            key_file: the server's key_file.json, instead of a token; read again when keys change.
            management_url: address of the management API, for `models`.
            timeout: seconds for the connection, and seconds without data from the server.
            retries: when and how often a request is repeated.
            session: a session to send with, for certificates and proxies; it is not closed.
        """
        if token is not None and key_file is not None:
            raise ValueError("give token or key_file, not both")
        keys: Keys = FixedKey(token) if key_file is None else KeyFile(key_file)
        self._inference = Transport(url, keys=keys, kind="inference", timeout=timeout, retries=retries, session=session)
        self._management = (
            Transport(management_url, keys=keys, kind="management", timeout=timeout, retries=retries, session=session)
            if management_url
            else None
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the server."""
        self._inference.close()
        if self._management:
            self._management.close()

    @overload
    def predict(  # type: ignore[overload-overlap]  # a str is a sequence of str too; it is taken as one path
        self, model: str, record: Record | Picture, version: str | None = None
    ) -> Answer: ...

    @overload
    def predict(self, model: str, record: Sequence[Record | Picture], version: str | None = None) -> list[Answer]: ...

    def predict(
        self, model: str, record: Record | Picture | Sequence[Record | Picture], version: str | None = None
    ) -> Any:
        """The model's answer to a record or a picture; for a list of them, a list of answers in their order.

        A picture is the path of its file, or the file's bytes; the answer to a path has the file's name as ``"name"``.
        In a list, a record that can't be scored is answered with `{"error": {...}}` in its place.

        Raises:
            RecordRefused: the model can't read the request, or can't score the one record; a file can't be read.
            ClientError: any other of `fastmar_client.errors`.
        """
        if isinstance(record, dict | bytes | bytearray | str | os.PathLike):
            one = part(record)
            return _named(self._post(model, version, one.data, one.media_type), one)
        parts = [part(each) for each in _records(record)]
        answers = self._post(model, version, together(parts), JSON)
        if not isinstance(answers, list) or len(answers) != len(parts):
            return answers
        return [_named(answer, sent) for answer, sent in zip(answers, parts, strict=True)]

    def predict_body(self, model: str, body: bytes, content_type: str, version: str | None = None) -> list[Answer]:
        """The answers to a request body that is sent as it is: CSV with a header, JSON lines, a picture's file.

        Always a list; a record among several that can't be scored is answered with `{"error": {...}}` in its place.
        """
        answers = self._post(model, version, body, content_type)
        if isinstance(answers, dict):
            answers = answers.get("predictions", [answers])
        return list(answers)

    def predict_many(
        self,
        model: str,
        records: Iterable[Record | Picture],
        *,
        version: str | None = None,
        batch_size: int = 64,
        concurrency: int = 4,
        on_error: Literal["keep", "raise"] = "keep",
        on_progress: Callable[[int], None] | None = None,
    ) -> Iterator[Answer]:
        """An answer for each record, in order, as they come: batched, several batches at a time.

        The records are read only as far ahead as needed: at most `batch_size * (concurrency + 1)` of them. Pictures
        are opened no sooner, and a request holds no more than fit into `REQUEST_BYTES`.

        Args:
            model: the model's name.
            records: any iterable, of any length; dicts, and paths or bytes of pictures.
            version: the model's version; None for the server's default.
            batch_size: records in a request, at most.
            concurrency: requests under way at a time.
            on_error: "keep" puts `{"error": {...}}` in the place of a record that can't be scored or a file that can't
                be read; "raise" raises.
            on_progress: called with the number of records answered so far, after each batch.

        Raises:
            RecordRefused: with on_error="raise", for the first record that can't be scored.
            ClientError: the server can't be reached or fails; answers that came before it are yielded first.
        """
        if batch_size < 1 or concurrency < 1:
            raise ValueError("batch_size and concurrency are 1 or more")

        def send(batch: list[Part | RecordRefused]) -> list[Answer]:
            sent = [each for each in batch if isinstance(each, Part)]
            answers = iter(self._answers(model, sent, version) if sent else ())
            return [_named(next(answers), each) if isinstance(each, Part) else each.as_dict() for each in batch]

        answers = _numbered(
            answers_in_order(
                _prepared(_records(records)),
                send,
                batch_size=batch_size,
                batch_bytes=REQUEST_BYTES,
                concurrency=concurrency,
                on_progress=on_progress,
            )
        )
        return answers if on_error == "keep" else _raising(answers, model)

    def schema(self, model: str, version: str | None = None) -> dict[str, Any]:
        """What the model takes and gives: its JSON Schema, as its archive describes it."""
        if version is not None:
            path, body, content_type = f"{_path(model, version)}/schema", None, ""
        else:
            path, body, content_type = _path(model, None), b"", SCHEMA_REQUEST
        method = "GET" if body is None else "POST"
        schema: dict[str, Any] = self._inference.request(method, path, body, content_type=content_type, model=model)
        return schema

    def models(self) -> list[dict[str, Any]]:
        """Every version of every model on the server: `modelName`, `modelVersion`, `workers` and more.

        It comes from the management API, which the inference port doesn't have.
        """
        if self._management is None:
            raise ClientError(
                "the inference API has no list of models.",
                fix="give management_url= (`fastmar serve --management PORT` opens it on loopback).",
                code="no_management",
            )
        found: list[dict[str, Any]] = []
        page = self._management.request("GET", "/models?limit=100")
        while True:
            for entry in page["models"]:
                found += self._management.request("GET", f"/models/{quote(entry['modelName'], safe='')}/all")
            if "nextPageToken" not in page:
                return found
            page = self._management.request("GET", f"/models?limit=100&next_page_token={page['nextPageToken']}")

    def wait_until_ready(self, model: str, timeout: float = 60.0, version: str | None = None) -> None:
        """Return once the model answers a request.

        Raises:
            Timeout: it does not within `timeout` seconds; says what was in the way last.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                # A model without a worker lets requests wait instead of refusing them: no retry, and a time-out that
                # fits into what is left, would both be no use to a caller who waits anyway.
                self._inference.request(
                    "POST", _path(model, version), b"", content_type=SCHEMA_REQUEST, model=model, retries=NO_RETRIES
                )
            except (ServerUnreachable, ServerFailed, ModelNotFound, Timeout) as error:
                if time.monotonic() + READY_POLL > deadline:
                    raise Timeout(
                        f"{model} is not ready after {timeout:g} s: {error.message}",
                        fix="look at the server's log; `fastmar doctor` says why a model does not load.",
                        model=model,
                    ) from error
            except RecordRefused:
                return  # it answered, if not with a schema: an archive of another make
            else:
                return
            time.sleep(READY_POLL)

    def _post(self, model: str, version: str | None, body: bytes, content_type: str) -> Any:
        return self._inference.request("POST", _path(model, version), body, content_type=content_type, model=model)

    def _answers(self, model: str, batch: list[Part], version: str | None) -> list[Answer]:
        """The answers to a batch: if it is refused as a whole, its records are asked for one by one."""
        lone_picture = len(batch) == 1 and batch[0].media_type != JSON  # as it is: a third smaller than in JSON
        try:
            if lone_picture:
                return [self._post(model, version, batch[0].data, batch[0].media_type)]
            answers = self._post(model, version, together(batch), JSON)
        except RecordRefused as refusal:
            if len(batch) == 1:
                return [refusal.as_dict()]
            return [answer for each in batch for answer in self._answers(model, [each], version)]
        if not isinstance(answers, list) or len(answers) != len(batch):
            given = len(answers) if isinstance(answers, list) else 1
            raise ServerFailed(
                f"{model} gave {given} answers to {len(batch)} records.",
                fix="export the model again with this fastmar; its handler answers lists.",
                code="wrong_count",
                model=model,
            )
        return answers


def _records(records: Any) -> Iterable[Any]:
    """`records`, unless it is something whose items are no records: then iterating it would ask nonsense."""
    if isinstance(records, dict) or hasattr(records, "iloc"):
        how = '.to_dict("records")' if getattr(records, "ndim", 1) == 2 else ".to_dict()"
        what = type(records).__name__
        fix = "put the record into a list" if isinstance(records, dict) else f"give {what.lower()}{how}"
        raise TypeError(f"a {what} is no list of records: {fix}")
    found: Iterable[Any] = records
    return found


def _prepared(records: Iterable[Record | Picture]) -> Iterator[Part | RecordRefused]:
    """Each record as it is sent; in the place of one that can't be, why."""
    for record in records:
        try:
            yield part(record)
        except RecordRefused as refusal:
            yield refusal


def _named(answer: Any, sent: Part) -> Any:
    """`answer` with the name of the picture's file, which the server does not know of every request."""
    if sent.name is None or not isinstance(answer, dict):
        return answer
    return {"name": sent.name, **answer}


def _path(model: str, version: str | None) -> str:
    path = f"/predictions/{quote(model, safe='')}"
    return path if version is None else f"{path}/{quote(version, safe='')}"


def _numbered(answers: Iterable[Answer]) -> Iterator[Answer]:
    """Errors with the record's position among all records, where the server counted in its request."""
    for position, answer in enumerate(answers):
        error = answer.get("error")
        yield {**answer, "error": {**error, "record": position}} if isinstance(error, dict) else answer


def _raising(answers: Iterable[Answer], model: str) -> Iterator[Answer]:
    for answer in answers:
        if "error" in answer:
            error = answer["error"]
            raise RecordRefused(
                f"record {error['record']}: {error.get('message')}",
                fix=str(error.get("fix") or "compare the record with the model's schema."),
                code=error.get("code"),
                field=error.get("field"),
                status=400,
                model=model,
            )
        yield answer
