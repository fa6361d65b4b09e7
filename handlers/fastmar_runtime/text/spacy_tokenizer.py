"""spaCy's rule-based tokenizer in pure Python.

It splits a text at white space, then each chunk between by regular expressions for prefixes, suffixes and infixes.
Special cases, such as "don't" and ":-)", have fixed tokens. Those that contain an affix may have been split in a larger
chunk, so they are searched for again in the tokens of the whole text.

Source: `spacy/tokenizer.pyx` and `spacy/matcher/phrasematcher.pyx` of spaCy 3.8, whose private methods are named below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastmar_contract.errors import RecordError

# A chunk, or white space without the blank that ends the chunk before it. (Possessive quantifiers, which would express
# it in fewer characters, don't work in the first releases of Python 3.11.)
_CHUNKS = re.compile(r"(?:(?<=\S) |(?<!\S)|(?! ))(\S+|\s+)")
_CACHED_CHUNKS = 20_000
_MAX_CACHED = 50  # characters of a chunk that is cached; long ones are rarely repeated
_MAX_WORK = 10_000_000  # characters that expressions read in one text: about 3 seconds; usual are 3 for each character
_URL_WORK = 10  # colons of a chunk for which `url_match` takes as long as another expression
_END = ""  # key of the end of a phrase; no token is empty

Tokens = tuple[str, ...]
Span = tuple[int, int]
Search = Callable[[str], re.Match[str] | None]


@dataclass(frozen=True, slots=True)
class Patterns:
    """spaCy's regular expressions of a language; None for one that the language does not have.

    Attributes:
        prefix, suffix: are searched for in a chunk and split off, one after the other.
        infix: its matches split the rest of a chunk.
        token_match, url_match: if the start of a chunk matches, it is not split; `url_match` is tried without affixes.
    """

    prefix: str | None
    suffix: str | None
    infix: str | None
    token_match: str | None
    url_match: str | None


class _Work:
    """Counts the characters that expressions read, because a chunk of affixes takes the square of its length."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _MAX_WORK

    def add(self, characters: int) -> None:
        """Raise `RecordError` if the sum exceeds the limit."""
        self._left -= characters
        if self._left < 0:
            raise RecordError(
                "text_too_complex",
                "the text has long runs of punctuation without white space, which take too long to split into tokens.",
                fix="remove them, or put white space between the words.",
            )


