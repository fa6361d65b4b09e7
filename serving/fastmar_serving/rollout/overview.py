"""`fastmar models`: the loaded versions of each model on a server."""

from __future__ import annotations

from typing import Any

from fastmar_serving.rollout.server import Server
from fastmar_serving.rollout.versions import Version, versions_of

MEGABYTE = 1_000_000


def all_versions(server: Server) -> list[Version]:
    """All versions of all models, by name, the newest first."""
    return [version for name in sorted(server.management.names()) for version in versions_of(server.management, name)]


def as_dict(version: Version) -> dict[str, Any]:
    """The output of `--json` for one version."""
    return {
        "name": version.name,
        "version": version.version,
        "default": version.is_default,
        "workers": {"ready": version.ready, "asked": version.target_workers},
        "queue": version.queue,
        "batch_size": version.batch_size,
        "loaded_at": version.since.isoformat() if version.since else None,
        "memory": version.memory,
        "file": version.file,
    }


def table(versions: list[Version]) -> Any:
    """A table for the terminal."""
    from rich.table import Table  # noqa: PLC0415 - slow to import
    from rich.text import Text  # noqa: PLC0415

    shown = Table("model", "version", "", "workers", "queue", "batch", "loaded at", "memory")
    for version in versions:
        is_complete = version.ready >= version.target_workers
        workers = Text(f"{version.ready}/{version.target_workers}", style="" if is_complete else "red")
        since = version.since.astimezone().strftime("%Y-%m-%d %H:%M:%S") if version.since else ""
        memory = f"{version.memory / MEGABYTE:,.0f} MB" if version.memory else ""
        shown.add_row(
            Text(version.name),
            Text(version.version),
            "default" if version.is_default else "",
            workers,
            str(version.queue),
            str(version.batch_size),
            since,
            memory,
        )
    return shown
