"""The addresses that the server listens on: free ports, and the errors of addresses on which it can't listen."""

from __future__ import annotations

import errno
import secrets
import socket
from collections.abc import Mapping

from fastmar_serving.errors import ConfigRefused, PortTaken, ServeError

# TorchServe's properties.
INFERENCE, METRICS, MANAGEMENT = "inference_address", "metrics_address", "management_address"
_PORT_OPTIONS = {INFERENCE: "--port", METRICS: "--metrics-port", MANAGEMENT: "--management"}
_HOST_OPTIONS = {INFERENCE: "--host", METRICS: "--metrics-host"}  # management is always on loopback

_PORTS = range(20_000, 32_768)
"""Candidates for free ports. Higher ones are given to outgoing connections, and so may be taken before the server
listens."""
_ATTEMPTS = 100

Failures = Mapping[str, tuple[str, int, OSError]]
"""Host, port and error of each property whose address can't be listened on."""


def check_ports(addresses: Mapping[str, str]) -> None:
    """Refuse addresses on which the server can't listen, by property. Reports all taken ports at once.

    Raises:
        ServeError: see `listen_error`.
    """
    failures = {}
    for name in _PORT_OPTIONS:
        address = addresses.get(name, "unix:")
        if address.startswith("unix:"):
            continue
        host, _, port = address.partition("://")[2].rpartition(":")
        try:
            _bind(host, int(port)).close()
        except OSError as error:
            failures[name] = (host, int(port), error)
    if failures:
        raise listen_error(failures)


def free_port(host: str, name: str = INFERENCE) -> int:
    """A port of `host` on which no process listens at the moment. `name` is the property, for the error.

    Raises:
        ServeError: see `listen_error`.
    """
    left = _ATTEMPTS
    while True:
        port = _PORTS[secrets.randbelow(len(_PORTS))]
        left -= 1
        try:
            _bind(host, port).close()
        except OSError as error:
            if left and error.errno == errno.EADDRINUSE:
                continue
            raise listen_error({name: (host, 0, error)}) from error
        return port


def listen_error(failures: Failures) -> ServeError:
    """The error of addresses on which the server can't listen: `PortTaken`, or `ConfigRefused` for an invalid one."""
    for name, (host, _, error) in failures.items():
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            return ConfigRefused(
                f"{host} is not an address of this machine: {error.strerror or error}.",
                fix=f"give {_HOST_OPTIONS.get(name, '--host')} an address of this machine, such as 127.0.0.1, or "
                "0.0.0.0 for all of them.",
                code="invalid_host",
            )
    for name, (host, port, error) in failures.items():
        if error.errno == errno.EACCES:
            return ConfigRefused(
                f"this user may not listen on {host}:{port}: {error.strerror or error}.",
                fix=f"give {_PORT_OPTIONS[name]} a port of 1024 or more.",
                code="port_not_permitted",
            )
    taken = ", ".join(f"{host}:{port} ({error.strerror or error})" for host, port, error in failures.values())
    options = " ".join(f"{_PORT_OPTIONS[name]} 0" for name in failures)
    return PortTaken(
        f"can't listen on {taken}.",
        fix=f"stop the process that listens there, or give `{options}`, where 0 picks a free port.",
    )


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    probe = socket.socket(family, socket.SOCK_STREAM)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host.strip("[]"), port))
    except UnicodeError as error:  # such as two dots in a row
        probe.close()
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from error
    except OSError:
        probe.close()
        raise
    return probe
