"""Records of all kinds to answers: prepared, checked if asked, sent in batches, and errors kept in their places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fastmar_client.bulk import batches, halved, in_order
from fastmar_client.encoding import JSON, Part, part, together
from fastmar_client.errors import RecordRefused, wrong_count
from fastmar_client.pictures import is_picture_object
from fastmar_client.problems import Problem
from fastmar_client.refusals import faults
from fastmar_client.schema import Schema

Answer = dict[str, Any]
Post = Callable[[bytes, str], Any]

REQUEST_BYTES = 4_000_000  # of several records in one request: well below the 16 MB that the server takes


def prepared(record: Any, schema: Schema | None, mask_size: str | None = None) -> Part:
    """A record as it is sent, compared with `schema` first where there is one.

    Args:
        record: a mapping or a picture.
        schema: what it is compared with.
        mask_size: "model" or "original", of masks; None for the server's default.

    Raises:
        RecordRefused: it can't be sent, or should not be.
    """
    if schema is None:
        return part(record, mask_size)
    if is_picture_object(record):
        record = part(record)
    found = schema.problems(record)
    if wrong := [problem for problem in found if problem.weight != "unusual"]:
        raise _refusal(wrong, schema.name)
    # What differs in white space the server remarks on itself.
    remarks = tuple(problem.as_warning() for problem in found if problem.code == "outside_training")
    one = part(record, mask_size)
    return Part(one.data, one.media_type, one.name, remarks) if remarks else one


def completed(answer: Any, sent: Part) -> Any:
    """`answer` with what the server does not know: the name of the picture's file, and what was remarked here."""
    if not isinstance(answer, dict):
        return answer
    if sent.name is not None:
        answer = {"name": sent.name, **answer}
    if sent.remarks and "error" not in answer:
        answer = {**answer, "warnings": [*(answer.get("warnings") or ()), *sent.remarks]}
    return answer


def answers_to(
    records: Iterable[Any],
    post: Post,
    *,
    model: str,
    schema: Schema | None,
    batch_size: int,
    concurrency: int,
    on_progress: Callable[[int], None] | None,
    mask_size: str | None = None,
) -> Iterator[Answer]:
    """An answer for each record, in order; in the place of one that can't be sent or scored, its error."""
    done = 0
    sizes = batches(_prepared(records, schema, mask_size), _size, batch_size, REQUEST_BYTES)
    for _, answers in in_order(sizes, lambda batch: _answers(batch, post, model), concurrency=concurrency):
        for answer in answers:
            yield _numbered(answer, done)
            done += 1
        if on_progress is not None:
            on_progress(done)


def raising(answers: Iterable[Answer], model: str) -> Iterator[Answer]:
    """`answers` up to the first that is an error, which is raised."""
    for answer in answers:
        if "error" in answer:
            error = answer["error"]
            refused = RecordRefused(
                f"record {error['record']}: {error.get('message')}",
                fix=str(error.get("fix") or "compare the record with the model's schema."),
                code=error.get("code"),
                field=error.get("field"),
                status=400,
                model=model,
            )
            refused.faults = faults(error)
            raise refused
        yield answer


def _prepared(records: Iterable[Any], schema: Schema | None, mask_size: str | None) -> Iterator[Part | RecordRefused]:
    """Each record as it is sent; in the place of one that can't be, why."""
    for record in records:
        try:
            yield prepared(record, schema, mask_size)
        except RecordRefused as refusal:
            yield refusal


def _size(record: Part | RecordRefused) -> int:
    return record.size if isinstance(record, Part) else 0


def _answers(batch: list[Part | RecordRefused], post: Post, model: str) -> list[Answer]:
    """The answers to one request, and errors for what was not sent."""
    sent = [each for each in batch if isinstance(each, Part)]
    found = iter(halved(sent, lambda some: _ask(some, post, model), RecordRefused) if sent else ())
    return [_answer(next(found), each) if isinstance(each, Part) else each.as_dict() for each in batch]


def _answer(found: Any, sent: Part) -> Answer:
    answer: Answer = completed(found.as_dict() if isinstance(found, RecordRefused) else found, sent)
    return answer


def _ask(batch: list[Part], post: Post, model: str) -> list[Any]:
    if len(batch) == 1 and batch[0].media_type != JSON:  # a lone picture as it is: a third smaller than in JSON
        return [post(batch[0].data, batch[0].media_type)]
    answers = post(together(batch), JSON)
    if not isinstance(answers, list) or len(answers) != len(batch):
        raise wrong_count(len(answers) if isinstance(answers, list) else 1, len(batch), model)
    return answers


def _numbered(answer: Answer, position: int) -> Answer:
    """An error with the record's position among all records, where the server counted in its request."""
    error = answer.get("error")
    return {**answer, "error": {**error, "record": position}} if isinstance(error, dict) else answer


def _refusal(problems: list[Problem], model: str) -> RecordRefused:
    first, *others = sorted(problems, key=lambda problem: problem.weight != "refused")
    more = f" Something is wrong with {', '.join(repr(problem.field) for problem in others)}, too." if others else ""
    return RecordRefused(first.message + more, fix=first.fix, code=first.code, field=first.field, model=model)
