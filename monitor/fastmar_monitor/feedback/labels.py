"""Reads labels of a truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmar_contract.categories import Categories
from fastmar_contract.cells import category_reader


class Labels:
    """The labels of a model.

    Attributes:
        texts: the labels as in answers.
    """

    def __init__(self, vocab: Sequence[Any]) -> None:
        self.texts = [str(label) for label in vocab]
        self._read = category_reader(vocab)
        self._categories = Categories(vocab)
        self._codes = {text: at for at, text in enumerate(self.texts)}

    def code(self, text: str) -> int:
        """The number of a label of an answer. Raises KeyError if it is unknown."""
        return self._codes[text]

    def find(self, value: Any) -> int | None:
        """The number of a label of a truth: -1 if it is unknown, None if it is missing.

        Texts are read like cells of a CSV: as numbers or bools if the labels are. White space around them is ignored.
        """
        if isinstance(value, str):
            value = self._read(value)
        if value is None:
            return None
        code = self._categories.code(value) if value.__hash__ else 0
        if not code and isinstance(value, str):
            code = self._categories.code(self._categories.match_ignoring_white_space(value))
        return code - 1
