"""What `make docs` adds to the pages: the help of each command, and text for links to files outside of docs/."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import Any

HELP = "<!-- help -->"
COLUMNS = "100"  # of the help's lines
_DOCS = Path(__file__).resolve().parent
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\.?/[^)#\s]+)(?:#[^)]*)?\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """A page as the site shows it."""
    folder = (_DOCS / page.file.src_uri).parent
    return _LINK.sub(lambda link: _inside(link, folder), markdown.replace(HELP, help_of_commands()))


def _inside(link: re.Match[str], folder: Path) -> str:
    """The link, or the name of its file where that is in the repository and no page of the site."""
    text, target = link.groups()
    path = (folder / target).resolve()
    if path.is_relative_to(_DOCS):
        return link.group()
    name = path.relative_to(_DOCS.parent)
    return f"`{name}`" if text == str(name) else f"{text} (`{name}`)"


def help_of_commands() -> str:
    """Markdown: for each command, what its `--help` prints."""
    from fastmar_cli.parser import build_parser, command_names  # noqa: PLC0415 - where a page needs it

    os.environ["COLUMNS"] = COLUMNS
    found = _subcommands(build_parser(command_names()))
    return "\n".join(
        f"## {parser.prog} {{ #{parser.prog.replace(' ', '-')} }}\n\n```text\n{parser.format_help()}```\n"
        for parser in found
    )


def _subcommands(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                found += [each, *_subcommands(each)]
    return found
