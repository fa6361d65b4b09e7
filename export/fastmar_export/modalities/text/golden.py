"""Golden texts for a new archive. They are made of words of the vocabulary, so they contain no training text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastmar_export.conversion import State
from fastmar_runtime.spec import Field

_SEED = 20
_LENGTHS = (1, 3, 12, 40, 90, 200)  # words; fastai's networks process chunks of 72 ids
_BLANK = "\u2581"  # SentencePiece's mark of the first token of a word
_TEXTS = (
    "This is an example of a text.",
    "An URL: https://example.com/a?b=c&amp;d, an e-mail address: a.b@example.com, and a price: $1,234.50!",
    "It's GREAT!!!!! Sooooo good; we've seen it twice twice twice twice :-) \U0001f600",
    "Line one<br />Line two\n\n  \u201cquotes\u201d \u2013 caf\u00e9, na\u00efve #tag @name 50/50 AT&T",
)


def golden_texts(fields: Sequence[Field], steps: Sequence[State]) -> list[dict[str, str]]:
    """Records of fixed texts, and of random words of the vocabulary in several lengths."""
    vocabulary = next(step["vocab"] for step in steps if step["step"] == "numericalize")
    tokens = [(token or "").lstrip(_BLANK) for token in vocabulary]
    words = [token for token in tokens if token.isalpha() and not token.startswith("xx")] or ["word"]
    generator = np.random.default_rng(_SEED)
    texts = [*_TEXTS, *(" ".join(generator.choice(words, length)) for length in _LENGTHS)]
    return [
        {field.name: texts[(row + column) % len(texts)] for column, field in enumerate(fields)}
        for row in range(len(texts))
    ]
