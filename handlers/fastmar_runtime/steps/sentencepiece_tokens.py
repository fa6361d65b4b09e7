"""fastai's SubwordTokenizer: splits a text into pieces of words with a SentencePiece model.

As in `learn.predict`, blanks within pieces stay blanks: fastai replaces them by "▁" only in training data.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.steps import TextStep
from fastmar_runtime.text import require_unicode
from fastmar_runtime.validation import check, unreadable


@dataclass(frozen=True, slots=True)
class SentencepieceTokens(TextStep):
    """Attributes: `processor`, a `sentencepiece.SentencePieceProcessor`."""

    processor: Any

    def __call__(self, value: str) -> list[str]:
        """The tokens.

        Raises:
            RecordError: the text is not Unicode.
        """
        require_unicode(value)
        tokens: list[str] = self.processor.EncodeAsPieces(value)
        return tokens


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> SentencepieceTokens:
    """Read ``{"model": base64}``, a serialized `ModelProto`; `path` is its place, for messages.

    Raises:
        BundleUnreadable: the model is invalid, or the package sentencepiece is not installed.
    """
    try:
        from sentencepiece import SentencePieceProcessor  # noqa: PLC0415 - optional, and only these models need it
    except ImportError as error:
        raise BundleUnreadable(
            f"{path} needs the package sentencepiece, which can't be imported ({error}).",
            fix="install it with `pip install 'fastmar[text]'` where the model is loaded or served.",
            code="sentencepiece_missing",
        ) from error
    processor = SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(
            base64.b64decode(check(str, state.get("model"), f"{path}.model"), validate=True)
        )
    except (ValueError, RuntimeError) as error:
        raise unreadable(f"{path}.model is not a SentencePiece model") from error
    return SentencepieceTokens(processor)
