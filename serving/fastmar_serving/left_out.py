"""`fastmar serve --skip-broken`: serve the other archives of a store if one can't be served."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from fastmar_serving.archives import Archive, LeftOut, find_archives
from fastmar_serving.errors import LoadFailed
from fastmar_serving.settings import Settings

log = logging.getLogger(__name__)

METRIC = "fastmar_archives_left_out"
"""Gauge with the label `archive`, the name of a file: 1 for each archive that is left out."""


def serve_others(settings: Settings, serve: Callable[[list[Archive], Sequence[str]], int]) -> int:
    """Call `serve` with the archives of the store, and the names of the files that are left out.

    With --skip-broken, `serve` is called again without an archive that does not load, until the others are ready.

    Raises:
        ServeError: that of `find_archives` or `serve`.
    """
    left_out: LeftOut | None = {} if settings.skip_broken else None
    logged = 0
    while True:
        archives = find_archives(settings.model_store, settings.models, settings.state_dir, left_out)
        new = list((left_out or {}).items())[logged:]
        logged += len(new)
        for path, refusal in new:
            log.error("%s is left out: %s Fix: %s", path.name, refusal.message, refusal.fix)
        try:
            return serve(archives, [path.name for path in left_out or ()])
        except LoadFailed as error:
            broken = next((archive.path for archive in archives if archive.path.name == error.file), None)
            if left_out is None or broken is None:
                raise
            left_out[broken] = error
