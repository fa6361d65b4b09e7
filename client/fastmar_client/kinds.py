"""Traits of the kinds of models that their JSON Schemas don't express. Only this module knows kinds by name.

Models of a kind that is not listed here are handled by their JSON Schema alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fastmar_client import picture_records
from fastmar_client.problems import Problem


@dataclass(frozen=True, slots=True)
class Kind:
    """How records of a kind of model are validated and sent.

    Attributes:
        records: the word for its input, for messages.
        reads_files: whether the bytes of a file are a record; None if unknown.
        reads_csv: whether the server reads CSV; None if unknown.
        problems: finds the problems of a record in JSON; None validates it against the schema.
        example: makes a record that is answered without warnings; None makes one from the schema.
    """

    records: str = "records"
    reads_files: bool | None = None
    reads_csv: bool | None = None
    problems: Callable[[dict[str, Any]], Iterable[Problem]] | None = None
    example: Callable[[], dict[str, Any]] | None = None


_UNLISTED = Kind()
_KINDS = {
    "tabular": Kind(reads_files=False, reads_csv=True),
    "text": Kind(records="texts", reads_files=False, reads_csv=True),
    "vision": Kind(
        records="pictures",
        reads_files=True,
        reads_csv=False,
        problems=picture_records.problems,
        example=picture_records.example,
    ),
}


def kind_of(name: str) -> Kind:
    """The traits of a kind of model."""
    return _KINDS.get(name, _UNLISTED)
