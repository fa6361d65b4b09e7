"""Errors of `fastmar serve`.

FastmarError
└── ServeError                the server can't start, or can't continue
    ├── JavaMissing               no Java that is recent enough for TorchServe
    ├── TorchServeMissing         TorchServe, or one of its dependencies, is not installed
    ├── ConfigRefused             an invalid properties file, path or address
    ├── PortTaken                 another process listens on the port
    ├── StoreEmpty                the model store has no archive to serve
    ├── ArchiveRefused            an archive that TorchServe can't load
    ├── LoadFailed                a worker could not load its model
    ├── NotReady                  workers are still loading after the timeout
    └── ServerDied                TorchServe's process ended unexpectedly
"""

from __future__ import annotations

from fastmar_contract.errors import FastmarError


class ServeError(FastmarError):
    """The server can't start, or can't continue."""

    code = "serve_error"


class JavaMissing(ServeError):
    """No Java was found that is recent enough."""

    code = "java_missing"


class TorchServeMissing(ServeError):
    """TorchServe, or a package that it imports, is not installed in this Python environment."""

    code = "torchserve_missing"


class ConfigRefused(ServeError):
    """A properties file, a path or an address is not valid."""

    code = "config_refused"


class PortTaken(ServeError):
    """Another process listens on a port that the server needs."""

    code = "port_taken"


class StoreEmpty(ServeError):
    """The model store does not exist, has no archive, or has no archive with a requested name."""

    code = "store_empty"


class ArchiveRefused(ServeError):
    """An archive is damaged, has an invalid name, or is a duplicate of another one."""

    code = "archive_refused"


class LoadFailed(ServeError):
    """A worker could not load its model.

    Attributes:
        file: name of the archive that is the cause; None if another cause is possible, such as a lack of memory.
    """

    code = "load_failed"
    file: str | None = None


class NotReady(ServeError):
    """Not every worker was ready before the timeout."""

    code = "not_ready"


class ServerDied(ServeError):
    """TorchServe's process ended unexpectedly."""

    code = "server_died"
