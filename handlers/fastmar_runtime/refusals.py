"""Limits the errors in a response, so that many bad records don't cost more than good ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

EXPLAINED_ERRORS = 100
"""Errors of a response that are explained, however few of its records were answered."""

_MESSAGE = "refused."
_FIX = f"see the first {EXPLAINED_ERRORS} refusals."


def number_errors(answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """`answers` as they are sent: each error has the record's position in its request, and errors are limited.

    The first `EXPLAINED_ERRORS` errors are complete, or as many as records were answered if these are more. Further
    errors have the same keys, with their code and field, but one short message for all.
    """
    refused = sum("error" in answer for answer in answers)
    if not refused:
        return list(answers)
    explained = max(EXPLAINED_ERRORS, len(answers) - refused)
    return list(_number_errors(answers, explained))


def _number_errors(answers: Sequence[dict[str, Any]], explained: int) -> Iterator[dict[str, Any]]:
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
