"""Errors for packages that are not installed, because they belong to an extra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def extra(what: str, name: str) -> Iterator[None]:
    """Say which extra has to be installed if an import fails.

    Args:
        what: the public name that needs it.
        name: the name of the extra.

    Raises:
        ModuleNotFoundError: an import failed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{what} needs {error.name}, which is not installed.\n"
            f"  Fix: pip install '.[{name}]' in a checkout of fastmar, or pip install 'fastmar[{name}]'.",
            name=error.name,
        ) from error
