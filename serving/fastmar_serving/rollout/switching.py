"""Which version answers: changed on the server, and remembered in the state folder for its next start."""

from __future__ import annotations

from fastmar_serving.notices import notice
from fastmar_serving.rollout.errors import ManagementFailed
from fastmar_serving.rollout.server import Server
from fastmar_serving.rollout.versions import default_of, versions_of
from fastmar_serving.torchserve.defaults import FILE, Default, read_defaults, write_defaults
from fastmar_serving.torchserve.management import ManagementError


def make_default(server: Server, name: str, version: str) -> None:
    """From now on a version answers; requests under way are answered by the one that they were given to.

    Raises:
        ManagementFailed: the server did not do it.
    """
    try:
        server.management.set_default(name, version)
    except (ManagementError, ManagementFailed) as error:  # it may have been done, and only the answer got lost
        now = default_of(versions_of(server.management, name))
        if now is not None and now.version == version:
            return
        raise ManagementFailed(
            f"{name} {version} did not become the default: {error.message}.", fix="read the server's log and try again."
        ) from error


def remembered(server: Server, name: str) -> Default | None:
    """What is remembered of a model; warns of a file that can't be understood."""
    return read_defaults(server.state, lambda text, *facts: notice(text % facts)).get(name)


def remember(server: Server, name: str, default: Default | None) -> bool:
    """Write down a model's default, or forget it; False where the file can't be written."""
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


def not_remembered(server: Server, name: str, version: str) -> None:
    """Warn of what a file that can't be written means."""
    notice(f"{server.state / FILE} can't be written: at its next start the server may not begin with {name} {version}.")
