"""Suggestions for misspelled names ("did you mean"), in bounded time."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cached_property

_MAX_NAME = 100  # characters; longer names are not compared
_MAX_COMPARED = 200  # candidates that a name is compared with letter by letter
_MIN_RATIO = 0.8  # difflib's similarity above which two names are similar


class SimilarNames:
    """Search for a similar name among given ones, which are indexed at the first search."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(name for name in names if len(name) <= _MAX_NAME)

    def closest(self, name: str) -> str | None:
        """The name that differs from `name` only in case, spaces and punctuation; else one with a similar spelling.

        Names with different digits are never similar: "A12" is not a misspelled "A13".
        """
        if len(name) > _MAX_NAME or not (letters := _letters(name)):
            return None
        if (same := self._by_letters.get(letters)) is not None:
            return same
        near = [
            other
            for other in self._by_group.get(_group_key(letters), ())
            if abs(len(other) - len(letters)) <= len(letters) // 4
        ]
        near.sort(key=lambda other: abs(len(other) - len(letters)))
        matches = difflib.get_close_matches(letters, near[:_MAX_COMPARED], 1, _MIN_RATIO)
        return self._by_letters[matches[0]] if matches else None

    @cached_property
    def _by_letters(self) -> dict[str, str]:
        """Names by their letters and digits; the first name wins."""
        return {letters: name for name in reversed(self._names) if (letters := _letters(name))}

    @cached_property
    def _by_group(self) -> dict[tuple[str, str], list[str]]:
        groups: dict[tuple[str, str], list[str]] = {}
        for letters in self._by_letters:
            groups.setdefault(_group_key(letters), []).append(letters)
        return groups


def _letters(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _group_key(letters: str) -> tuple[str, str]:
    """Only names of the same group are compared: they start with the same letter and have the same digits."""
    return letters[0], "".join(character for character in letters if character.isdigit())
