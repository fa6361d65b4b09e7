"""The client: predictions, schemas and readiness of models on a TorchServe that serves fastmar archives."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from fastmar_client import scoring
from fastmar_client.bulk import batches, in_order
from fastmar_client.calls import Calls, Query
from fastmar_client.encoding import Part, Picture, is_one
from fastmar_client.errors import RecordRefused
from fastmar_client.frames import Frame, records_in
from fastmar_client.many import (
    REQUEST_BYTES,
    Answer,
    numbered,
    prepared,
    prepared_or_refused,
    raised,
    size_of,
)
from fastmar_client.requester import Headers
from fastmar_client.retries import Retries
from fastmar_client.scoring import ROWS_A_REQUEST, Scored
from fastmar_client.sender import Sender
from fastmar_client.served import ServedModel, ServedRows, get_schema, list_models, wait_until_ready
from fastmar_client.steps import Result, Steps, run
from fastmar_contract.csv_rows import UTF8

if TYPE_CHECKING:
    import requests

Record = Mapping[str, Any]
MaskSize = Literal["model", "original"]


class Client:
    """Talks to one server. Safe to use from several threads; close it, or use it in a `with` statement.

    with Client("http://127.0.0.1:8080") as client:
        answer = client.predict("adult", {"age": 49, "workclass": " Private"})
        answer["prediction"], answer["probabilities"]
        client.predict("adult", dataframe)  # a list of answers, one for each row
        client.predict("pets", Path("cat.jpg"))  # a picture: its path, or the bytes of its file
        client.score_csv("adult", "people.csv", "answers.csv")  # of any size
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        token: str | None = None,
        key_file: str | os.PathLike[str] | None = None,
        timeout: tuple[float, float] = (3.0, 60.0),
        retries: Retries = Retries(),  # noqa: B008 - frozen
        session: requests.Session | None = None,
        sender: Sender | None = None,
        headers: Headers | Callable[[], Headers] | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            url: address of the inference API.
            token: key for the inference API, if it asks for one.
            key_file: the file of a key, instead of a token: the server's key_file.json, which is read again when keys
                change, or a text file that holds one key.
            timeout: seconds for the connection, and seconds without data from the server.
            retries: when and how often a request is repeated.
            session: a session to send with, for certificates and proxies; it is not closed.
            sender: what sends instead of HTTP; see `fastmar_client.testing`.
            headers: sent with every request, or a function that returns them for each one, such as
                {"traceparent": ...}.
        """
        self._calls = Calls(token=token, key_file=key_file, timeout=timeout, retries=retries, headers=headers)
        if sender is None:
            from fastmar_client.http import HttpSender  # noqa: PLC0415 - requests, where something is sent over HTTP

            sender = HttpSender(url.rstrip("/"), session)
        self._sender = sender

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the server."""
        self._sender.close()

    @overload
    def predict(  # type: ignore[overload-overlap]  # a str is a sequence of str too; it is taken as one record
        self,
        model: str,
        record: Record | Picture,
        version: str | None = None,
        *,
        validate: bool = False,
        mask_size: MaskSize | None = None,
        request_id: str | None = None,
    ) -> Answer: ...

    @overload
    def predict(
        self,
        model: str,
        record: Sequence[Record | Picture] | Frame,
        version: str | None = None,
        *,
        validate: bool = False,
        mask_size: MaskSize | None = None,
        request_id: str | None = None,
    ) -> list[Answer]: ...

    @overload
    def predict(
        self,
        model: str,
        record: Any,
        version: str | None = None,
        *,
        validate: bool = False,
        mask_size: MaskSize | None = None,
        request_id: str | None = None,
    ) -> Any: ...

    def predict(
        self,
        model: str,
        record: Any,
        version: str | None = None,
        *,
        validate: bool = False,
        mask_size: MaskSize | None = None,
        request_id: str | None = None,
    ) -> Any:
        """The model's answer to a record or a picture; to a list of them, or a DataFrame, a list in their order.

        A picture is the `Path` of its file, the file's bytes, an open file or BytesIO, a PIL image, or a numpy array of
        pixels (uint8, of shape (height, width), (height, width, 3) or (height, width, 4)). A `str` is a path if the
        model reads files, a text if its record schema allows a string, and is refused otherwise; the model's schema is
        fetched to find out. The answer to a file
        has its name as ``"name"``. A row of a DataFrame is a record. In a list, a record that can't be scored is
        answered with `{"error": {...}}` in its place.

        Args:
            model: the model's name.
            record: what to ask.
            version: the model's version; None for the server's default.
            validate: whether to compare each record with the model's schema before it is sent. What the model would
                refuse is refused here, and so are columns and categories that it does not know, which it would
                otherwise ignore with a warning; numbers outside of what it was trained with are told in the answer's
                warnings.
            mask_size: "model" or "original": the size of masks that answer pictures; None for the server's default.
            request_id: sent as X-Request-ID, which the server's log and errors then have.

        Raises:
            TypeError: it is a file of text, or an image or array that is no picture.
            RecordRefused: the model can't read the request, or can't score the one record; a file can't be read.
            ClientError: any other of `fastmar_client.errors`.
        """
        if not is_one(record):
            answers = self.predict_many(
                model,
                record,
                version=version,
                batch_size=ROWS_A_REQUEST,
                validate=validate,
                mask_size=mask_size,
                request_id=request_id,
            )
            return list(answers)
        query = Query(model, version, validate, mask_size, request_id)
        one = prepared(record, self._run(self._calls.schema_for(record, query)), mask_size)
        return self._run(self._calls.answer(one, query))

    def predict_body(
        self, model: str, body: bytes, content_type: str, version: str | None = None, *, request_id: str | None = None
    ) -> list[Answer]:
        """The answers to a request body that is sent as it is: CSV with a header, JSON lines, a picture's file.

        Always a list; a record among several that can't be scored is answered with `{"error": {...}}` in its place.
        """
        return self._run(self._calls.answers_to_body(body, content_type, Query(model, version, request_id=request_id)))

    def predict_many(
        self,
        model: str,
        records: Iterable[Record | Picture] | Frame,
        *,
        version: str | None = None,
        batch_size: int = 64,
        concurrency: int = 4,
        validate: bool = False,
        on_error: Literal["keep", "raise"] = "keep",
        on_progress: Callable[[int], None] | None = None,
        mask_size: MaskSize | None = None,
        request_id: str | None = None,
    ) -> Iterator[Answer]:
        """An answer for each record, in order, as they come: batched, several batches at a time.

        The records are read only as far ahead as needed: at most `batch_size * (concurrency + 1)` of them. Pictures
        are opened no sooner, and a request holds no more than the server takes.

        A batch whose worker dies, whose connection breaks, or that is not answered in time is sent again as `Retries`
        says. Each record is answered once.

        Args:
            model: the model's name.
            records: any iterable, of any length, of dicts and pictures, as `predict` takes them; or a DataFrame.
            version: the model's version; None for the server's default.
            batch_size: records in a request, at most.
            concurrency: requests under way at a time.
            validate: whether to compare each record with the model's schema before it is sent; see `predict`.
            on_error: "keep" puts `{"error": {...}}` in the place of a record that can't be scored or a file that can't
                be read; "raise" raises.
            on_progress: called with the number of records answered so far, after each batch.
            mask_size: "model" or "original": the size of masks that answer pictures; None for the server's default.
            request_id: sent as X-Request-ID with each request, which the server's log and errors then have.

        Raises:
            TypeError: there is a file of text among them, or an image or array that is no picture.
            RecordRefused: with on_error="raise", for the first record that can't be scored.
            ClientError: the server can't be reached or fails; answers that came before it are yielded first.
        """
        if batch_size < 1 or concurrency < 1:
            raise ValueError("batch_size and concurrency are 1 or more")
        query = Query(model, version, validate, mask_size, request_id)
        parts = (self._prepared_or_refused(record, query) for record in records_in(records))
        answered = in_order(
            batches(parts, size_of, batch_size, REQUEST_BYTES),
            lambda batch: self._run(self._calls.answers(batch, query)),
            concurrency=concurrency,
        )
        answers = _numbered((answers for _, answers in answered), on_progress)
        return answers if on_error == "keep" else (raised(answer, model) for answer in answers)

    def score_csv(
        self,
        model: str,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        *,
        version: str | None = None,
        columns: Sequence[str] | None = None,
        encoding: str = UTF8,
        resume: bool = True,
        overwrite: bool = True,
        progress: Callable[[Scored], None] | None = None,
        batch_size: int = ROWS_A_REQUEST,
        concurrency: int = 4,
    ) -> Scored:
        """Answer each row of a CSV file, of any size, in another: the table's columns, and the answers' behind them.

        The table has a header, and commas, semicolons or tabs, which the answers' file has then too. A row that can't
        be scored has the reason in the column "error". Memory does not grow with the table.

        While it runs the answers are in `TARGET.part`. A run that was interrupted, by whatever, goes on where it was
        when it is started again; `target` is there when it is complete. All rows are asked of the same version.

        Args:
            model: the model's name.
            source: the table.
            target: the file of answers.
            version: the model's version; None for what is the server's default when the run begins.
            columns: of the file of answers, in their order: names of the table's columns; "input" for all of these;
                "prediction", "probability" (of the prediction), "probabilities" (one of each label), "index",
                "warnings", "error". None: "input", "prediction", "probability", "warnings", "error", as far as there
                are such. An answer's column that the table has too gets "fastmar_" before its name.
            encoding: of the table, where it has no byte order mark of UTF-8 or UTF-16; the answers' file is UTF-8.
            resume: whether to go on with a run that was interrupted; otherwise it begins anew.
            overwrite: whether a `target` that is there is replaced in the end; otherwise it is refused.
            progress: called after each batch; an exception that it raises ends the run, which can be gone on with.
            batch_size: rows in a request, at most.
            concurrency: requests under way at a time.

        Raises:
            CsvUnreadable: the table can't be read, has no row, or lacks a column that the model needs.
            CsvUnwritable: the file of answers can't be written, or a column does not exist.
            ResumeRefused: the interrupted run was of another table, model, version or choice of columns.
            ClientError: the server can't be reached or fails; what was scored stays, and a new run goes on with it.
        """
        return scoring.score_csv(
            ServedRows(self, model, version),
            source,
            target,
            columns=columns,
            encoding=encoding,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
            batch_size=batch_size,
            concurrency=concurrency,
        )

    def schema(self, model: str, version: str | None = None) -> dict[str, Any]:
        """What the model takes and gives: its JSON Schema, as its archive describes it."""
        return self._run(get_schema(self._calls.requester, model, version))

    def models(self) -> list[ServedModel]:
        """The models that the server has, each with its versions and whether it is ready."""
        return self._run(list_models(self._calls.requester))

    def wait_until_ready(self, model: str, timeout: float = 60.0, version: str | None = None) -> None:
        """Return once the model answers a request.

        Raises:
            Timeout: it does not within `timeout` seconds; says what was in the way last.
        """
        self._run(wait_until_ready(self._calls.requester, model, timeout, version))

    def _prepared_or_refused(self, record: Any, query: Query) -> Part | RecordRefused:
        try:
            schema = self._run(self._calls.schema_for(record, query))
        except RecordRefused as refusal:
            return refusal
        return prepared_or_refused(record, schema, query.mask_size)

    def _run(self, steps: Steps[Result]) -> Result:
        return run(steps, self._sender)


def _numbered(batches: Iterable[list[Answer]], on_progress: Callable[[int], None] | None) -> Iterator[Answer]:
    """The answers of all batches; an error among them has the position of its record."""
    done = 0
    for answers in batches:
        for answer in answers:
            yield numbered(answer, done)
            done += 1
        if on_progress is not None:
            on_progress(done)
