"""Suggestions for misspelled names ("did you mean"), in bounded time."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cached_property

_MAX_NAME = 100  # characters of a name; longer ones are not compared
_MAX_COMPARED = 200  # names that one is compared with, letter by letter
_MIN_RATIO = 0.8  # difflib's similarity from which two names are alike


class Names:
    """Names to choose from. They are put in order when the first name is looked up, which may never be needed."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(name for name in names if len(name) <= _MAX_NAME)

    def closest(self, name: str) -> str | None:
        """The one that differs from `name` in case, spaces and punctuation alone; else one that is spelled alike.

        Names with other digits are never alike: "A12" is not a misspelled "A13".
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
        """Each name by its letters and digits; of several the first."""
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
    """Only names of one group are compared: they begin with the same letter and have the same digits."""
    return letters[0], "".join(character for character in letters if character.isdigit())
