"""What can go wrong while a server starts or runs.

FastmarError
└── ServeError                anything that keeps `fastmar serve` from serving
    ├── JavaMissing               no Java that TorchServe runs on
    ├── TorchServeMissing         TorchServe, or a package that it needs, is not installed
    ├── ConfigRefused             the properties file, or a path or an address, can't be used
    ├── PortTaken                 another process listens on a port that was asked for
    ├── StoreEmpty                no archive to serve
    ├── ArchiveRefused            an archive that TorchServe could not load
    ├── LoadFailed                a worker could not load its model
    ├── NotReady                  workers are still loading when the time is over
    └── ServerDied                TorchServe ended by itself
"""

from __future__ import annotations

from fastmar_contract.errors import FastmarError


class ServeError(FastmarError):
    """Something keeps the server from starting or from running on."""

    code = "serve_error"


class JavaMissing(ServeError):
    """No Java was found, or none that is recent enough."""

    code = "java_missing"


class TorchServeMissing(ServeError):
    """TorchServe, or a package that it imports, is not in this Python environment."""

    code = "torchserve_missing"


class ConfigRefused(ServeError):
    """A properties file, a path or an address that was given can't be used."""

    code = "config_refused"


class PortTaken(ServeError):
    """Another process listens on a port that the server needs."""

    code = "port_taken"


class StoreEmpty(ServeError):
    """The model store holds no archive, or none of the names that were asked for."""

    code = "store_empty"


class ArchiveRefused(ServeError):
    """An archive is damaged, or can't stand beside another one."""

    code = "archive_refused"


class LoadFailed(ServeError):
    """A worker gave up on loading its model."""

    code = "load_failed"


class NotReady(ServeError):
    """Not every worker was ready within the time given."""

    code = "not_ready"


class ServerDied(ServeError):
    """TorchServe's process ended without being asked to."""

    code = "server_died"
