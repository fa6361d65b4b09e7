"""Errors of the disk on which tables are stored."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from fastmar_web.errors import Unavailable


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn an OSError into an error for the visitor; the log has the details.

    Raises:
        Unavailable: a file can't be written, for example because the disk is full.
    """
    try:
        yield
    except OSError as error:
        print(f"fastmar web: a table can't be saved: {error}", file=sys.stderr, flush=True)
        raise Unavailable(
            "The web app has no disk space for the table now.",
            fix="try again later, or with a smaller file.",
            operator="the log of `fastmar web` has the details.",
            code="no_disk_space",
        ) from error
