"""What whoever runs the web app may say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fastmar_web.errors import WebError
from fastmar_web.limits import OF_A_VISITOR, OF_AN_ADDRESS, Limit

MEGABYTE = 1_000_000
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Settings:
    """What whoever runs the web app may say.

    Attributes:
        url: address of the model server, as this process reaches it.
        public_url: the same as others reach it, for the requests to copy; `url` where empty.
        host, port: address of the web app; port 0 picks a free one.
        key_file: the model server's key: its key_file.json, or a text file that holds the one key.
        allowed_hosts: names under which the web app may be called, beside loopback, IP addresses and `host`.
        folder: where uploaded tables and their answers lie until they are an hour old; None for a temporary one.
        picture_bytes: largest picture; the model server takes 6.5 MB by default.
        form_bytes: largest request with pictures or a form.
        table_bytes: largest CSV file.
        table_patience: seconds without an answered row after which the scoring of a table fails.
        trusted_proxy: address of the reverse proxy whose X-Forwarded-For says where a request comes from; "*" trusts
            every client, "" none.
        visitor: the tables that one visitor, a browser, may have.
        address: the tables that all visitors from one client address may have together.
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
    visitor: Limit = OF_A_VISITOR
    address: Limit = OF_AN_ADDRESS

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the web app."""
        return self.host in LOOPBACK

    @property
    def shown_url(self) -> str:
        """The model server's address as a reader of the page would call it."""
        return (self.public_url or self.url).rstrip("/")


def check_key_file(path: Path | None) -> None:
    """See at the start that the client will find a key in `path`.

    Raises:
        WebError: the file can't be read or is empty.
    """
    if path is None:
        return
    try:
        empty = not path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise WebError(
            f"the key file {path} can't be read: {error}.", fix="give --key-file a readable file."
        ) from error
    if empty:
        raise WebError(f"the key file {path} is empty.", fix="give the file that `fastmar serve` names at its start.")
