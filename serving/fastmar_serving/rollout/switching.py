"""Change the default version on a running server, and save it in the state directory for the next start."""

from __future__ import annotations

from fastmar_serving.defaults import FILE, Default, read_defaults, write_defaults
from fastmar_serving.management import ManagementError
from fastmar_serving.notices import notice
from fastmar_serving.rollout.errors import ManagementFailed
from fastmar_serving.rollout.server import Server
from fastmar_serving.rollout.versions import default_of, versions_of


def make_default(server: Server, name: str, version: str) -> None:
    """Make a version the default on the server. Requests in flight stay with their version.

    Raises:
        ManagementFailed: the server refused or did not answer.
    """
    try:
        server.management.set_default(name, version)
    except (ManagementError, ManagementFailed) as error:  # the switch may be done, and only the response lost
        now = default_of(versions_of(server.management, name))
        if now is not None and now.version == version:
            return
        raise ManagementFailed(
            f"{name} {version} did not become the default: {error.message}.", fix="read the server's log and try again."
        ) from error


def read_default(server: Server, name: str) -> Default | None:
    """The saved default of a model; logs a warning if the file is damaged."""
    return read_defaults(server.state, lambda text, *facts: notice(text % facts)).get(name)


def save_default(server: Server, name: str, default: Default | None) -> bool:
    """Save a model's default, or remove it (None); returns False if the file can't be written."""
    defaults = read_defaults(server.state, lambda *_: None)
    if defaults.get(name) == default:
        return True
    defaults.pop(name, None)
    if default is not None:
        defaults[name] = default
    try:
        write_defaults(server.state, defaults)
    except OSError:
        return False
    return True


def warn_not_saved(server: Server, name: str, version: str) -> None:
    """Warn that the next start may use another default."""
    notice(f"can't write {server.state / FILE}: the next start of the server may not use {name} {version}.")
