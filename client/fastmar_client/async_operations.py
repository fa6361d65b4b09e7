"""The methods of `operations` as coroutines."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any

from fastmar_client.async_connection import AsyncConnection
from fastmar_client.calls import Query
from fastmar_client.encoding import Picture
from fastmar_client.event_stream import TextParts
from fastmar_client.explaining import explain_record
from fastmar_client.generation import continuation, embed_record, generate_record
from fastmar_client.item_lists import recommend_record, similar_record
from fastmar_client.records import Answer, Record
from fastmar_client.transport import Reply


class AsyncOperations(AsyncConnection):
    """The methods of `AsyncClient` for models that do more than predict."""

    async def recommend(
        self,
        model: str,
        user: Any,
        k: int = 10,
        *,
        seen: Iterable[Any] = (),
        version: str | None = None,
        request_id: str | None = None,
    ) -> Answer:
        """The items with the highest predictions for a user; see `Client.recommend`."""
        query = Query(model, version, request_id=request_id)
        return await self._run(self._calls.operation(query, recommend_record, user, k, seen))

    async def similar(
        self, model: str, item: Any, k: int = 10, *, version: str | None = None, request_id: str | None = None
    ) -> Answer:
        """The items that are most similar to an item; see `Client.similar`."""
        query = Query(model, version, request_id=request_id)
        return await self._run(self._calls.operation(query, similar_record, item, k))

    async def explain(
        self, model: str, record: Record | Picture, *, version: str | None = None, request_id: str | None = None
    ) -> Answer:
        """The answer to the row of a table or a picture, and what it depends on; see `Client.explain`."""
        query = Query(model, version, request_id=request_id)
        return await self._run(self._calls.operation(query, explain_record, record))

    async def generate(
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
        """A text, continued by a language model; see `Client.generate`."""
        query = Query(model, version, request_id=request_id)
        return await self._run(
            self._calls.operation(query, generate_record, text, tokens, temperature, min_p, no_unk, seed)
        )

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
    ) -> AsyncGenerator[str, None]:
        """The parts of a generated text as they arrive, for `async for`; see `Client.stream`.

        To stop early, call `aclose()` on the result.
        """
        query = Query(model, version, request_id=request_id)
        return self._stream(query, text, tokens, temperature, min_p, no_unk, seed)

    async def embed(
        self, model: str, text: str | Record, *, version: str | None = None, request_id: str | None = None
    ) -> Answer:
        """The encoding of a text by a language model; see `Client.embed`."""
        return await self._run(self._calls.operation(Query(model, version, request_id=request_id), embed_record, text))

    async def _stream(self, query: Query, *arguments: Any) -> AsyncGenerator[str, None]:
        answer = await self._run(self._calls.stream(query, *arguments))
        if not isinstance(answer, Reply):
            yield continuation(answer)
            return
        chunks: Any = answer.chunks
        async with aclosing(chunks):
            with TextParts(answer, query.model, query.request_id) as parts:
                async for chunk in chunks:
                    for part in parts(chunk):
                        yield part
