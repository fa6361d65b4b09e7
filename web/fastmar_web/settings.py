"""Settings of the web app."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fastmar_contract.keys import keys_in
from fastmar_contract.urls import http_url
from fastmar_web.errors import WebError
from fastmar_web.limits import ADDRESS_LIMIT, VISITOR_LIMIT, Limit

MEGABYTE = 1_000_000
METRICS_PORT = 8082  # of `fastmar serve`, by default
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the web app.

    Attributes:
        url: address of the model server, as this process reaches it.
        public_url: address of the model server in the code examples on the pages; `url` if empty.
        host, port: address of the web app; port 0 picks a free one.
        key_file: the model server's key: its key_file.json, or a text file whose first key is sent.
        allowed_hosts: host names that requests may have, beside loopback, IP addresses and `host`.
        folder: where uploaded tables and their answers are stored, for an hour; None for a temporary folder.
        picture_bytes: largest picture; the model server takes 6.5 MB by default.
        form_bytes: largest request with pictures or a form.
        table_bytes: largest CSV file.
        table_patience: seconds without an answered row after which scoring a table fails.
        trusted_proxy: address of the reverse proxy whose X-Forwarded-For header names the client; "*" trusts every
            client, "" trusts none.
        visitor: limit for the tables of one visitor (one browser).
        address: limit for the tables of all visitors from one client address.
        monitor: folder of the server's archives; each model then has a monitoring page.
        metrics_url: address of the server's metrics; empty for the host of `url` and port 8082.
        request_log: folder of the server's request log, whose unknown categories the monitoring page then names.
    """

    url: str = "http://127.0.0.1:8080"
    public_url: str = ""
    host: str = "127.0.0.1"
    port: int = 8501
    key_file: Path | None = None
    allowed_hosts: frozenset[str] = field(default_factory=frozenset)
    folder: Path | None = None
    picture_bytes: int = 6 * MEGABYTE
    form_bytes: int = 40 * MEGABYTE
    table_bytes: int = 100 * MEGABYTE
    table_patience: float = 60.0
    trusted_proxy: str = ""
    visitor: Limit = VISITOR_LIMIT
    address: Limit = ADDRESS_LIMIT
    monitor: Path | None = None
    metrics_url: str = ""
    request_log: Path | None = None

    @property
    def is_local(self) -> bool:
        """Whether the web app is reachable from this machine only."""
        return self.host in LOOPBACK

    @property
    def metrics(self) -> str:
        """The address of the server's metrics."""
        host = urlsplit(http_url(self.url)).hostname or ""
        url = self.metrics_url or f"http://{f'[{host}]' if ':' in host else host}:{METRICS_PORT}"
        return url if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}/metrics"

    @property
    def shown_url(self) -> str:
        """The model server's address in code examples."""
        return (self.public_url or self.url).rstrip("/")


def check_key_file(path: Path | None) -> None:
    """Check at the start that the client can read a key from `path`.

    Raises:
        WebError: the file can't be read or is empty.
    """
    if path is None:
        return
    try:
        is_empty = not keys_in(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise WebError(
            f"the key file {path} can't be read: {error}.",
            fix="give --key-file a readable file.",
            code="key_file_unreadable",
        ) from error
    if is_empty:
        raise WebError(
            f"the key file {path} is empty.",
            fix="give the key file that `fastmar serve` prints when it starts.",
            code="key_file_empty",
        )
