"""What `make docs` adds to the site: notebooks, the help of commands, and text for links to files outside of docs/."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import Any

HELP = "<!-- help -->"
COLUMNS = "100"  # of the help's lines
NOTEBOOKS = "notebooks"  # folder of their pages
_DOCS = Path(__file__).resolve().parent
_NOTEBOOKS = _DOCS.parent / "examples" / "notebooks"
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\.?/[^)#\s]+)(?:#[^)]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """The files of the site, with a page for each notebook. Notebooks are not run here; the tests run them."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - only in the environment of the site
    from nbconvert import MarkdownExporter  # noqa: PLC0415

    for path in sorted(_NOTEBOOKS.glob("*.ipynb")):
        text, _ = MarkdownExporter().from_filename(str(path))
        files.append(File.generated(config, f"{NOTEBOOKS}/{path.stem}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """A page as the site shows it."""
    folder = (_DOCS / page.file.src_uri).parent
    markdown = markdown.replace(HELP, help_of_commands()) if HELP in markdown else markdown
    return _LINK.sub(lambda link: _inside(link, folder), markdown)


def _inside(link: re.Match[str], folder: Path) -> str:
    """The link, or the name of its file where that is in the repository and no page of the site."""
    text, target = link.groups()
    path = (folder / target).resolve()
    if path.parent == _NOTEBOOKS:
        page = os.path.relpath(_DOCS / NOTEBOOKS / f"{path.stem}.md", folder)
        return f"[{text}]({page})"
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
