"""Records that request a text or an encoding from a language model, made from the model's schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastmar_client.errors import RecordRefused

GENERATE, EMBED = "generate", "embed"


def generate_record(
    schema: Mapping[str, Any],
    text: str | Mapping[str, Any],
    tokens: int,
    temperature: float = 1.0,
    min_p: float | None = None,
    no_unk: bool = True,
    seed: int | None = None,
) -> dict[str, Any]:
    """The record that requests `tokens` more tokens after `text`; for the other arguments see `Client.generate`.

    Raises:
        RecordRefused: the model of this schema does not generate texts, code ``not_a_language_model``; or it reads
            several columns and `text` is not a record, code ``not_an_object``.
    """
    options = {"temperature": temperature, "min_p": min_p, "no_unk": no_unk, "seed": seed}
    given = {name: value for name, value in options.items() if value is not None}
    return {**_text_record(schema, text, GENERATE), GENERATE: tokens, **given}


def embed_record(schema: Mapping[str, Any], text: str | Mapping[str, Any]) -> dict[str, Any]:
    """The record that requests the encoding of `text`.

    Raises:
        RecordRefused: as for `generate_record`.
    """
    return {**_text_record(schema, text, EMBED), EMBED: True}


def continuation(answer: Mapping[str, Any]) -> str:
    """What follows the text of a request in the answer: ``generated``, with the blank before it if there is one."""
    generated = str(answer["generated"])
    before = str(answer.get("text", "")).removesuffix(generated)
    return f" {generated}" if generated and before.endswith(" ") else generated


def _text_record(schema: Mapping[str, Any], text: str | Mapping[str, Any], option: str) -> dict[str, Any]:
    """`text` as a record of the model, without options."""
    name = str(schema.get("name"))
    if option not in (schema.get("generator") or {}):
        raise RecordRefused(
            f"{name} does not {option} texts.",
            fix="use a language model that this version of fastmar exported from a language_model_learner.",
            code="not_a_language_model",
            model=name,
        )
    if isinstance(text, Mapping):
        return dict(text)
    columns = [*schema["record"]["properties"]]
    if len(columns) > 1:
        raise RecordRefused(
            f"{name} reads records with the columns {', '.join(map(repr, columns))}, not a single text.",
            fix="pass a dict with a text for each column.",
            code="not_an_object",
            model=name,
        )
    return {columns[0]: text}
