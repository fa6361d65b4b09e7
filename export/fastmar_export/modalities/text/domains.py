"""The pipelines in which transforms of texts have converters."""

from __future__ import annotations

from fastmar_export.converters import Domain

TEXT = Domain("text")
"""Transforms from one text to its ids, which become steps."""

TOKENIZER = Domain("tokenizer")
"""Tokenizers that a `Tokenizer` contains as its `tok`, which become steps."""
