"""Operations of a `Client` besides predictions: lists of items, explanations, texts and encodings."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from typing import Any

from fastmar_client.calls import Query
from fastmar_client.connection import Connection
from fastmar_client.encoding import Picture
from fastmar_client.event_stream import TextParts
from fastmar_client.explaining import explain_record
from fastmar_client.generation import continuation, embed_record, generate_record
from fastmar_client.item_lists import recommend_record, similar_record
from fastmar_client.records import Answer, Record
from fastmar_client.transport import Reply


class Operations(Connection):
    """The methods of `Client` for models that do more than predict."""

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
        """The items with the highest predictions for a user, from a collaborative filtering model.

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

    def _stream(self, query: Query, *arguments: Any) -> Generator[str, None, None]:
        answer = self._run(self._calls.stream(query, *arguments))
        if not isinstance(answer, Reply):
            yield continuation(answer)
            return
        chunks: Any = answer.chunks
        with closing(chunks), TextParts(answer, query.model, query.request_id) as parts:
            for chunk in chunks:
                yield from parts(chunk)
