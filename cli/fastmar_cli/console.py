"""The terminal: answers on standard output, everything else on standard error, colours and bars only for people."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape

from fastmar_contract.display import printable

_WIDE = 10_000  # columns where nobody looks: a file or a pipe, whose lines are not cut

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDE)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def stages() -> Iterator[Any]:
    """Give a function that names what is being done; shown as a spinner where standard error is a terminal."""
    if not err.is_terminal:
        yield lambda _: None
        return
    with err.status("Starting") as status:
        yield lambda stage: status.update(escape(printable(stage)))


def notice(message: str) -> None:
    """Say loudly what a person should know before relying on a model."""
    err.print(f"[yellow]Note:[/] {escape(printable(message))}")


def alarm(message: str) -> None:
    """Say what is dangerous."""
    err.print(f"[red]Careful:[/] {escape(printable(message))}")
