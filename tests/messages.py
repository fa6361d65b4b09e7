"""All texts that the product shows to people, in one file: `python -m tests.messages` writes tests/messages.txt and the
tables of docs/errors.md.

Tests assert codes, so that a better wording breaks none of them; the change of a text is seen here, and only here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests import error_codes

ROOT = Path(__file__).resolve().parents[1]
FILE = Path(__file__).with_suffix(".txt")
PACKAGES = ("contract", "handlers", "export", "client", "serving", "web", "monitor", "bulk", "cli")
WORDS = 3  # what has fewer is a name
_WORD = re.compile(r"[A-Za-z][a-z']+")
_NO_SENTENCE = re.compile(r"[<>\n]|^[A-Z_]+=|^/\S+$")  # HTML, documents, settings, paths


def texts(source: str) -> list[str]:
    """The texts of a module, in order; `{}` stands for what is filled in."""
    tree = ast.parse(source)
    skipped = {id(node) for node in _docstrings(tree)}
    found: list[str] = []
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            found.append("".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return sorted(
        {text.strip() for text in found if len(_WORD.findall(text)) >= WORDS and not _NO_SENTENCE.search(text)}
    )


def _docstrings(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def snapshot() -> str:
    """All texts, by module."""
    modules = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    parts = [(path.relative_to(ROOT).as_posix(), texts(path.read_text("utf-8"))) for path in modules]
    return "".join(f"{name}\n" + "".join(f"    {text}\n" for text in found) for name, found in parts if found)


if __name__ == "__main__":
    FILE.write_text(snapshot(), encoding="utf-8")
    error_codes.write()
