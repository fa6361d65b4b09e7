"""Refusals in a response: a body of many bad records must not cost more than one of good records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

EXPLAINED = 100
"""Refusals of one response that are explained however few of its records were answered."""

_MESSAGE = "refused."
_FIX = f"see the first {EXPLAINED} refusals."


def numbered(answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """`answers` as they are sent: each error has the record's position in its own request.

    The first `EXPLAINED` refusals are explained, or as many as records were answered if these are more. The others have
    the same keys, with their code and field, and a message that is the same for all: so each record keeps its place.
    """
    refused = sum("error" in answer for answer in answers)
    if not refused:
        return list(answers)
    explained = max(EXPLAINED, len(answers) - refused)
    return list(_numbered(answers, explained))


def _numbered(answers: Sequence[dict[str, Any]], explained: int) -> Iterator[dict[str, Any]]:
    for position, answer in enumerate(answers):
        error = answer.get("error")
        if error is None:
            yield answer
        elif explained > 0:
            explained -= 1
            yield {**answer, "error": {**error, "record": position}}
        else:
            short = {"code": error["code"], "field": error["field"], "record": position}
            yield {**answer, "error": {**short, "message": _MESSAGE, "fix": _FIX}}
