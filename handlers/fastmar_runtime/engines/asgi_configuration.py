"""The configuration of a worker of the ASGI engine, which the launcher sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fastmar_contract.profiles import PERIOD
from fastmar_runtime import logs
from fastmar_runtime.engines.asgi import MAX_BODY, REQUEST_TIMEOUT, RESPONSE_TIMEOUT


@dataclass(frozen=True)
class Configuration:
    """The configuration of a worker.

    Attributes:
        listener: descriptor of a listening socket.
        archives: `{"path", "name", "version"}` of each archive.
        defaults: default version of each model.
        number: index of the worker; its replacement has the same one.
        keys: see `Application`, also for `origins`, `health`, `predictions`, `max_body` and the timeouts.
        threads: number of threads for the graph of a slow model.
        turns: folder of the files with which workers take turns to compute slow models; None for a single worker.
        slots: number of workers that compute the same slow model at the same time.
        server: `uvicorn` or `granian`.
        tls_cert: file with the certificate chain; None for plain HTTP.
        tls_key: file with its private key.
        profiles: folder of the files with profiles of the records; None for no files.
        profile_period: seconds between two reports of the profiles.
        request_log: arguments of `LogOptions`; None for no log.
        log_format: one of `logs.FORMATS`.
        access_log: whether to log each request.
        check_token: token of check requests; see `fastmar_contract.check_requests`.
    """

    listener: int
    archives: list[dict[str, str]]
    defaults: dict[str, str]
    number: int = 0
    keys: Sequence[str] | None = None
    origins: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    predictions: dict[str, str] = field(default_factory=dict)
    threads: int = 1
    turns: str | None = None
    slots: int = 1
    max_body: int = MAX_BODY
    request_timeout: float = REQUEST_TIMEOUT
    response_timeout: float = RESPONSE_TIMEOUT
    server: str = "uvicorn"
    tls_cert: str | None = None
    tls_key: str | None = None
    profiles: str | None = None
    profile_period: float = PERIOD
    request_log: dict[str, Any] | None = None
    log_format: str = logs.TEXT
    access_log: bool = False
    check_token: str | None = None
