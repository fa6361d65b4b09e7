"""Texts for comparing tokenizers: real ones from installed packages, and generated ones with unusual characters."""

# ruff: noqa: RUF001 - characters that look like others are intended

from __future__ import annotations

import ast
import re
import sysconfig
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from random import Random

_INSTALLED = Path(sysconfig.get_path("purelib"))
_DOCSTRINGS = ("sklearn", "pandas", "spacy/lang", "fastai")
_MIN_LENGTH = 20  # characters of a real text

_EMOTICONS = (":)", ":-)", "8)", ":-(", "(:", "=D", ":'(", "<3", "</3", "¯\\(ツ)/¯",
              "(╯°□°）╯︵┻━┻", ":o)", "xD", ">.<", "V_V", "<.<")  # fmt: skip
_WORDS = (
    "don't", "DON'T", "can't've", "it's", "U.S.A.", "e.g.", "10a.m.", "9pm", "Mr.", "o'clock", "y'all", "naïve",
    "the", "The", "THE", "film", "WoW", "so", "so", "a", "a", "I", "ß", "İstanbul", "ﬁ", "e\u0301", "١٢٣",
    "中文字符", "مرحبا", "שלום", "\u202eabc\u202c", "हिन्दी", "ไทย", "a\u200bb", "x\u00adyz", "𝒳𝒴", "ǅ", "ſ",
    "xxbos", "xxpad", "xxunk", "xxrep", "xxwrep", "xxmaj", "xxup", "xxfld", "xxeos", "XXBOS", "xxbos.", "(xxmaj)",
    "http://a.bc/d?e=f#g", "https://user:pw@ex.co.uk:80/~x/", "www.x.org.", "me@mail.example.com", "a.b",
    "#tag", "@you",
    "$5.00", "€1,000.50", "5km/h", "1/2", "3-4", "-1e-5", "25%", "10°C", "50mm.", "12:30", "2020-01-02", "v1.2.3",
    "and/or", "well-known", "dyn-o-mite", "a--b", "x...y", "end.Start", "one,two", "f(x)", "[1]", "{a}", "a_b", "C++",
    "C#", "f[0]",
    "&amp;", "&lt;b&gt;", "&#39;", "#39;", "&nbsp;", "nbsp;", "&eacute;", "&#xD800;", "&#0;", "&notanentity;",
    "quot;",
    "<br />", "<br/>", "<unk>", "\\n", '\\"', " @.@ ", " @-@ ", "amp;amp;", "#146;", "#36;",
    "😀", "👩‍👩‍👧", "🇩🇪", "❤️", "👍🏽", "\x00", "\x07", "\x1b[0m", "\ufeff", "\ufffd", "\u2028", "\x85", "\x1c",
    "...", "….", "!!!", "?!?!", "''", "``", "“a”", "‘b’", "«c»", "(((", ")))", "---", "–", "—", "/", "\\", "#", "@",
    "*", "~",
)  # fmt: skip
_SPACES = (" ", " ", " ", " ", "", "", "  ", "\n", "\n\n", "\t", "\r\n", "\u00a0", "\u3000", " \n ", "    ")
_LONG = 100_000  # characters of the longest texts

EDGES = (
    "", " ", "  ", "\n", "\t \n", "\u00a0", "a", "A", "AA", "Aa", ".", "...", "xxbos", "xxpad xxunk xxrep 3 a",
    "so so so so so", "a a a\n", "NO NO NO NO", "aaaa", "Aaaa!!!!", "    x", "x    ", "\x00", "\ufeff", ":):):)",
    "8):-):o)",
)  # fmt: skip
"""Short texts at the edges of the rules."""


def real_texts(count: int) -> list[str]:
    """Different paragraphs and docstrings of installed packages; always the same in one environment."""
    texts: dict[str, None] = {}
    for text in chain.from_iterable(zip(_paragraphs(), _docstrings(), strict=False)):
        if len(text) >= _MIN_LENGTH:
            texts[text] = None
        if len(texts) == count:
            break
    return list(texts)


def _paragraphs() -> Iterator[str]:
    """The paragraphs of descriptions and licences of installed packages."""
    for folder in sorted(_INSTALLED.glob("*.dist-info")):
        for path in [folder / "METADATA", *sorted(folder.rglob("LICENSE*"))]:
            if path.is_file():
                yield from re.split(r"\n\s*\n", path.read_text("utf-8", errors="replace"))


def _docstrings() -> Iterator[str]:
    for package in _DOCSTRINGS:
        for path in sorted((_INSTALLED / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                    yield node.value


def nasty_texts(count: int, seed: int = 0) -> list[str]:
    """Generated texts: emoji, entities, control characters, repetitions, emoticons, URLs, and random characters."""
    random = Random(seed)
    made = list(EDGES[:count])
    while len(made) < count:
        made.append(_nasty(random))
    return made


def _nasty(random: Random) -> str:
    kind = random.random()
    if kind < 0.2:
        return "".join(random.choices(_EMOTICONS, k=random.randint(1, 6)))
    if kind < 0.3:
        return "".join(chr(_code_point(random)) for _ in range(random.randint(1, 40)))
    if kind < 0.4:
        return "".join(random.choice("aAb :;()-=.,'/\\#&8DxX\n\t") for _ in range(random.randint(1, 60)))
    if kind < 0.5:
        word = random.choice(_WORDS)
        return random.choice(_SPACES).join([word] * random.randint(2, 8)) + random.choice(_WORDS)
    words = random.choices(_WORDS + _EMOTICONS, k=random.randint(1, 25))
    return "".join(word + random.choice(_SPACES) for word in words)


def _code_point(random: Random) -> int:
    """A code point, more often a small one, never half of a surrogate pair."""
    point = random.randrange(random.choice((0x80, 0x250, 0x3000, 0x10000, 0x110000)))
    return point if not 0xD800 <= point < 0xE000 else ord("\ufffd")


def long_texts() -> list[str]:
    """Texts of about 100,000 characters."""
    random = Random(1)
    words = "".join(random.choice(_WORDS) + random.choice(_SPACES) for _ in range(_LONG // 4))
    return [words[:_LONG], "word " * (_LONG // 5), " " * _LONG, "\n" * _LONG, "a" * _LONG, "Ab, " * (_LONG // 4)]


def marks(count: int, seed: int = 0) -> list[str]:
    """Texts of fastai's marks as literal words, which get the ids of padding, start and unknown tokens."""
    random = Random(seed)
    words = ("xxpad", "xxpad", "xxbos", "xxunk", "xxeos", "film", "good")
    made = []
    for _ in range(count):
        weights = [random.random() ** 4 for _ in words]  # often long runs of one mark
        made.append(" ".join(random.choices(words, weights, k=random.randint(1, 300))))
    return made
