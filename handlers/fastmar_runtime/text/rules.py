"""fastai's default rules, which prepare a text before it is split into tokens.

Source: `fastai.text.core`, where versions 2.7 and 2.8 have the same rules.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from types import MappingProxyType

from fastmar_contract.errors import RecordError

BOS, EOS, FLD = "xxbos", "xxeos", "xxfld"
UNK, REP, WREP, UP, MAJ = "xxunk", "xxrep", "xxwrep", "xxup", "xxmaj"

_SPECIAL = re.compile(r"([/#\\])")
_SPACES = re.compile(" {2,}")
_REPEATED = re.compile(r"(\S)(\1{2,})")
_REPEATED_WORD = re.compile(r"(?:\s|^)(\w+)\s+((?:\1\s+)+)\1(\s|\W|$)")
# fastai has [A-Z]+ at the start of the word. The matches are the same, but its time grows with the square of a word.
_ALL_CAPS = re.compile(r"(\s|^)([A-Z][^a-z\s]*)(?=(\s|$))")
_CAPITALIZED = re.compile(r"(\s|^)([A-Z][^A-Z\s]*)(?=(\s|$))")
_REPLACED = (
    ("#39;", "'"), ("amp;", "&"), ("#146;", "'"), ("nbsp;", " "), ("#36;", "$"), ("\\n", "\n"), ("quot;", "'"),
    ("<br />", "\n"), ('\\"', '"'), ("<unk>", UNK), (" @.@ ", "."), (" @-@ ", "-"), ("...", " …"),
)  # fmt: skip


def _fix_html(text: str) -> str:
    for old, new in _REPLACED:
        text = text.replace(old, new)
    try:
        return html.unescape(text)
    except ValueError as error:  # Python reads numbers of at most 4,300 digits, also for fastai
        raise RecordError(
            "invalid_text",
            "the text has a character reference, such as &#39;, with a number that is too long.",
            fix="remove it.",
        ) from error


def _replace_rep(text: str) -> str:
    return _REPEATED.sub(lambda found: f" {REP} {len(found[2]) + 1} {found[1]} ", text)


def _replace_wrep(text: str) -> str:
    return _REPEATED_WORD.sub(lambda found: f" {WREP} {len(found[2].split()) + 2} {found[1]} {found[3]}", text)


def _replace_all_caps(text: str) -> str:
    return _ALL_CAPS.sub(lambda found: _lowered(found, UP), text)


def _replace_maj(text: str) -> str:
    return _CAPITALIZED.sub(lambda found: _lowered(found, MAJ), text)


def _lowered(found: re.Match[str], mark: str) -> str:
    """The word of a match in lower case; `mark` is put before words of several characters."""
    return f"{found[1]}{mark} {found[2].lower()}" if len(found[2]) > 1 else f"{found[1]}{found[2].lower()}"


def lowercase(text: str, *, add_bos: bool, add_eos: bool) -> str:
    """The rule `lowercase`: `text` in lower case without outer white space, with the marks of start and end."""
    return (f"{BOS} " if add_bos else "") + text.lower().strip() + (f" {EOS}" if add_eos else "")


RULES: MappingProxyType[str, Callable[[str], str]] = MappingProxyType(
    {
        "fix_html": _fix_html,
        "replace_rep": _replace_rep,
        "replace_wrep": _replace_wrep,
        "spec_add_spaces": lambda text: _SPECIAL.sub(r" \1 ", text),
        "rm_useless_spaces": lambda text: _SPACES.sub(" ", text),
        "replace_all_caps": _replace_all_caps,
        "replace_maj": _replace_maj,
        "replace_space": lambda text: text.replace(" ", "▁"),
    }
)
"""fastai's rules without options by name; `lowercase` is the only one with options."""

LOWERCASE = "lowercase"
