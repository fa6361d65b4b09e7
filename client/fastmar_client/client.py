"""`Client`: predictions, schemas and readiness of models on a server of fastmar archives."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from fastmar_client import scoring
from fastmar_client.bulk import batches, map_in_order
from fastmar_client.calls import Calls, Query
from fastmar_client.encoding import Part, Picture, is_one
from fastmar_client.errors import RecordRefused
from fastmar_client.event_stream import TextParts
from fastmar_client.explaining import explain_record
from fastmar_client.flows import Flow, Result, run
from fastmar_client.frames import Frame, records_in
from fastmar_client.generation import continuation, embed_record, generate_record
from fastmar_client.item_lists import recommend_record, similar_record
from fastmar_client.records import (
    REQUEST_BYTES,
    Answer,
    prepare,
    prepare_or_refuse,
    raise_error,
    size_of,
    with_record_number,
)
from fastmar_client.requester import Headers
from fastmar_client.retries import Retries
from fastmar_client.scoring import ROWS_A_REQUEST, Scored
from fastmar_client.served import ServedModel, ServedRowModel, get_samples, get_schema, list_models, wait_until_ready
from fastmar_client.transport import Reply, Transport, base_url
from fastmar_contract.csv_rows import UTF8
from fastmar_contract.masks import MaskSize

if TYPE_CHECKING:
    import requests

Record = Mapping[str, Any]


class Client:
    """A client of one server. Safe to use from several threads. Close it, or use it in a `with` statement.

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
        timeout: float | tuple[float, float] = (3.0, 60.0),
        retries: Retries = Retries(),  # noqa: B008 - frozen
        session: requests.Session | None = None,
        transport: Transport | None = None,
        headers: Headers | Callable[[], Headers] | None = None,
    ) -> None:
        """Create a client. Nothing is sent yet.

        Args:
            url: address of the inference API, or of one of its models; without a scheme it is http.
            token: key for the inference API, if the server requires one.
            key_file: a file with the key, instead of a token: the server's key_file.json, which is read again when keys
                change, or a text file with one key.
            timeout: seconds to connect, and seconds without data from the server; one number sets both.
            retries: the retry policy.
            session: a `requests.Session` with your certificates and proxies; it is not closed.
            transport: replaces HTTP; see `fastmar_client.testing`.
            headers: headers of every request, or a function that returns them for each request, such as
                {"traceparent": ...}.
        """
        self._calls = Calls(token=token, key_file=key_file, timeout=timeout, retries=retries, headers=headers)
        if transport is None:
            from fastmar_client.http import HttpTransport  # noqa: PLC0415 - imports requests

            transport = HttpTransport(base_url(url), session)
        self._transport = transport

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the server."""
        self._transport.close()

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
        if batch_size < 1 or concurrency < 1:
            raise ValueError("batch_size and concurrency must be 1 or more")
        query = Query(model, version, validate, mask_size, request_id)
        parts = (self._prepare_or_refuse(record, query) for record in records_in(records))
        answered = map_in_order(
            batches(parts, size_of, batch_size, REQUEST_BYTES),
            lambda batch: self._run(self._calls.answers(batch, query)),
            concurrency=concurrency,
        )
        answers = _number_errors((answers for _, answers in answered), on_progress)
        return answers if on_error == "keep" else (raise_error(answer, model) for answer in answers)

    def recommend(
        self,
        model: str,
        user: Any,
        k: int = 10,
        *,
        seen: Iterable[Any] = (),
        version: str | None = None,
        request_id: str | None = None,
    ) -> Answer:
        """The items with the highest predictions for a user, from a model of collaborative filtering.

        Args:
            model: the model's name.
            user: the user, as in the training table. An unknown user, or None, gets fastai's answer for `#na#`.
            k: the number of items, from 1 to 1,000.
            seen: items to leave out.
            version: the model's version; None for the server's default.
            request_id: sent as X-Request-ID.

        Returns:
            ``{"user": ..., "recommendations": [{"item": ..., "prediction": ...}, ...], "warnings": [...]}``, the best
            item first. An unknown user and unknown items in `seen` get a warning.

        Raises:
            RecordRefused: the model does not rank items, or an argument is invalid.
            ClientError: any other error of `fastmar_client.errors`.
        """
        query = Query(model, version, request_id=request_id)
        return self._run(self._calls.operation(query, recommend_record, user, k, seen))

    def similar(
        self, model: str, item: Any, k: int = 10, *, version: str | None = None, request_id: str | None = None
    ) -> Answer:
        """The items that are most similar to an item, by the cosine similarity of their factors.

        Args:
            model: the model's name.
            item: the item, as in the training table.
            k: the number of items, from 1 to 1,000.
            version: the model's version; None for the server's default.
            request_id: sent as X-Request-ID.

        Returns:
            ``{"item": ..., "similar": [{"item": ..., "similarity": ...}, ...], "warnings": [...]}``, the most similar
            item first. A similarity is a number from -1 to 1.

        Raises:
            RecordRefused: the model does not compare items, does not know the item, or `k` is out of range.
            ClientError: any other error of `fastmar_client.errors`.
        """
        query = Query(model, version, request_id=request_id)
        return self._run(self._calls.operation(query, similar_record, item, k))

    def explain(
        self, model: str, record: Record | Picture, *, version: str | None = None, request_id: str | None = None
    ) -> Answer:
        """The answer to the row of a table or a picture, and what it depends on.

        Args:
            model: the model's name.
            record: a dict of column to value, or a picture as in `predict`.
            version: the model's version; None for the server's default.
            request_id: sent as X-Request-ID.

        Returns:
            ``{"answer": {...}, "outcome": ..., "value": ..., "columns": [...], "warnings": [...]}``. `outcome` is the
            predicted label and `value` its probability; or the name of the target and the predicted number. Each
            column has ``{"column", "sent", "typical", "effect", "curve": [{"value", "outcome"}]}``: `effect` is `value`
            minus what it would be if the column had its typical value, and the curve is what `value` would be with
            other values of this column. The column with the largest effect is first. For a picture there are ``"area":
            [left, top, right, bottom]``, the pixels that the network sees, and ``"grid"`` instead of columns: for each
            cell of the area, in rows, `value` minus what it would be without the cell.

        Raises:
            RecordRefused: the model does not explain its answers, or the record is invalid.
            ClientError: any other error of `fastmar_client.errors`.
        """
        query = Query(model, version, request_id=request_id)
        return self._run(self._calls.operation(query, explain_record, record))

    def generate(
        self,
        model: str,
        text: str | Record,
        tokens: int = 50,
        *,
        temperature: float = 1.0,
        min_p: float | None = None,
        no_unk: bool = True,
        seed: int | None = None,
        version: str | None = None,
        request_id: str | None = None,
    ) -> Answer:
        """A text, continued by a language model.

        Args:
            model: the model's name.
            text: the text to continue; for a model of several columns, a record with a text for each.
            tokens: the number of tokens to generate, from 1 to 1,000.
            temperature: a number above 0; below 1, probable tokens are chosen more often.
            min_p: tokens with a lower probability are not chosen, unless all are lower; None for no limit.
            no_unk: whether the token for unknown words is never chosen.
            seed: from 0 to 2**53 - 1; the same seed gives the same text. None for a different one each time.
            version: the model's version; None for the server's default.
            request_id: sent as X-Request-ID.

        Returns:
            ``{"text": ..., "generated": ..., "warnings": [...]}``: the whole text as fastai's `LMLearner.predict`
            returns it, and its new part.

        Raises:
            RecordRefused: the model does not generate texts, or an argument is invalid.
            ClientError: any other error of `fastmar_client.errors`.
        """
        query = Query(model, version, request_id=request_id)
        return self._run(self._calls.operation(query, generate_record, text, tokens, temperature, min_p, no_unk, seed))

    def stream(
        self,
        model: str,
        text: str | Record,
        tokens: int = 50,
        *,
        temperature: float = 1.0,
        min_p: float | None = None,
        no_unk: bool = True,
        seed: int | None = None,
        version: str | None = None,
        request_id: str | None = None,
    ) -> Generator[str, None, None]:
        """The parts of a generated text as they arrive; joined, they follow `text`. Arguments are those of `generate`.

        The request is sent when the first part is requested. It is not retried once the server has started to answer.
        If you stop early, the connection is closed, and the server generates no more; call `close()` on the result if
        you keep it. A server that sends no parts sends the whole text, which is then the only part.

        Raises:
            RecordRefused: the model does not generate texts, or an argument is invalid.
            ServerUnreachable: no answer; or the connection broke, after the parts that were yielded.
            ClientError: any other error of `fastmar_client.errors`.
        """
        query = Query(model, version, request_id=request_id)
        return self._stream(query, text, tokens, temperature, min_p, no_unk, seed)

    def embed(
        self, model: str, text: str | Record, *, version: str | None = None, request_id: str | None = None
    ) -> Answer:
        """The encoding of a text by a language model.

        Args:
            model: the model's name.
            text: the text; for a model of several columns, a record with a text for each.
            version: the model's version; None for the server's default.
            request_id: sent as X-Request-ID.

        Returns:
            ``{"embedding": [...], "warnings": [...]}``: three vectors of the size of the encoder's last layer, one
            after the other: its output for the last token, and the maximum and the mean over all tokens.

        Raises:
            RecordRefused: the model is not a language model, or can't read the text.
            ClientError: any other error of `fastmar_client.errors`.
        """
        return self._run(self._calls.operation(Query(model, version, request_id=request_id), embed_record, text))

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
        """The sample pictures of a model of pictures: files that `predict` takes; [] if the archive has none.

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

    def _stream(self, query: Query, *arguments: Any) -> Generator[str, None, None]:
        answer = self._run(self._calls.stream(query, *arguments))
        if not isinstance(answer, Reply):
            yield continuation(answer)
            return
        chunks: Any = answer.chunks
        with closing(chunks), TextParts(answer, query.model, query.request_id) as parts:
            for chunk in chunks:
                yield from parts(chunk)

    def _run(self, flow: Flow[Result]) -> Result:
        return run(flow, self._transport)


def _number_errors(batches: Iterable[list[Answer]], on_progress: Callable[[int], None] | None) -> Iterator[Answer]:
    """The answers of all batches; the record number of each error counts from the first batch."""
    done = 0
    for answers in batches:
        for answer in answers:
            yield with_record_number(answer, done)
            done += 1
        if on_progress is not None:
            on_progress(done)
