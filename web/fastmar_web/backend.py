"""The connection to the model server, by fastmar_client. Errors of the client become errors of pages."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastmar_client import (
    Client,
    ClientError,
    CsvUnreadable,
    CsvUnwritable,
    ModelNotFound,
    RecordRefused,
    ResumeRefused,
    Retries,
    Scored,
    ServerFailed,
    ServerUnreachable,
    Timeout,
    Unauthorized,
)
from fastmar_contract.csv_rows import UTF8
from fastmar_web.errors import FieldMessage, PageError, RequestRefused, Unavailable, sentence
from fastmar_web.recent import Recent
from fastmar_web.settings import Settings, check_key_file

JSON = dict[str, Any]
TIMEOUT = (2.0, 60.0)  # seconds to connect, and without data
# A visitor waits for the page, so a request fails after few retries. `score_table` retries for longer.
RETRIES = Retries(attempts=2, longest=2.0)
RETRY_PAUSE = 2.0  # seconds between two attempts to continue a table
POLL_SECONDS = 0.1  # how often a waiting table checks whether it was removed
SCHEMA_SECONDS = 5.0  # how long schemas and samples are cached: each picture is a request of its own
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True)
class Model:
    """A model on the server.

    Attributes:
        name, version: the version is the default version.
        versions: all versions.
        ready: whether the default version has a ready worker.
        waiting: seconds for which it was not ready, as this app has seen it; 0 if it is ready.
    """

    name: str
    version: str
    versions: tuple[str, ...]
    ready: bool
    waiting: float = 0.0


class Backend:
    """The model server, for the pages. Safe to use from several threads."""

    def __init__(self, settings: Settings, client: Client | None = None) -> None:
        """`client` replaces the one made from the settings, in tests."""
        self._settings = settings
        self._lock = threading.Lock()
        self._schemas: Recent[JSON] = Recent()
        self._samples: Recent[list[bytes]] = Recent()
        self._waiting_since: dict[str, float] = {}
        check_key_file(settings.key_file)
        self._client = client or Client(settings.url, key_file=settings.key_file, timeout=TIMEOUT, retries=RETRIES)

    @property
    def needs_key(self) -> bool:
        """Whether requests need a key. No page shows it."""
        return self._settings.key_file is not None

    def models(self) -> list[Model]:
        """The models of the server, sorted by name.

        Raises:
            PageError: the server can't be reached, or returned no list.
        """
        with self._page_errors():
            models = sorted((_model(entry) for entry in self._client.models()), key=lambda model: model.name)
        now = time.monotonic()
        with self._lock:
            since = {each.name: self._waiting_since.get(each.name, now) for each in models if not each.ready}
            self._waiting_since = since
        return [replace(each, waiting=now - since.get(each.name, now)) for each in models]

    def model(self, name: str, version: str | None) -> Model:
        """A model that is ready.

        Raises:
            PageError: it does not exist, or is not ready.
        """
        found = next((model for model in self.models() if model.name == name), None)
        if found is None or (version is not None and version not in found.versions):
            raise _not_found()
        if not found.ready:
            raise Unavailable(
                "The model is loading.",
                fix="wait a moment, then try again.",
                code="model_not_ready",
                title="Not ready yet",
            )
        return found

    def schema(self, name: str, version: str | None) -> JSON:
        """The schema of a model; at most `SCHEMA_SECONDS` old.

        Raises:
            PageError: it can't be read.
        """
        return self._schemas.get((name, version), SCHEMA_SECONDS, lambda: self._read_schema(name, version))

    def _read_schema(self, name: str, version: str | None) -> JSON:
        with self._page_errors():
            schema = self._client.schema(name, version)
        if not isinstance(schema, dict) or not isinstance(schema.get("record"), dict):
            raise PageError(
                "The model does not describe itself, so it can't be shown.",
                fix="choose another model.",
                code="schema_missing",
                status=502,
                operator="the model has no schema: export it with this version of fastmar.",
            )
        return schema

    def last_schema(self, name: str) -> JSON | None:
        """The schema of the default version when it was read last, for a model that can't be reached now."""
        return self._schemas.last((name, None))

    def samples(self, name: str, version: str | None) -> list[bytes]:
        """The sample pictures of a model, as JPEG files; at most `SCHEMA_SECONDS` old.

        Raises:
            PageError: they can't be read.
        """

        def read() -> list[bytes]:
            with self._page_errors():
                found = self._client.samples(name, version)
            return [data for data in found if data.startswith(_JPEG)]  # browsers get them with this type

        return self._samples.get((name, version), SCHEMA_SECONDS, read)

    def predict(self, name: str, version: str | None, record: JSON | bytes) -> JSON:
        """The model's answer.

        Raises:
            PageError: the prediction failed; `field` names the column with the problem, if it is one.
        """
        with self._page_errors():
            answer: JSON = self._client.predict(name, record, version)
        return answer

    def explain(self, name: str, version: str | None, record: JSON | bytes) -> JSON:
        """The model's answer, and what it depends on; see `Client.explain`.

        Raises:
            PageError: see `predict`.
        """
        with self._page_errors():
            answer: JSON = self._client.explain(name, record, version=version)
        return answer

    def predict_body(self, name: str, version: str | None, body: bytes, content_type: str) -> JSON:
        """The model's answer to the one picture in `body`."""
        with self._page_errors():
            answers = self._client.predict_body(name, body, content_type, version)
        return answers[0]

    def score_table(
        self,
        name: str,
        version: str | None,
        source: Path,
        target: Path,
        on_progress: Callable[[int], None],
        *,
        encoding: str = UTF8,
        resume: bool = True,
    ) -> Scored:
        """Score the rows of a CSV file into another one, which has the answers beside them.

        With `resume` it continues an interrupted run; otherwise all rows are scored. While the server can't be reached
        or fails, it retries, until no row was answered for the setting `table_patience`. An exception of `on_progress`
        ends the run.

        Returns:
            The counts of all rows, also of those scored by an earlier run.

        Raises:
            ClientError: the table can't be scored; see `page_error`.
        """
        rows, latest = -1, time.monotonic()

        def progress(scored: Scored) -> None:
            nonlocal rows, latest
            if scored.rows > rows:
                rows, latest = scored.rows, time.monotonic()
            on_progress(scored.rows)

        while True:
            try:
                return self._client.score_csv(
                    name, source, target, version=version, encoding=encoding, resume=resume, progress=progress
                )
            except (ServerUnreachable, ServerFailed, Timeout):
                if time.monotonic() + RETRY_PAUSE > latest + self._settings.table_patience:
                    raise
            resume = resume or rows >= 0  # the answers on the disk are now those of this run
            for _ in range(round(RETRY_PAUSE / POLL_SECONDS)):
                on_progress(max(rows, 0))
                time.sleep(POLL_SECONDS)

    @contextmanager
    def _page_errors(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise page_error(error) from error


def page_error(error: ClientError) -> PageError:
    """An error of the client as an error of a page, without addresses, paths and keys."""
    match error:
        case RecordRefused():
            title = "The model can't read this"
            refused = RequestRefused(
                sentence(error.message),
                fix=error.fix,
                code=error.code,
                status=error.status or 400,
                title=title,
                field=error.field,
            )
            for fault in error.faults:
                text = f"{fault.get('message', '')} {sentence(str(fault.get('fix', '')))}"
                message = FieldMessage(str(fault.get("code", "")), text)
                refused.faults.setdefault(str(fault.get("field")), message)
            return refused
        case ModelNotFound():
            return _not_found()
        case Unauthorized():
            print(f"fastmar web: {error.message}", file=sys.stderr, flush=True)
            return Unavailable(
                "This page has no access to the model at the moment.",
                fix="tell the person who runs this page.",
                code="key_refused",
                status=502,
                title="No access to the models",
                operator="the model server refuses the key of the web app: start it with --key-file, or check whether "
                "the key has expired.",
            )
        case CsvUnreadable():
            return RequestRefused(
                sentence(error.message), fix=error.fix, code=error.code, title="The model can't read this table"
            )
        case CsvUnwritable():
            print(f"fastmar web: {error.message}", file=sys.stderr, flush=True)
            return Unavailable(
                "The answers can't be saved at the moment.",
                fix="try again later.",
                code="answers_not_saved",
                title="The answers could not be saved",
                operator="the web app can't write to its disk: free disk space. Its log has the details.",
            )
        case ResumeRefused():
            return PageError(
                "The model was replaced after some rows were scored.",
                fix="try again: all rows are then scored by the new model.",
                code="model_changed",
                status=409,
                title="The model has changed",
            )
        case Timeout():
            return Unavailable(
                "The model took too long to answer.",
                fix="try again in a minute; it may be busy.",
                code="model_server_timeout",
                status=504,
                title="No answer in time",
            )
        case ServerUnreachable():
            return Unavailable(
                "The model can't be reached at the moment.",
                fix="try again in a minute.",
                code="model_server_unreachable",
                title="No answer",
                operator="the model server does not answer: start it with `fastmar serve`. If it runs, check the --url "
                "that the web app was started with.",
            )
    print(f"fastmar web: {error.message}", file=sys.stderr, flush=True)
    return Unavailable(
        "The model could not answer.",
        fix="try again in a minute.",
        code="model_server_failed",
        title="No answer",
        operator="the model server failed on this request; its log has the details.",
    )


def _not_found() -> PageError:
    return PageError(
        "The server has no such model, or not this version.",
        fix="choose a model from the list.",
        code="model_not_found",
        status=404,
        title="No such model",
    )


def _model(entry: Mapping[str, Any]) -> Model:
    version = str(entry.get("version", ""))
    versions = tuple(str(each) for each in entry.get("versions") or [version])
    return Model(str(entry["name"]), version, versions, bool(entry.get("ready", True)))
