"""The one file that knows the client: models, schemas and answers, and its errors as pages that say what to do."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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
from fastmar_web.errors import PageError, Refused, Unavailable, sentence
from fastmar_web.settings import Settings, check_key_file

JSON = dict[str, Any]
TIMEOUT = (2.0, 60.0)  # seconds to connect, and without data
# Somebody waits for the page, so one question is soon answered, if only by an error. A table is asked again for longer,
# see `score_table`.
RETRIES = Retries(attempts=2, longest=2.0)
PAUSE = 2.0  # seconds between two attempts to go on with a table
STEP = 0.1  # seconds after which a table that was removed meanwhile is let go
KEPT = 5.0  # seconds for which a schema is not asked for again: many pictures are many requests


@dataclass(frozen=True, slots=True)
class Model:
    """A model on the server.

    Attributes:
        name, version: the version is the one that answers where none is asked for.
        versions: all of them.
        ready: whether it answers now.
    """

    name: str
    version: str
    versions: tuple[str, ...]
    ready: bool


class Backend:
    """The model server, as the pages use it. Safe to use from several threads."""

    def __init__(self, settings: Settings, client: Client | None = None) -> None:
        """`client` replaces the one that the settings describe, in tests."""
        self._settings = settings
        self._lock = threading.Lock()
        self._schemas: dict[tuple[str, str | None], tuple[float, JSON]] = {}
        check_key_file(settings.key_file)
        self._client = client or Client(settings.url, key_file=settings.key_file, timeout=TIMEOUT, retries=RETRIES)

    @property
    def needs_key(self) -> bool:
        """Whether requests carry a key, which a reader of the page does not get to see."""
        return self._settings.key_file is not None

    def models(self) -> list[Model]:
        """The models that the server has, by name.

        Raises:
            PageError: it can't be asked, or has no list.
        """
        with self._explained():
            found = self._client.models()
            return sorted((_model(entry) for entry in found), key=lambda model: model.name)

    def model(self, name: str, version: str | None) -> Model:
        """One of them, which is ready.

        Raises:
            PageError: it is not there, or not ready.
        """
        found = next((model for model in self.models() if model.name == name), None)
        if found is None or (version is not None and version not in found.versions):
            raise _not_found()
        if not found.ready:
            raise Unavailable(
                "The model is being loaded.",
                fix="wait a moment, then try again.",
                title="Not ready yet",
            )
        return found

    def schema(self, name: str, version: str | None) -> JSON:
        """What the model takes and gives; at most `KEPT` seconds old."""
        key = (name, version)
        kept = self._schemas.get(key)
        if kept and time.monotonic() - kept[0] < KEPT:
            return kept[1]
        with self._explained():
            schema = self._client.schema(name, version)
        if not isinstance(schema, dict) or not isinstance(schema.get("record"), dict):
            raise PageError("The model does not describe itself.", fix="export it with this fastmar.", status=502)
        with self._lock:
            if len(self._schemas) > 100:
                self._schemas.clear()
            self._schemas[key] = (time.monotonic(), schema)
        return schema

    def predict(self, name: str, version: str | None, record: JSON | bytes) -> JSON:
        """The model's answer.

        Raises:
            PageError: there is none; `field` says what is wrong with the record.
        """
        with self._explained():
            answer: JSON = self._client.predict(name, record, version)
        return answer

    def predict_body(self, name: str, version: str | None, body: bytes, content_type: str) -> JSON:
        """The model's answer to the one picture in `body`."""
        with self._explained():
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
        """Score the rows of one CSV file into another, which has their answers beside them.

        With `resume` it goes on with what was begun before; otherwise all rows are scored. The value is how they fared,
        those that were scored before among them. While the server is away or fails, it is asked again, until no row was
        answered for the settings' `table_patience`. `on_progress` ends that with an exception.

        Raises:
            ClientError: they can't be scored; see `explained`.
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
                if time.monotonic() + PAUSE > latest + self._settings.table_patience:
                    raise
            resume = resume or rows >= 0  # from here on, the answers on the disk are this run's
            for _ in range(round(PAUSE / STEP)):
                on_progress(max(rows, 0))
                time.sleep(STEP)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise explained(error) from error


def explained(error: ClientError) -> PageError:
    """What the client says, for somebody who looks at a page: without addresses, paths and keys."""
    match error:
        case RecordRefused():
            title = "The model can't read this"
            refused = Refused(
                sentence(error.message), fix=error.fix, status=error.status or 400, title=title, field=error.field
            )
            for fault in error.faults:
                said = f"{fault.get('message', '')} {sentence(str(fault.get('fix', '')))}"
                refused.faults.setdefault(str(fault.get("field")), said)
            return refused
        case ModelNotFound():
            return _not_found()
        case Unauthorized():
            print(f"fastmar web: {error.message}", file=sys.stderr, flush=True)
            return Unavailable(
                "The model server refuses the key of this web app.",
                fix="whoever runs it starts it with --key-file, or looks whether the key has expired.",
                status=502,
                title="No access to the models",
            )
        case CsvUnreadable():
            return Refused(sentence(error.message), fix=error.fix, title="This is no table for the model")
        case CsvUnwritable():
            print(f"fastmar web: {error.message}", file=sys.stderr, flush=True)
            return Unavailable(
                "The web app has no place for them, or can't write to it.",
                fix="try again once whoever runs it has made room on its disk; its log says more.",
                title="The answers could not be saved",
            )
        case ResumeRefused():
            return PageError(
                "Some rows were scored by the model as it was before.",
                fix="try again: all rows are then scored anew.",
                status=409,
                title="The model has changed",
            )
        case Timeout():
            return Unavailable(
                "The model server took too long to answer.",
                fix="try again in a moment; it may be busy.",
                status=504,
                title="No answer in time",
            )
        case ServerUnreachable():
            return Unavailable(
                "The model server does not answer.",
                fix="try again once it runs.",
                title="The model server is away",
            )
    print(f"fastmar web: {error.message}", file=sys.stderr, flush=True)
    return Unavailable(
        "The model server could not answer.",
        fix="try again in a moment; its log says more.",
        title="The model server failed",
    )


def _not_found() -> PageError:
    return PageError(
        "There is no such model on the server, or not in this version.",
        fix="choose one of the list.",
        status=404,
        title="No such model",
    )


def _model(entry: Mapping[str, Any]) -> Model:
    version = str(entry.get("version", ""))
    versions = tuple(str(each) for each in entry.get("versions") or [version])
    return Model(str(entry["name"]), version, versions, bool(entry.get("ready", True)))
