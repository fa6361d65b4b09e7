"""`AsyncClient`: the methods of `Client` as coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal, overload

from fastmar_client.async_flows import batches, iterate, map_in_order
from fastmar_client.async_operations import AsyncOperations
from fastmar_client.bulk import check_sizes
from fastmar_client.calls import Query
from fastmar_client.encoding import Part, Picture, is_one
from fastmar_client.errors import RecordRefused
from fastmar_client.frames import Frame, records_in
from fastmar_client.records import REQUEST_BYTES, Answer, Record, prepare, raise_error, size_of, with_record_number
from fastmar_client.scoring import ROWS_A_REQUEST
from fastmar_client.served import ServedModel, get_samples, get_schema, list_models, wait_until_ready
from fastmar_contract.masks import MaskSize


class AsyncClient(AsyncOperations):
    """A client of one server, for one event loop. Close it, or use it in an `async with` statement.

    async with AsyncClient("http://127.0.0.1:8080") as client:
        answer = await client.predict("adult", {"age": 49, "workclass": " Private"})
        async for answer in client.predict_many("adult", records):
            ...

    Arguments, answers and errors are those of `Client`. To score a CSV file, use `Client.score_csv`.
    """

    @overload
    async def predict(  # type: ignore[overload-overlap]  # a str is a sequence too, but means one record
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
    async def predict(
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
    async def predict(
        self,
        model: str,
        record: Any,
        version: str | None = None,
        *,
        validate: bool = False,
        mask_size: MaskSize | None = None,
        request_id: str | None = None,
    ) -> Any: ...

    async def predict(
        self,
        model: str,
        record: Any,
        version: str | None = None,
        *,
        validate: bool = False,
        mask_size: MaskSize | None = None,
        request_id: str | None = None,
    ) -> Any:
        """The model's answer to one record or picture, or a list of answers to several; see `Client.predict`."""
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
            return [answer async for answer in answers]
        query = Query(model, version, validate, mask_size, request_id)
        part = await self._prepare(record, query)
        return await self._run(self._calls.answer(part, query))

    async def predict_body(
        self, model: str, body: bytes, content_type: str, version: str | None = None, *, request_id: str | None = None
    ) -> list[Answer]:
        """The answers to a request body that is sent unchanged; see `Client.predict_body`."""
        query = Query(model, version, request_id=request_id)
        return await self._run(self._calls.answers_to_body(body, content_type, query))

    def predict_many(
        self,
        model: str,
        records: Iterable[Record | Picture] | AsyncIterable[Record | Picture] | Frame,
        *,
        version: str | None = None,
        batch_size: int = 64,
        concurrency: int = 4,
        validate: bool = False,
        on_error: Literal["keep", "raise"] = "keep",
        on_progress: Callable[[int], None] | None = None,
        mask_size: MaskSize | None = None,
        request_id: str | None = None,
    ) -> AsyncGenerator[Answer, None]:
        """Stream answers to any number of records, for `async for`; see `Client.predict_many`.

        `records` may also be an async iterable. A plain iterable is read in the event loop, so it must not block. To
        stop early, call `aclose()` on the result; pending requests are cancelled.
        """
        check_sizes(batch_size, concurrency)
        query = Query(model, version, validate, mask_size, request_id)
        items = records if isinstance(records, AsyncIterable) else records_in(records)
        return self._answers(items, query, batch_size, concurrency, on_error, on_progress)

    async def schema(self, model: str, version: str | None = None) -> dict[str, Any]:
        """The JSON Schemas of the model's records and answers."""
        return await self._run(get_schema(self._calls.requester, model, version))

    async def samples(self, model: str, version: str | None = None) -> list[bytes]:
        """The sample pictures of a picture model; see `Client.samples`."""
        return await self._run(get_samples(self._calls.requester, model, version))

    async def models(self) -> list[ServedModel]:
        """The models that the server has loaded, each with its versions and its readiness."""
        return await self._run(list_models(self._calls.requester))

    async def wait_until_ready(self, model: str, timeout: float = 60.0, version: str | None = None) -> None:
        """Return once the model answers a request; see `Client.wait_until_ready`."""
        await self._run(wait_until_ready(self._calls.requester, model, timeout, version))

    async def _answers(
        self,
        records: Iterable[Any] | AsyncIterable[Any],
        query: Query,
        batch_size: int,
        concurrency: int,
        on_error: Literal["keep", "raise"],
        on_progress: Callable[[int], None] | None,
    ) -> AsyncGenerator[Answer, None]:
        done = 0
        parts = self._prepare_or_refuse(records, query)
        answered = map_in_order(
            batches(parts, size_of, batch_size, REQUEST_BYTES),
            lambda batch: self._run(self._calls.answers(batch, query)),
            concurrency=concurrency,
        )
        async with aclosing(answered):
            async for answers in answered:
                for answer in answers:
                    numbered = with_record_number(answer, done)
                    yield numbered if on_error == "keep" else raise_error(numbered, query.model)
                    done += 1
                if on_progress is not None:
                    on_progress(done)

    async def _prepare_or_refuse(
        self, records: Iterable[Any] | AsyncIterable[Any], query: Query
    ) -> AsyncIterator[Part | RecordRefused]:
        async for record in iterate(records):
            try:
                yield await self._prepare(record, query)
            except RecordRefused as refusal:
                yield refusal

    async def _prepare(self, record: Any, query: Query) -> Part:
        schema = await self._run(self._calls.schema_for(record, query))
        if isinstance(record, Mapping):
            return prepare(record, schema, query.mask_size)
        # In a thread: reading a file or encoding an image would block the event loop.
        return await asyncio.to_thread(prepare, record, schema, query.mask_size)
