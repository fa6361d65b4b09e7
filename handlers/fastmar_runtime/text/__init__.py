"""Preprocessing of texts: the rules of fastai and the words of spaCy, without these packages."""

from __future__ import annotations

from fastmar_contract.errors import RecordError


def require_unicode(text: str) -> None:
    """Raise `RecordError` if `text` has a surrogate without its pair, which the tokenizers can't encode as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RecordError(
            "invalid_text",
            f"the text has half of a surrogate pair at position {error.start} ({text[error.start]!a}).",
            fix="decode the text correctly before sending it.",
        ) from error
