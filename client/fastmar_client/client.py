"""`Client`: predictions, schemas and readiness of models on a server of fastmar archives."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, overload

from fastmar_client import scoring
from fastmar_client.bulk import batches, check_sizes, map_in_order
from fastmar_client.calls import Query
from fastmar_client.encoding import Part, Picture, is_one
from fastmar_client.errors import RecordRefused
from fastmar_client.frames import Frame, records_in
from fastmar_client.operations import Operations
from fastmar_client.records import (
    REQUEST_BYTES,
    Answer,
    Record,
    prepare,
    prepare_or_refuse,
    raise_error,
    size_of,
    with_record_number,
)
from fastmar_client.scoring import ROWS_A_REQUEST, Scored
from fastmar_client.served import ServedModel, ServedRowModel, get_samples, get_schema, list_models, wait_until_ready
from fastmar_contract.csv_rows import UTF8
from fastmar_contract.masks import MaskSize


class Client(Operations):
    """A client of one server. Safe to use from several threads. Close it, or use it in a `with` statement.

    with Client("http://127.0.0.1:8080") as client:
        answer = client.predict("adult", {"age": 49, "workclass": " Private"})
        answer["prediction"], answer["probabilities"]
        client.predict("adult", dataframe)  # a list of answers, one for each row
        client.predict("pets", Path("cat.jpg"))  # a picture: its path, or the bytes of its file
        client.score_csv("adult", "people.csv", "answers.csv")  # of any size
    """

    @overload
    def predict(  # type: ignore[overload-overlap]  # a str is a sequence too, but means one record
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
        model reads files, a text if its record schema allows a string, and is refused otherwise; the client fetches the
        model's schema to decide. The answer to a file has the file's name as ``"name"``. Each row of a DataFrame is a
        record. In a list, a record that can't be scored is answered with `{"error": {...}}` in its place.

        Args:
            model: the model's name.
            record: one record or picture, an iterable of them, or a DataFrame.
            version: the model's version; None for the server's default.
            validate: whether to validate each record against the model's schema before it is sent. Records that the
                model would refuse are refused here, and also unknown columns and categories, for which the model would
                only warn. Numbers outside of the range of the reference data become warnings of the answer.
            mask_size: "model" or "original": the size of predicted masks; None for the server's default.
            request_id: sent as X-Request-ID, which appears in the server's log and errors.

        Raises:
            TypeError: the model's name or version is not a str, a file is open in text mode, or an image or array can't
                be sent as a picture.
            RecordRefused: the model can't read the request or score the record, or a file can't be read.
            ClientError: any other error of `fastmar_client.errors`.
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
        part = prepare(record, self._run(self._calls.schema_for(record, query)), mask_size)
        return self._run(self._calls.answer(part, query))

    def predict_body(
        self, model: str, body: bytes, content_type: str, version: str | None = None, *, request_id: str | None = None
    ) -> list[Answer]:
        """The answers to a request body that is sent unchanged: CSV with a header, JSON lines, a picture's file.

        Always a list. In a body with several records, one that can't be scored has `{"error": {...}}` in its place.
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
        """Stream answers to any number of records, in order: sends several batches at a time.

        At most `batch_size * (concurrency + 1)` records are read ahead. Pictures are opened only then, and requests
        stay within the server's limits.

        A batch is retried as configured in `retries` if its worker dies, its connection breaks or its response times
        out. Each record is answered once.

        Args:
            model: the model's name.
            records: any iterable of records and pictures, as in `predict`; or a DataFrame.
            version: the model's version; None for the server's default.
            batch_size: maximum number of records in a request.
            concurrency: maximum number of simultaneous requests.
            validate: whether to validate each record against the model's schema before it is sent; see `predict`.
            on_error: "keep" puts `{"error": {...}}` in the place of a record that can't be scored or a file that can't
                be read; "raise" raises the error.
            on_progress: called after each batch with the number of records answered so far.
            mask_size: "model" or "original": the size of predicted masks; None for the server's default.
            request_id: sent as X-Request-ID with each request, which appears in the server's log and errors.

        Raises:
            TypeError: the model's name or version is not a str, a file is open in text mode, or an image or array can't
                be sent as a picture.
            RecordRefused: with on_error="raise", for the first record that can't be scored.
            ClientError: the server can't be reached or fails; earlier answers are yielded first.
        """
        check_sizes(batch_size, concurrency)
        query = Query(model, version, validate, mask_size, request_id)
        parts = (self._prepare_or_refuse(record, query) for record in records_in(records))
        answered = map_in_order(
            batches(parts, size_of, batch_size, REQUEST_BYTES),
            lambda batch: self._run(self._calls.answers(batch, query)),
            concurrency=concurrency,
        )
        answers = _number_errors((answers for _, answers in answered), on_progress)
        return answers if on_error == "keep" else (raise_error(answer, model) for answer in answers)

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
        """Score a CSV file of any size: write the rows of `source`, followed by their answers, to `target`.

        The input table has a header, and commas, semicolons or tabs as delimiters; the output uses the same delimiter.
        A row that can't be scored has the reason in the column "error". Memory does not grow with the table.

        During the run the answers are in `TARGET.part`; `target` exists when the run is complete. After an interruption
        of any kind, the same call resumes the run. All rows are scored by the same version.

        Args:
            model: the model's name.
            source: the input table.
            target: the output file.
            version: the model's version; None for the server's default at the start of the run.
            columns: the columns of the output, in order: names of the table's columns; "input" for all of these;
                "prediction", "probability" (of the prediction), "probabilities" (one of each label), "index",
                "warnings", "error". None for "input", "prediction", "probability", "warnings", "error", as far as the
                model's answers have them. An answer's column gets the prefix "fastmar_" if the table has one of that
                name.
            encoding: of the table, if it has no byte order mark of UTF-8 or UTF-16; the output is UTF-8.
            resume: whether to resume an interrupted run; otherwise start again.
            overwrite: whether to replace an existing `target` at the end; otherwise the call is refused.
            progress: called after each batch; an exception that it raises interrupts the run, which can be resumed.
            batch_size: maximum number of rows in a request.
            concurrency: maximum number of simultaneous requests.

        Raises:
            CsvUnreadable: the table can't be read, has no rows, or lacks a column that the model requires.
            CsvUnwritable: the output file can't be written, or a column does not exist.
            ResumeRefused: the interrupted run had another table, model, version, encoding or choice of columns.
            ClientError: the server can't be reached or fails; the scored rows are kept, and the same call resumes.
        """
        return scoring.score_csv(
            ServedRowModel(self, model, version),
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
        """The JSON Schemas of the model's records and answers."""
        return self._run(get_schema(self._calls.requester, model, version))

    def samples(self, model: str, version: str | None = None) -> list[bytes]:
        """The sample pictures of a picture model: files that `predict` takes; [] if the archive has none.

        They are small JPEG copies of reference pictures, which `fastmar export --with-samples` put into the archive.

        Raises:
            ModelNotFound: the server has no such model or version.
            ClientError: any other error of `fastmar_client.errors`.
        """
        return self._run(get_samples(self._calls.requester, model, version))

    def models(self) -> list[ServedModel]:
        """The models that the server has loaded, each with its versions and its readiness."""
        return self._run(list_models(self._calls.requester))

    def wait_until_ready(self, model: str, timeout: float = 60.0, version: str | None = None) -> None:
        """Return once the model answers a request.

        Raises:
            Timeout: the model is not ready within `timeout` seconds; the message has the last failure.
            ModelNotFound: the server has loaded other models, and for 10 seconds not this one; the message lists them.
        """
        self._run(wait_until_ready(self._calls.requester, model, timeout, version))

    def _prepare_or_refuse(self, record: Any, query: Query) -> Part | RecordRefused:
        try:
            schema = self._run(self._calls.schema_for(record, query))
        except RecordRefused as refusal:
            return refusal
        return prepare_or_refuse(record, schema, query.mask_size)


def _number_errors(batches: Iterable[list[Answer]], on_progress: Callable[[int], None] | None) -> Iterator[Answer]:
    """The answers of all batches; the record number of each error counts from the first batch."""
    done = 0
    for answers in batches:
        for answer in answers:
            yield with_record_number(answer, done)
            done += 1
        if on_progress is not None:
            on_progress(done)
