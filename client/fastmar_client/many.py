"""Records and answers of one call: prepared, compared with the schema, numbered; errors kept in their places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastmar_client.encoding import Part, part
from fastmar_client.errors import RecordRefused
from fastmar_client.pictures import is_picture_object
from fastmar_client.problems import Problem
from fastmar_client.refusals import faults
from fastmar_client.schema import Schema

Answer = dict[str, Any]

REQUEST_BYTES = 4_000_000  # of several records in one request: well below the 16 MB that the server takes


def prepared(record: Any, schema: Schema | None, mask_size: str | None = None) -> Part:
    """A record as it is sent, compared with `schema` first where there is one.

    Args:
        record: a mapping, a picture, or a str, which is the path of a file for models that read files.
        schema: what it is compared with; a str needs it.
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
    one = part(Path(record) if isinstance(record, str) and schema.traits.reads_files else record, mask_size)
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


def prepared_or_refused(record: Any, schema: Schema | None, mask_size: str | None = None) -> Part | RecordRefused:
    """See `prepared`; the refusal itself in the place of a record that can't be sent."""
    try:
        return prepared(record, schema, mask_size)
    except RecordRefused as refusal:
        return refusal


def size_of(record: Part | RecordRefused) -> int:
    """Bytes that a record takes in a request."""
    return record.size if isinstance(record, Part) else 0


def numbered(answer: Answer, position: int) -> Answer:
    """An error with the record's position among all records, where the server counted in its request."""
    error = answer.get("error")
    return {**answer, "error": {**error, "record": position}} if isinstance(error, dict) else answer


def raised(answer: Answer, model: str) -> Answer:
    """`answer`, unless it is an error, which is raised."""
    if "error" not in answer:
        return answer
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


def _refusal(problems: list[Problem], model: str) -> RecordRefused:
    first, *others = sorted(problems, key=lambda problem: problem.weight != "refused")
    more = f" Something is wrong with {', '.join(repr(problem.field) for problem in others)}, too." if others else ""
    return RecordRefused(first.message + more, fix=first.fix, code=first.code, field=first.field, model=model)
