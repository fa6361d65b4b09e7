"""The terminal: results on standard output, all else on standard error; colours and progress only in a terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from fastmar_contract.display import printable
from fastmar_contract.errors import FastmarError

log = logging.getLogger(__name__)

_UNLIMITED_WIDTH = 10_000  # columns, for a file or a pipe
TEXT_WIDTH = 50  # maximum columns of a table's column of sentences, which would be a single line in a file or a pipe

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _UNLIMITED_WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def stages() -> Iterator[Any]:
    """Show a spinner if standard error is a terminal, else log; yields a function that sets the text."""
    if not err.is_terminal or _is_quiet():
        yield lambda stage: log.info("%s", printable(stage))
        return
    with err.status("Starting") as status:
        yield lambda stage: status.update(escape(printable(stage)))


def notice(message: str) -> None:
    """Print a note on standard error, unless --quiet."""
    if not _is_quiet():
        err.print(f"[yellow]Note:[/] {escape(printable(message))}")


def warn(message: str) -> None:
    """Print a warning of something dangerous on standard error."""
    err.print(f"[red]Careful:[/] {escape(printable(message))}")


def _is_quiet() -> bool:
    return logging.getLogger().level >= logging.ERROR


def write_new(path: Path, text: str) -> None:
    """Write a text file that must not exist yet.

    Raises:
        FastmarError: it exists, or can't be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise FastmarError(
            f"{path} already exists.", fix="choose another name, or remove the file.", code="file_exists"
        ) from None
    except OSError as error:
        raise FastmarError(
            f"{path} can't be written ({error.strerror}).", fix="check the folder.", code="file_not_written"
        ) from error
