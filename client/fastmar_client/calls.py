"""The flows that `Client` and `AsyncClient` share: predictions, and the schemas they need."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastmar_client.bulk import answer_or_bisect
from fastmar_client.encoding import JSON, Part, to_json_list
from fastmar_client.errors import RecordRefused, wrong_count_error
from fastmar_client.flows import Flow
from fastmar_client.generation import generate_record
from fastmar_client.keys import FixedKey, KeyFile, Keys
from fastmar_client.records import Answer, complete, prepare
from fastmar_client.requester import Headers, Requester
from fastmar_client.retries import Retries
from fastmar_client.schema import Schema
from fastmar_client.served import check_names, get_schema, path_of
from fastmar_client.transport import EVENT_STREAM, timeouts
from fastmar_contract.masks import check_mask_size

Record = dict[str, Any]

SCHEMA_CACHE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Query:
    """The arguments of a call except its records; see `Client.predict`."""

    model: str
    version: str | None = None
    validate: bool = False
    mask_size: str | None = None
    request_id: str | None = None

    def __post_init__(self) -> None:
        check_names(self.model, self.version)
        check_mask_size(self.mask_size)


class Calls:
    """Predictions and schemas of one server. Safe to use from several threads.

    Attributes:
        requester: builds the requests.
    """

    def __init__(
        self,
        *,
        token: str | None,
        key_file: str | os.PathLike[str] | None,
        timeout: float | tuple[float, float],
        retries: Retries,
        headers: Headers | Callable[[], Headers] | None,
    ) -> None:
        if token is not None and key_file is not None:
            raise ValueError("token and key_file are both set. Fix: pass only one of them.")
        keys: Keys = FixedKey(token) if key_file is None else KeyFile(key_file)
        self.requester = Requester(keys=keys, timeout=timeouts(timeout), retries=retries, headers=headers)
        self._schemas: dict[tuple[str, str | None], tuple[float, Schema]] = {}

    def schema_for(self, record: Any, query: Query) -> Flow[Schema | None]:
        """The schema to validate `record` against; None if no validation is required.

        A str requires the schema even without `validate`: whether it is a path depends on the model.
        """
        if not query.validate and not isinstance(record, str):
            return None
        return (yield from self.schema(query))

    def schema(self, query: Query) -> Flow[Schema]:
        """The model's schema, from a cache, which expires, since a deployment may change the schema."""
        fetched_at, schema = self._schemas.get((query.model, query.version), (0.0, None))
        now = time.monotonic()
        if schema is None or now - fetched_at > SCHEMA_CACHE_SECONDS:
            schema = Schema((yield from get_schema(self.requester, query.model, query.version)))
            self._schemas[query.model, query.version] = now, schema
        return schema

    def answer(self, part: Part, query: Query) -> Flow[Any]:
        """The answer to one record."""
        answer = yield from self._post(part.data, part.media_type, query)
        return complete(answer, part)

    def operation(self, query: Query, make: Callable[..., Record], *arguments: Any) -> Flow[Any]:
        """The answer to the record that `make` returns for the model's schema and `arguments`."""
        schema = yield from self.schema(query)
        return (yield from self.answer(prepare(make(schema.described, *arguments), None), query))

    def stream(self, query: Query, *arguments: Any) -> Flow[Any]:
        """A `Reply` with events, or the answer of a server that sends none; arguments of `generate_record`."""
        schema = yield from self.schema(query)
        part = prepare(generate_record(schema.described, *arguments), None)
        return (yield from self._post(part.data, part.media_type, query, accept=f"{EVENT_STREAM}, {JSON}"))

    def answers_to_body(self, body: bytes, content_type: str, query: Query) -> Flow[list[Answer]]:
        """The answers to a request body; see `Client.predict_body`."""
        answers = yield from self._post(body, content_type, query)
        if isinstance(answers, dict):
            answers = answers.get("predictions", [answers])
        return list(answers)

    def answers(self, batch: Sequence[Part | RecordRefused], query: Query) -> Flow[list[Answer]]:
        """The answers to one batch, which is bisected if it is refused; errors for records that can't be sent."""
        # TorchServe may lose the request of a worker that was killed; only a timeout reveals it.
        policy = self.requester.retries
        policy = replace(policy, after_timeout=policy.after_timeout or policy.after_failure)

        def send(parts: list[Part]) -> Flow[Sequence[Any]]:
            if len(parts) == 1 and parts[0].media_type != JSON:  # without base64 a picture is a quarter smaller
                answer = yield from self._post(parts[0].data, parts[0].media_type, query, policy)
                return [answer]
            answers = yield from self._post(to_json_list(parts), JSON, query, policy)
            if not isinstance(answers, list) or len(answers) != len(parts):
                raise wrong_count_error(len(answers) if isinstance(answers, list) else 1, len(parts), query.model)
            return answers

        sent = [each for each in batch if isinstance(each, Part)]
        answers = iter((yield from answer_or_bisect(sent, send, RecordRefused)) if sent else ())
        return [_to_answer(next(answers), each) if isinstance(each, Part) else each.as_dict() for each in batch]

    def _post(
        self, body: bytes, content_type: str, query: Query, retries: Retries | None = None, accept: str = JSON
    ) -> Flow[Any]:
        return self.requester.request(
            "POST",
            path_of(query.model, query.version),
            body,
            content_type=content_type,
            model=query.model,
            request_id=query.request_id,
            retries=retries,
            accept=accept,
        )


def _to_answer(result: Any, sent: Part) -> Answer:
    answer: Answer = complete(result.as_dict() if isinstance(result, RecordRefused) else result, sent)
    return answer
