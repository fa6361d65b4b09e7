"""Sources of live data: one module each, with `matches(data)` and `read(query)`; `_SOURCES` lists them.

To add a source, write its module, and add it before the more general ones.
"""

from __future__ import annotations

from typing import Protocol

from fastmar_monitor.errors import SourceUnknown
from fastmar_monitor.sources import data_files, profile_files, prometheus, request_log, server
from fastmar_monitor.sources.live import Live, Query

__all__ = ["Live", "Query", "read_live"]


class _Source(Protocol):
    def matches(self, data: str) -> bool:
        """Whether it reads `data`, a path or URL."""
        ...

    def read(self, query: Query) -> Live:
        """The live profile."""
        ...


_SOURCES: tuple[_Source, ...] = (prometheus, server, request_log, profile_files, data_files)


def read_live(query: Query) -> Live:
    """The live profile of `query.data`.

    Raises:
        FastmarError: it can't be read, or has no records of the model.
        ClientError: a server does not answer.
    """
    for source in _SOURCES:
        if source.matches(query.data):
            return source.read(query)
    raise SourceUnknown(
        f"{query.data} is no data that can be compared.",
        fix="pass a data file (.csv, .parquet, .jsonl), a folder of pictures or texts, profile files, or the URL of a "
        "server or Prometheus.",
    )
