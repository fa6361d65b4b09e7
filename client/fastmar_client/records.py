"""Records before they are sent and answers after they arrive: validation, positions, errors in place of answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastmar_client.encoding import Part, part
from fastmar_client.errors import RecordRefused
from fastmar_client.pictures import is_picture_object
from fastmar_client.problems import Problem
from fastmar_client.refusals import faults
from fastmar_client.schema import Schema

Record = Mapping[str, Any]
Answer = dict[str, Any]

REQUEST_BYTES = 4_000_000  # maximum of a request with several records; the server's limit is 16 MB


def prepare(record: Any, schema: Schema | None, mask_size: str | None = None) -> Part:
    """Encode a record, after its validation against `schema` if one is passed.

    Args:
        record: a mapping, a picture, or a str: the path of a file if the model reads files.
        schema: the schema of the model; required if `record` is a str.
        mask_size: "model" or "original", of masks; None for the server's default.

    Raises:
        RecordRefused: the record can't be encoded, or does not match the schema.
    """
    if schema is None:
        return part(record, mask_size)
    if is_picture_object(record):
        record = part(record)
    problems = schema.problems(record)
    if errors := [problem for problem in problems if problem.weight != "unusual"]:
        raise _refusal(errors, schema.name)
    # The server warns of the other unusual values itself.
    warnings = tuple(problem.as_warning() for problem in problems if problem.code == "outside_training")
    one = part(Path(record) if isinstance(record, str) and schema.traits.reads_files else record, mask_size)
    return Part(one.data, one.media_type, one.name, warnings) if warnings else one


def complete(answer: Any, sent: Part) -> Any:
    """Add what only the client knows to `answer`: the name of the picture's file, and the client's warnings."""
    if not isinstance(answer, dict):
        return answer
    if sent.name is not None:
        answer = {"name": sent.name, **answer}
    if sent.warnings and "error" not in answer:
        answer = {**answer, "warnings": [*(answer.get("warnings") or ()), *sent.warnings]}
    return answer


def prepare_or_refuse(record: Any, schema: Schema | None, mask_size: str | None = None) -> Part | RecordRefused:
    """Like `prepare`, but the error is returned instead of raised."""
    try:
        return prepare(record, schema, mask_size)
    except RecordRefused as refusal:
        return refusal


def size_of(record: Part | RecordRefused) -> int:
    """The number of bytes of a record in a request."""
    return record.size if isinstance(record, Part) else 0


def with_record_number(answer: Answer, position: int) -> Answer:
    """Set the record number of an error to `position`; the server counts within its request."""
    error = answer.get("error")
    return {**answer, "error": {**error, "record": position}} if isinstance(error, dict) else answer


def raise_error(answer: Answer, model: str) -> Answer:
    """Return `answer`, or raise its error."""
    if "error" not in answer:
        return answer
    error = answer["error"]
    refusal = RecordRefused(
        f"record {error['record']} (counted from 0): {error.get('message')}",
        fix=str(error.get("fix") or "compare the record with the model's schema."),
        code=error.get("code"),
        field=error.get("field"),
        status=400,
        model=model,
    )
    refusal.faults = faults(error)
    raise refusal


def _refusal(problems: list[Problem], model: str) -> RecordRefused:
    first, *others = sorted(problems, key=lambda problem: problem.weight != "refused")
    more = f" There are problems with {', '.join(repr(problem.field) for problem in others)}, too." if others else ""
    return RecordRefused(first.message + more, fix=first.fix, code=first.code, field=first.field, model=model)
