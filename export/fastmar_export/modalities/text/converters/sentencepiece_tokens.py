"""SubwordTokenizer: the SentencePiece model, which the pickle contains as bytes."""

from __future__ import annotations

import base64
from typing import Any

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.errors import UnsupportedTransform
from fastmar_export.learner import name_of
from fastmar_export.modalities.text.domains import TOKENIZER
from fastmar_export.reader import Record

_PROCESSOR = "sentencepiece.SentencePieceProcessor"
_MODEL = "model_proto"
_OPTIONS = ("_add_bos", "_add_eos", "_reverse", "_emit_unk_piece", "_enable_sampling")


@converter("fastai.text.core.SentencePieceTokenizer", domain=TOKENIZER)
def sentencepiece_tokens(record: Record, where: str, shared: Any) -> State:  # noqa: ARG001
    """``{"model": base64}``, a serialized `ModelProto`."""
    processor = record.get("tok")
    model = None
    if isinstance(processor, Record) and processor.path == _PROCESSOR:
        model = processor.get(_MODEL, processor.state)  # before version 0.2.3, the state is the model
    if not isinstance(model, bytes) or not model:
        raise UnsupportedTransform(
            where,
            record.path,
            why=f"whose tok is {name_of(processor)} instead of a trained SentencePieceProcessor",
            fix="train the tokenizer (SubwordTokenizer.setup), and export the learner again.",
            code="untrained_tokenizer",
        )
    changed = [name for name in _OPTIONS if processor.get(name)]
    if changed:
        raise UnsupportedTransform(
            where,
            record.path,
            why=f"whose SentencePieceProcessor has {changed[0]} set",
            fix="restore its default, train and export again.",
            code="unsupported_tokenizer",
        )
    return {"step": "sentencepiece_tokens", "model": base64.b64encode(model).decode("ascii")}
