"""What a model's JSON Schema does not say of its kind: the one place of the client that knows kinds by name.

A kind that is not listed is known by its JSON Schema alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fastmar_client import picture_records
from fastmar_client.problems import Problem


@dataclass(frozen=True, slots=True)
class Kind:
    """How records of a kind of model are checked and sent.

    Attributes:
        records: what messages call the input.
        to_give: what of it is given to `predict_many`, for messages.
        reads_files: whether the bytes of a file are a record by themselves; None if only the server knows.
        reads_csv: whether the server reads CSV; None if only the server knows.
        problems: what is wrong with a record in JSON; None compares it with the schema.
        example: a record that is answered without a warning; None makes one from the schema.
    """

    records: str = "records"
    to_give: str = "them"
    reads_files: bool | None = None
    reads_csv: bool | None = None
    problems: Callable[[dict[str, Any]], Iterable[Problem]] | None = None
    example: Callable[[], dict[str, Any]] | None = None


_UNLISTED = Kind()
_KINDS = {
    "tabular": Kind(reads_files=False, reads_csv=True),
    "vision": Kind(
        records="pictures",
        to_give="their paths",
        reads_files=True,
        reads_csv=False,
        problems=picture_records.problems,
        example=picture_records.example,
    ),
}


def kind_of(name: str) -> Kind:
    """What is known of a kind of model."""
    return _KINDS.get(name, _UNLISTED)
