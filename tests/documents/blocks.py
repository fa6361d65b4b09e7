"""The commands in the README and in docs/, block by block.

`test_commands.py` runs them. A comment in front of a block says that it does not, or that it runs Python code too:

    <!-- not run: needs an AWS account -->
    <!-- tested by tests/client/test_docs.py -->
    <!-- run -->
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"(?:^ *<!-- ([^\n]*?) -->\n+)?^ *```(sh|console|python)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_NOT_RUN, _TESTED_BY, _RUN = "not run: ", "tested by ", "run"


@dataclass(frozen=True)
class Block:
    """A block of commands.

    Attributes:
        page: path of its document in the repository.
        commands: its commands; one can have several lines.
        not_run: why no test runs it, or "".
        tested_by: path of another test that does what the block does, or "".
    """

    page: str
    commands: tuple[str, ...]
    not_run: str
    tested_by: str


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    found = []
    for comment, language, indented in _BLOCK.findall(page.read_text("utf-8")):
        if language == "python" and comment != _RUN:
            continue
        text = textwrap.dedent(indented)
        lines = [_script(text)] if language == "python" else text.splitlines()
        commands = tuple(_commands(lines, "$ " if language == "console" else ""))
        not_run, tested_by = (
            comment.removeprefix(key) if comment.startswith(key) else "" for key in (_NOT_RUN, _TESTED_BY)
        )
        found.append(Block(page.relative_to(ROOT).as_posix(), commands, not_run, tested_by))
    return found


def _script(code: str) -> str:
    """A command that runs Python code."""
    return f"python -W ignore -c {shlex.quote(code)}"


def _commands(lines: list[str], prompt: str) -> Iterator[str]:
    """The commands without their prompt and output. A command continues until its quotes are closed."""
    command = ""
    for line in lines:
        if not command and not line.startswith(prompt):
            continue  # output
        command += line.removeprefix(prompt) if not command else f"\n{line}"
        if not _is_complete(command):
            continue
        if shlex.split(command, comments=True):
            yield command
        command = ""


def _is_complete(command: str) -> bool:
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return False
    return not command.endswith("\\")
