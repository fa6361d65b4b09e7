"""fastai's SpacyTokenizer: splits a text into spaCy's tokens, with the rules of a language that the state contains."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from fastmar_contract.errors import RecordError
from fastmar_runtime.steps import TextStep
from fastmar_runtime.text import require_unicode
from fastmar_runtime.text.spacy_tokenizer import Patterns, SpacyTokenizer
from fastmar_runtime.validation import check, invalid, unreadable

_ATTRIBUTES = ("patterns", "special_cases", "max_length")


@dataclass(frozen=True, slots=True)
class SpacyTokens(TextStep):
    """Attributes: `tokenizer`, and `max_length`, the maximum of characters of a text, as in spaCy."""

    tokenizer: SpacyTokenizer
    max_length: int

    def __call__(self, value: str) -> list[str]:
        """The tokens.

        Raises:
            RecordError: the text is too long or is not Unicode.
        """
        if len(value) > self.max_length:
            raise RecordError(
                "text_too_long",
                f"the text has {len(value):,} characters, over spaCy's limit of {self.max_length:,}.",
                fix="send a shorter text.",
            )
        require_unicode(value)
        return self.tokenizer(value)


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> SpacyTokens:
    """Read ``{"patterns": {name: pattern or null}, "special_cases": {text: [token, ...]}, "max_length"}``.

    `path` is its place, for messages.
    """
    patterns = check(Patterns, state.get("patterns"), f"{path}.patterns")
    special_cases = check(dict[str, tuple[str, ...]], state.get("special_cases"), f"{path}.special_cases")
    max_length = check(int, state.get("max_length"), f"{path}.max_length")
    if unknown := state.keys() - {"step", *_ATTRIBUTES}:
        raise unreadable(f"{path} has an unknown part {min(unknown)!r:.80}")
    for text, tokens in special_cases.items():
        if not text or "" in tokens or "".join(tokens) != text:
            raise invalid(f"{path}.special_cases[{text!r:.60}]", "the tokens of this text", list(tokens))
    try:
        return SpacyTokens(SpacyTokenizer(patterns, special_cases), max_length)
    except (re.error, RecursionError, OverflowError) as error:
        raise unreadable(f"{path}.patterns has an invalid regular expression ({error})") from error
