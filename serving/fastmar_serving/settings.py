"""Settings of `fastmar serve`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fastmar_contract.machine import usable_cores
from fastmar_contract.profiles import PERIOD

ANY_HOST = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Environment variables that could make a worker import other modules instead of the installed ones.
PYTHON_VARIABLES = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP")


@dataclass(frozen=True)
class Settings:
    """Settings of `fastmar serve`.

    Attributes:
        model_store: folder of archives.
        models: models to serve; empty for all.
        skip_broken: whether to serve the other archives if one can't be served.
        host: address that the inference API listens on.
        port: port of the inference API; 0 picks a free one.
        management: "unix", or a port on loopback.
        metrics_host: address of the metrics, which need no key.
        metrics_port: port of the metrics; 0 picks a free one.
        workers: number of workers of each model; None takes the number in its archive.
        config: properties file whose values override the built-in ones.
        tokens: whether requests need a key; None means yes if the host is not loopback or there is a key file.
        key_file: file with the fixed inference keys; None generates new keys at each start.
        cors_origins: origins whose pages may call the inference API from a browser; `*` for any.
        request_timeout: seconds in which a request must arrive, plus one for each 8 kB of it.
        hang_timeout: seconds after which a worker that neither answers nor computes is replaced; 0 for never.
        drain_timeout: limit for answering requests in flight before the server stops, in seconds.
        ready_timeout: limit for loading all models, in seconds.
        java: Java executable.
        run_dir: folder for the server's files; None makes a temporary one.
        server: HTTP server of the ASGI engine, `uvicorn` or `granian`.
        tls_cert: file with the certificate chain of the inference API; None for HTTP. For the ASGI engine only.
        tls_key: file with its private key.
        profiles: folder of the files with profiles of the records; None writes none.
        profile_period: seconds between two reports of the profiles.
        request_log: folder of the log of requests; None logs none. The next four are as in `LogOptions`.
        request_log_sample: share of the requests that are logged.
        request_log_drop: fields that are left out.
        request_log_hash: fields whose values are hashed.
        request_log_max: maximum size of the files, in MiB.
        log_format: format of the log lines, one of `fastmar_runtime.logs.FORMATS`.
        access_log: whether to log each request.
        state_dir: folder of defaults.json and audit.jsonl, which outlive the server; None takes the model store.
    """

    model_store: Path = Path("model_store")
    models: list[str] = field(default_factory=list)
    skip_broken: bool = False
    host: str = "127.0.0.1"
    port: int = 8080
    management: str = "unix"
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 8082
    workers: int | None = None
    config: Path | None = None
    tokens: bool | None = None
    key_file: Path | None = None
    cors_origins: list[str] = field(default_factory=list)
    request_timeout: float = 20.0
    hang_timeout: float = 8.0
    drain_timeout: float = 30.0
    ready_timeout: float = 120.0
    java: Path | None = None
    run_dir: Path | None = None
    state_dir: Path | None = None
    server: str = "uvicorn"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    profiles: Path | None = None
    profile_period: float = PERIOD
    request_log: Path | None = None
    request_log_sample: float = 1.0
    request_log_drop: list[str] = field(default_factory=list)
    request_log_hash: list[str] = field(default_factory=list)
    request_log_max: int = 1024
    log_format: str = "text"
    access_log: bool = False

    @property
    def needs_tokens(self) -> bool:
        """Whether callers must send a key."""
        default = self.host not in LOOPBACK or self.key_file is not None
        return default if self.tokens is None else self.tokens

    @property
    def needs_management_key(self) -> bool:
        """Whether the management API needs a key: always on a port, on its socket only if callers need keys."""
        return self.needs_tokens or self.management != "unix"


def url_of(host: str, port: int, scheme: str = "http") -> str:
    """The URL of an address; an IPv6 address gets brackets."""
    return f"{scheme}://[{host.strip('[]')}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def reachable_url(address: str) -> str:
    """The URL at which this machine reaches an address; one for all interfaces is reached at 127.0.0.1."""
    parts = urlsplit(address)
    return f"{parts.scheme}://127.0.0.1:{parts.port}" if parts.hostname in ANY_HOST else address


def cores() -> int:
    """Number of processors that this process may use, by its affinity and the container's quota."""
    usable = usable_cores()
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        return max(1, min(usable, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max"
        return usable
