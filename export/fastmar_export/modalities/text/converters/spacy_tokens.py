"""SpacyTokenizer: the regular expressions and special cases of spaCy's tokenizer, which the pickle contains."""

from __future__ import annotations

import re
from typing import Any

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.errors import UnsupportedTransform
from fastmar_export.learner import as_list, name_of
from fastmar_export.modalities.text.domains import TOKENIZER
from fastmar_export.reader import Record, path_of

_TOKENIZER = "spacy.tokenizer.Tokenizer"
_LANGUAGE = "spacy.language.Language."
_PATTERNS = {"prefix": "search", "suffix": "search", "infix": "finditer", "token_match": "match", "url_match": "match"}
"""The tokenizer's patterns in the order of its arguments, and the method of each."""
_ORTH = (65, "ORTH", "orth")  # key of a token's text in a special case; 65 is its number in spacy.symbols
_MAX_LENGTH = 1_000_000
_FLAGS = {re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s", re.VERBOSE: "x", re.ASCII: "a"}
_FIX = "train with fastai's SpacyTokenizer for a language whose tokenizer is spaCy's own, and export that learner."


@converter("fastai.text.core.SpacyTokenizer", domain=TOKENIZER)
def spacy_tokens(record: Record, where: str, shared: Any) -> State:  # noqa: ARG001
    """``{"patterns": {name: pattern or null}, "special_cases": {text: [token, ...]}, "max_length"}``."""
    owner, method = _bound_method(record.get("pipe"))
    if method != "pipe" or not isinstance(owner, Record) or not owner.path.startswith("spacy."):
        raise _refusal(where, record.path, f"whose pipe is {name_of(record.get('pipe'))}, not spaCy's")
    tokenizer = owner.get("tokenizer")
    if not isinstance(tokenizer, Record) or tokenizer.path != _TOKENIZER or len(tokenizer.args) < 2:
        raise _refusal(where, name_of(tokenizer), f"not {_TOKENIZER}, which fastmar computes without spaCy")
    if as_list(owner.get("_components")):
        raise _refusal(where, owner.path, "with components after its tokenizer")
    max_length = owner.get("max_length", _MAX_LENGTH)
    if not isinstance(max_length, int):
        raise _refusal(where, owner.path, f"whose max_length is {max_length!r:.60}")
    _, rules, *found = tokenizer.args
    found += [None] * (len(_PATTERNS) - len(found))
    return {
        "step": "spacy_tokens",
        "patterns": {
            name: _pattern(value, method, f"{where}.{name}")
            for (name, method), value in zip(_PATTERNS.items(), found, strict=False)
        },
        "special_cases": _special_cases(rules, where),
        "max_length": max_length,
    }


def _bound_method(value: Any) -> tuple[Any, str]:
    """The object and the name of a method, which pickle records with `getattr`, cloudpickle with `MethodType`."""
    if isinstance(value, Record) and len(value.args) == 2:
        first, second = value.args
        if value.path == "types.MethodType" and path_of(first).startswith(_LANGUAGE):
            return second, path_of(first).removeprefix(_LANGUAGE)
        if value.path == "builtins.getattr" and isinstance(second, str):
            return first, second
    return None, ""


def _pattern(value: Any, method: str, where: str) -> str | None:
    """The pattern whose method is `value`, with its flags in the pattern."""
    if value is None:
        return None
    compiled, found = _bound_method(value)
    args = compiled.args if isinstance(compiled, Record) and compiled.path == "re._compile" else ()
    if found != method or len(args) != 2 or not isinstance(args[0], str) or not isinstance(args[1], int):
        raise _refusal(where, name_of(value), f"not the method {method} of a regular expression")
    pattern, flags = args
    letters = "".join(letter for flag, letter in _FLAGS.items() if flags & flag)
    return f"(?{letters}){pattern}" if letters else pattern


def _special_cases(rules: Any, where: str) -> dict[str, list[str]]:
    """The texts of the tokens of each special case, whose attributes are dicts by number or name."""
    found: dict[str, list[str]] = {}
    for text, tokens in rules.items() if isinstance(rules, dict) else ():
        dicts = [token for token in as_list(tokens) if isinstance(token, dict)]
        parts = [str(token[key]) for token in dicts for key in _ORTH if key in token]
        if not text or "".join(parts) != text or "" in parts:
            raise _refusal(where, _TOKENIZER, f"whose special case {text!r:.60} has the tokens {parts!r:.60}")
        found[text] = parts
    return found


def _refusal(where: str, path: str, why: str) -> UnsupportedTransform:
    return UnsupportedTransform(where, path, why=why, fix=_FIX, code="unsupported_tokenizer")
