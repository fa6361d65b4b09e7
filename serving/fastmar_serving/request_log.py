"""Checks the options of the request log before a server starts."""

from __future__ import annotations

import os
from collections.abc import Sequence

from fastmar_contract.keys import MIN_LENGTH
from fastmar_contract.members import SPEC
from fastmar_contract.request_log import SALT, LogOptions, read_salt
from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.checks import read_spec
from fastmar_serving.archives import Archive
from fastmar_serving.errors import ConfigRefused
from fastmar_serving.settings import Settings


def log_options(settings: Settings, archives: Sequence[Archive]) -> LogOptions | None:
    """What the workers log; None for nothing.

    Raises:
        ConfigRefused: the folder can't be written, no model has a field that is to be hidden, or there is no salt.
    """
    if settings.request_log is None:
        return None
    drop, hashed = settings.request_log_drop, settings.request_log_hash
    fields = _fields(archives) if drop or hashed else {}
    known = {name for names in fields.values() for name in names}
    if unknown := sorted({*drop, *hashed} - known):
        raise ConfigRefused(
            f"no model has the field {', '.join(map(repr, unknown))}, which the request log must hide.",
            fix=f"name fields of the models: {', '.join(sorted(known))}.",
            code="unknown_field",
        )
    if hashed and read_salt(os.environ) is None:
        raise ConfigRefused(
            f"--request-log-hash needs a secret salt in {SALT}.",
            fix=f"set it to {MIN_LENGTH} or more characters, the same on all servers (`openssl rand -hex 32`).",
            code="salt_missing",
        )
    folder = settings.request_log.resolve()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        is_writable = False
    if not is_writable:
        raise ConfigRefused(
            f"the request log can't be written to {folder}.",
            fix="give --request-log a folder that the server's user can write to.",
            code="folder_not_writable",
        )
    hidden = {name: sorted({*drop, *hashed} & names) for name, names in fields.items()}
    max_bytes = settings.request_log_max * 1024 * 1024
    return LogOptions(str(folder), settings.request_log_sample, drop, hashed, max_bytes, hidden)


def _fields(archives: Sequence[Archive]) -> dict[str, set[str]]:
    """The names of the fields of each model, in any of its versions; archives of other tools have none."""
    found: dict[str, set[str]] = {}
    for archive in archives:
        files = BundleFiles(archive.path)
        if files.contains(SPEC):
            found.setdefault(archive.name, set()).update(field.name for field in read_spec(files).fields)
    return found