class SpacyTokenizer:
    """Splits texts into the tokens of spaCy's `Tokenizer`.

    Args:
        patterns: the language's regular expressions.
        special_cases: tokens by text; joined, they are the text.

    Raises:
        re.error: a pattern is invalid.
    """

    def __init__(self, patterns: Patterns, special_cases: Mapping[str, Tokens]) -> None:
        self._find_prefix = _length_of(patterns.prefix)
        self._find_suffix = _length_of(patterns.suffix)
        self._infixes = re.compile(patterns.infix).finditer if patterns.infix is not None else None
        self._is_token = _matcher(patterns.token_match)
        self._is_url = _matcher(patterns.url_match)
        self._special_cases = special_cases
        self._cache: dict[str, Tokens] = {}
        self._phrases = self._phrases_of(special_cases)

    def __call__(self, text: str) -> list[str]:
        """The tokens of `text`. White space is a token, except a single blank after other characters.

        Raises:
            RecordError: splitting the text takes too long.
        """
        work, tokens = _Work(), list[str]()
        for chunk in _CHUNKS.findall(text):
            tokens += self._cache.get(chunk) or self._tokens_of(chunk, work)
        if self._phrases.keys().isdisjoint(tokens):
            return tokens
        matches = list(self._matches(tokens))
        return self._apply_special_cases(text, tokens, matches) if matches else tokens

    def _tokens_of(self, chunk: str, work: _Work) -> Tokens:
        """The tokens of a chunk: spaCy's `_tokenize`, with its check for special cases and its cache."""
        tokens = self._cache.get(chunk) or self._special_cases.get(chunk)
        if tokens is None:
            tokens = tuple(self._split(chunk, self._special_cases, work))
            if len(chunk) <= _MAX_CACHED:
                if len(self._cache) >= _CACHED_CHUNKS:
                    self._cache.clear()
                self._cache[chunk] = tokens
        return tokens

    def _split(self, chunk: str, special_cases: Mapping[str, Tokens], work: _Work) -> Iterator[str]:
        rest, prefixes, suffixes = self._split_affixes(chunk, special_cases, work)
        yield from prefixes
        yield from special_cases.get(rest) or self._split_infixes(rest, work)
        yield from reversed(suffixes)

    def _split_affixes(
        self, rest: str, special_cases: Mapping[str, Tokens], work: _Work
    ) -> tuple[str, list[str], list[str]]:
        """The rest, its prefixes, and its suffixes from the outermost one: spaCy's `_split_affixes`."""
        prefixes: list[str] = []
        suffixes: list[str] = []
        previous = 0
        while rest and len(rest) != previous and not self._is_token(rest) and rest not in special_cases:
            previous = len(rest)
            work.add(previous)
            before = self._find_prefix(rest)
            without = rest[before:]
            if before and without in special_cases:
                prefixes.append(rest[:before])
                return without, prefixes, suffixes
            after = self._find_suffix(without)
            if after and rest[:-after] in special_cases:
                suffixes.append(rest[-after:])
                return rest[:-after], prefixes, suffixes
            if before:
                prefixes.append(rest[:before])
            if after:
                suffixes.append(rest[-after:])
            rest = without[: len(without) - after]
        return rest, prefixes, suffixes

    def _split_infixes(self, rest: str, work: _Work) -> Iterator[str]:
        """The tokens of a chunk without its affixes: the last part of spaCy's `_attach_tokens`."""
        if not rest:
            return
        work.add(len(rest) * rest.count(":") // _URL_WORK)
        start = 0
        if self._infixes is not None and not self._is_token(rest) and not self._is_url(rest):
            for infix in self._infixes(rest):
                if infix.start() == 0:
                    continue
                if infix.start() != start:
                    yield rest[start : infix.start()]
                if infix.start() != infix.end():
                    yield infix[0]
                start = infix.end()
        if rest[start:]:
            yield rest[start:]

    def _has_infix(self, text: str) -> bool:
        return self._infixes is not None and next(self._infixes(text), None) is not None

    def _phrases_of(self, special_cases: Mapping[str, Tokens]) -> dict[str, Any]:
        """A tree, by token, of the special cases that a larger chunk may have been split in: `add_special_case`."""
        tree: dict[str, Any] = {}
        for text, special in special_cases.items():
            if self._find_prefix(text) or self._has_infix(text) or self._find_suffix(text) or " " in text:
                phrase = tuple(token for chunk in _CHUNKS.findall(text) for token in self._split(chunk, {}, _Work()))
                if len(phrase) > 1 or phrase != special:  # otherwise it would be replaced by itself
                    node = tree
                    for token in phrase:
                        node = node.setdefault(token, {})
                    node[_END] = None
        return tree

    def _matches(self, tokens: Sequence[str]) -> Iterator[Span]:
        """Start and end of each phrase in `tokens`: spaCy's `PhraseMatcher.find_matches`."""
        for start, token in enumerate(tokens):
            node, end = self._phrases.get(token), start + 1
            while node is not None:
                if _END in node:
                    yield start, end
                node = node.get(tokens[end]) if end < len(tokens) else None
                end += 1

    def _apply_special_cases(self, text: str, tokens: Sequence[str], matches: Sequence[Span]) -> list[str]:
        """`tokens` with special cases instead of the phrases that are equal to them, also in their blanks."""
        blanks = self._blanks(text)
        result: list[str] = []
        at = 0
        for start, end in _longest(matches):
            phrase = "".join(token + blank for token, blank in zip(tokens[start:end], blanks[start:end], strict=True))
            special = self._special_cases.get(phrase[: len(phrase) - len(blanks[end - 1])])
            if special is not None:
                result += [*tokens[at:start], *special]
                at = end
        return result + list(tokens[at:])

    def _blanks(self, text: str) -> list[str]:
        """For each token of `text`, the blank after it, or an empty text."""
        blanks, work = list[str](), _Work()
        for chunk in _CHUNKS.finditer(text):
            if chunk.start() != chunk.start(1):
                blanks[-1] = " "
            blanks += [""] * len(self._tokens_of(chunk[1], work))
        return blanks


def _longest(matches: Sequence[Span]) -> list[Span]:
    """Matches that do not overlap with longer or earlier ones, by position: spaCy's `_filter_special_spans`."""
    seen: set[int] = set()
    kept = []
    for start, end in sorted(set(matches), key=lambda span: (span[0] - span[1], span[0])):
        if start not in seen and end - 1 not in seen:
            kept.append((start, end))
        seen.update(range(start, end))
    return sorted(kept)


def _length_of(pattern: str | None) -> Callable[[str], int]:
    """A function that returns the length of the first match of `pattern` in a text, or 0."""
    if pattern is None:
        return lambda _: 0
    search = re.compile(pattern).search

    def length(text: str) -> int:
        found = search(text)
        return 0 if found is None else found.end() - found.start()

    return length


def _matcher(pattern: str | None) -> Search:
    return (lambda _: None) if pattern is None else re.compile(pattern).match
