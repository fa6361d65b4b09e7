"""What `Client` and `AsyncClient` ask a server, as steps; each of the two adds how requests are sent."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastmar_client.bulk import halved
from fastmar_client.encoding import JSON, MASK_SIZES, Part, together
from fastmar_client.errors import RecordRefused, wrong_count
from fastmar_client.keys import FixedKey, KeyFile, Keys
from fastmar_client.many import Answer, completed
from fastmar_client.requester import Headers, Requester
from fastmar_client.retries import Retries
from fastmar_client.schema import Schema
from fastmar_client.served import get_schema, path_of
from fastmar_client.steps import Steps

SCHEMA_KEPT = 60.0  # seconds for which records are compared with the same schema


@dataclass(frozen=True, slots=True)
class Query:
    """What a call says besides its records; see `Client.predict`."""

    model: str
    version: str | None = None
    validate: bool = False
    mask_size: str | None = None
    request_id: str | None = None

    def __post_init__(self) -> None:
        if self.mask_size is not None and self.mask_size not in MASK_SIZES:
            raise ValueError(f"mask_size is {self.mask_size!r}. Fix: give 'model' or 'original'.")


class Calls:
    """Predictions and schemas of one server. Safe to use from several threads.

    Attributes:
        requester: makes the requests.
    """

    def __init__(
        self,
        *,
        token: str | None,
        key_file: str | os.PathLike[str] | None,
        timeout: tuple[float, float],
        retries: Retries,
        headers: Headers | Callable[[], Headers] | None,
    ) -> None:
        if token is not None and key_file is not None:
            raise ValueError("give token or key_file, not both")
        keys: Keys = FixedKey(token) if key_file is None else KeyFile(key_file)
        self.requester = Requester(keys=keys, timeout=timeout, retries=retries, headers=headers)
        self._schemas: dict[tuple[str, str | None], tuple[float, Schema]] = {}

    def schema_for(self, record: Any, query: Query) -> Steps[Schema | None]:
        """The schema to compare `record` with; None where there is no need to.

        A str needs it even without `validate`: whether it is a path depends on the model. A schema is fetched again
        once in a while, since a deployment may change it.
        """
        if not query.validate and not isinstance(record, str):
            return None
        fetched, schema = self._schemas.get((query.model, query.version), (0.0, None))
        now = time.monotonic()
        if schema is None or now - fetched > SCHEMA_KEPT:
            schema = Schema((yield from get_schema(self.requester, query.model, query.version)))
            self._schemas[query.model, query.version] = now, schema
        return schema

    def answer(self, one: Part, query: Query) -> Steps[Any]:
        """The answer to one record."""
        answer = yield from self._post(one.data, one.media_type, query)
        return completed(answer, one)

    def answers_to_body(self, body: bytes, content_type: str, query: Query) -> Steps[list[Answer]]:
        """The answers to a request body; see `Client.predict_body`."""
        answers = yield from self._post(body, content_type, query)
        if isinstance(answers, dict):
            answers = answers.get("predictions", [answers])
        return list(answers)

    def answers(self, batch: Sequence[Part | RecordRefused], query: Query) -> Steps[list[Answer]]:
        """The answers to one batch, which is halved where it is refused; errors for what can't be sent."""
        # TorchServe may lose a request whose worker was killed: it is never answered, and only a time-out tells.
        plan = self.requester.retries
        plan = replace(plan, after_timeout=plan.after_timeout or plan.after_failure)

        def ask(some: list[Part]) -> Steps[Sequence[Any]]:
            if len(some) == 1 and some[0].media_type != JSON:  # a lone picture as it is: a third smaller than in JSON
                one = yield from self._post(some[0].data, some[0].media_type, query, plan)
                return [one]
            answers = yield from self._post(together(some), JSON, query, plan)
            if not isinstance(answers, list) or len(answers) != len(some):
                raise wrong_count(len(answers) if isinstance(answers, list) else 1, len(some), query.model)
            return answers

        sent = [each for each in batch if isinstance(each, Part)]
        found = iter((yield from halved(sent, ask, RecordRefused)) if sent else ())
        return [_in_place(next(found), each) if isinstance(each, Part) else each.as_dict() for each in batch]

    def _post(self, body: bytes, content_type: str, query: Query, retries: Retries | None = None) -> Steps[Any]:
        return self.requester.request(
            "POST",
            path_of(query.model, query.version),
            body,
            content_type=content_type,
            model=query.model,
            request_id=query.request_id,
            retries=retries,
        )


def _in_place(found: Any, sent: Part) -> Answer:
    answer: Answer = completed(found.as_dict() if isinstance(found, RecordRefused) else found, sent)
    return answer
