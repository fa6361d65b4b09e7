"""Decodes fastai's special tokens, such as `xxmaj`, which say how the next token was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fastmar_contract.errors import RecordError

MAJ, UP, REP, WREP = "xxmaj", "xxup", "xxrep", "xxwrep"
MAX_LENGTH = 1_000_000
"""Maximum characters of a decoded text: `xxrep 999999999 a` would fill the memory."""


class Decoder:
    """Decodes the tokens of one text.

    The result is that of `decode_spec_tokens` in `fastai/text/learner.py`. There, the number after `xxrep` or `xxwrep`
    applies to all tokens that follow, until the next special token.
    """

    def __init__(self) -> None:
        self._rule: str | None = None
        self._count: int | None = None
        self._length = 0

    def __call__(self, tokens: Iterable[str]) -> list[str]:
        """The words of the next tokens.

        Raises:
            RecordError: the text is longer than `MAX_LENGTH`.
        """
        words = []
        for word in self._decode(tokens):
            self._length += 1 + len(word)
            if self._length > MAX_LENGTH:
                raise _too_long()
            words.append(word)
        return words

    def _decode(self, tokens: Iterable[str]) -> Iterator[str]:
        for token in tokens:
            if token in (MAJ, UP, REP, WREP):
                self._rule = token
            elif self._rule is None:
                yield token
            elif self._rule == MAJ:
                self._rule = None
                yield token[:1].upper() + token[1:].lower()
            elif self._rule == UP:
                self._rule = None
                yield token.upper()
            elif self._count is None:
                try:
                    self._count = int(token)
                except ValueError:
                    self._rule = None
            else:
                yield from self._repeated(token, self._count)

    def _repeated(self, token: str, count: int) -> Iterator[str]:
        if count * len(token) > MAX_LENGTH:
            raise _too_long()
        if self._rule == REP:
            yield token * count
        else:
            yield from (token for _ in range(count))


def _too_long() -> RecordError:
    return RecordError(
        "text_too_long",
        f"the text with its repetitions has more than {MAX_LENGTH:,} characters.",
        fix=f"send a shorter text, or one without the tokens {REP} and {WREP}.",
    )
