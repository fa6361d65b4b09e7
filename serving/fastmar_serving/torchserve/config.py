"""Settings of `fastmar serve`, TorchServe's properties, and the run directory with the files of a running server."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from fastmar_contract.locks import acquire
from fastmar_contract.machine import usable_cores
from fastmar_serving.torchserve.archives import Archive
from fastmar_serving.torchserve.errors import ConfigRefused
from fastmar_serving.torchserve.ports import INFERENCE, MANAGEMENT, METRICS, free_port

MAX_SOCKET_PATH = 100  # the kernel takes 107 bytes, 103 on macOS
MAX_RUN_PATH = MAX_SOCKET_PATH - len("/tmp/.ts.sock.65535")  # noqa: S108 - the sockets of TorchServe's workers
ANY_HOST = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on
RUN_MARKER = ".fastmar-run"  # marks a run directory, which a server may write to and clean up
MIN_KEY_LENGTH = 16  # characters
# TorchServe would write these headers beside those of the front, the Java code that receives each request (`front/`).
CORS = ("cors_allowed_origin", "cors_allowed_methods", "cors_allowed_headers")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Settings:
    """Settings of `fastmar serve`.

    Attributes:
        model_store: folder of archives.
        models: models to serve; empty for all.
        host: address that the inference API listens on.
        port: its port; 0 picks a free one.
        management: "unix", or a port on loopback.
        metrics_host: address of the metrics, which need no key.
        metrics_port: its port; 0 picks a free one.
        workers: number of workers of each model; None takes the number in its archive.
        config: properties file whose values override the built-in ones.
        tokens: whether requests need a key; None means yes if the host is not loopback or there is a key file.
        key_file: file with a fixed inference key; None generates new keys at each start.
        cors_origins: origins whose pages may call the inference API from a browser; `*` for any.
        request_timeout: seconds in which a request must arrive, plus one for each 8 kB of it.
        hang_timeout: seconds after which a worker that neither answers nor computes is replaced; 0 for never.
        drain_timeout: limit for answering requests in flight before the server stops, in seconds.
        ready_timeout: limit for loading all models, in seconds.
        java: Java executable.
        run_dir: folder for the server's files; None makes a temporary one.
        server: HTTP server of the ASGI engine, `granian` or `uvicorn`.
        state_dir: folder of defaults.json and audit.jsonl, which outlive the server; None takes the model store.
    """

    model_store: Path = Path("model_store")
    models: list[str] = field(default_factory=list)
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
    server: str = "granian"

    @property
    def needs_tokens(self) -> bool:
        """Whether callers must send a key."""
        default = self.host not in LOOPBACK or self.key_file is not None
        return default if self.tokens is None else self.tokens

    @property
    def needs_management_key(self) -> bool:
        """Whether the management API needs a key: always on a port, on its socket only if callers need keys."""
        return self.needs_tokens or self.management != "unix"

    def key(self) -> str | None:
        """The fixed key, None if keys are generated at the start.

        Raises:
            ConfigRefused: the file can't be read, or has no valid key.
        """
        if self.key_file is None or not self.needs_tokens:
            return None
        try:
            key = self.key_file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigRefused(
                f"the key file {self.key_file} can't be read: {error}.",
                fix="give --key-file a readable text file.",
                code="key_file_unreadable",
            ) from error
        if len(key) < MIN_KEY_LENGTH or not key.isprintable() or " " in key:
            raise ConfigRefused(
                f"the key file {self.key_file} has no valid key.",
                fix=f"write {MIN_KEY_LENGTH} or more characters into it, without spaces (`openssl rand -hex 32`).",
                code="invalid_key",
            )
        return key


@dataclass(frozen=True)
class RunDirectory:
    """The private folder of one running server."""

    path: Path

    @property
    def config(self) -> Path:
        """TorchServe's properties."""
        return self.path / "config.properties"

    @property
    def logging(self) -> Path:
        """log4j's configuration."""
        return self.path / "log4j2.xml"

    @property
    def metrics(self) -> Path:
        """TorchServe's list of metrics."""
        return self.path / "metrics.yaml"

    @property
    def temporary(self) -> Path:
        """Java's temporary folder, with unpacked archives and the sockets of the workers."""
        return self.path / "tmp"

    @property
    def management_socket(self) -> Path:
        """Socket of the management API."""
        return self.path / "management.sock"

    @property
    def key_file(self) -> Path:
        """Generated keys."""
        return self.path / "key_file.json"

    @property
    def ready_file(self) -> Path:
        """File that exists while the default version of every model can answer."""
        return self.path / "ready"

    @property
    def front_socket(self) -> Path:
        """Socket at which the front connects to the launcher."""
        return self.path / "front.sock"


@contextmanager
def run_directory(path: Path | None) -> Iterator[RunDirectory]:
    """Make the run directory with mode 0700. At the end, remove a temporary one (None), or clean up a given one.

    Raises:
        ConfigRefused: the folder is not possible, or another server uses it.
    """
    is_temporary = path is None
    if path is None:
        is_short = len(tempfile.gettempdir()) + len("/fastmar-12345678") <= MAX_RUN_PATH
        folder = None if is_short else "/tmp"  # noqa: S108 - mkdtemp is safe
        path = Path(tempfile.mkdtemp(prefix="fastmar-", dir=folder))
    else:
        path = _private_folder(path.resolve())
    run = RunDirectory(path)
    with _lock(path):
        try:
            _clean_up(run)
            run.temporary.mkdir()
            yield run
        finally:
            _clean_up(run)
            if is_temporary:
                shutil.rmtree(path, ignore_errors=True)


def render(settings: Settings, run: RunDirectory, archives: list[Archive]) -> dict[str, str]:
    """TorchServe's properties: built-in values, overridden by --config, overridden by the command line."""
    properties = read_properties(resources.files(__package__).joinpath("config.properties").read_text("utf-8"))
    if settings.config is not None:
        try:
            properties |= read_properties(settings.config.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigRefused(
                f"{settings.config} can't be read: {error}.", fix="give --config a text file.", code="config_unreadable"
            ) from error
    for host in (settings.host, settings.metrics_host):
        if ":" in host:
            raise ConfigRefused(
                f"TorchServe can't listen on {host}.", fix="give an IPv4 address or a host name.", code="ipv6_address"
            )
    metrics_port = settings.metrics_port or free_port(settings.metrics_host, METRICS)
    properties |= {
        INFERENCE: f"http://{settings.host}:{settings.port or free_port(settings.host)}",
        MANAGEMENT: _management_address(settings, run),
        METRICS: f"http://{settings.metrics_host}:{metrics_port}",
        "model_store": str(settings.model_store.resolve()),
        "load_models": ",".join(archive.path.name for archive in archives),
        "disable_token_authorization": "true",  # the front compares the keys
        "metrics_config": str(run.metrics),
    }
    for name in CORS:
        properties.pop(name, None)
    if settings.workers is not None:
        properties["default_workers_per_model"] = str(settings.workers)
    return properties


def read_properties(text: str) -> dict[str, str]:
    """Parse `name=value` lines; a line that begins with # is a comment."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def write_properties(properties: dict[str, str], path: Path) -> None:
    """Write properties in Java's format, with escaped backslashes and non-ASCII characters."""
    lines = [f"{name}={value.replace(chr(92), chr(92) * 2)}" for name, value in properties.items()]
    path.write_text("".join(f"{_in_ascii(line)}\n" for line in lines), encoding="ascii")


def _in_ascii(text: str) -> str:
    """`text` with a Unicode escape for each non-ASCII unit of UTF-16, since Java reads properties as Latin-1."""
    data = text.encode("utf-16-be", "surrogatepass")
    units = (int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2))
    return "".join(chr(unit) if unit < 128 else f"\\u{unit:04x}" for unit in units)


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


def _management_address(settings: Settings, run: RunDirectory) -> str:
    if settings.management == "unix":
        return f"unix:{run.management_socket}"
    if settings.management.isdecimal():
        return f"http://127.0.0.1:{int(settings.management) or free_port('127.0.0.1')}"
    raise ConfigRefused(
        f"--management {settings.management!r} is neither `unix` nor a port.",
        fix="give `unix` for a socket in the run directory, or a port on loopback.",
        code="invalid_management_address",
    )


def _private_folder(path: Path) -> Path:
    if len(str(path)) > MAX_RUN_PATH:
        raise ConfigRefused(
            f"the path {path} is too long for the sockets in it.",
            fix=f"give a --run-dir of at most {MAX_RUN_PATH} bytes.",
            code="run_dir_too_long",
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
        marker = path / RUN_MARKER
        if not marker.exists() and any(path.iterdir()):
            raise ConfigRefused(
                f"{path} has files that are not of a server.",
                fix="give --run-dir an empty or new folder.",
                code="run_dir_not_empty",
            )
        marker.touch()
        if not hasattr(os, "getuid") or path.stat().st_uid == os.getuid():
            path.chmod(stat.S_IRWXU)  # a mounted volume may belong to another user
    except OSError as error:
        raise ConfigRefused(
            f"{path} can't be the run directory: {error}.", fix="give another --run-dir.", code="run_dir_unusable"
        ) from error
    return path


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Lock a run directory against other servers, on systems with file locks.

    Java and the workers don't inherit the file descriptor, so the lock ends with the launcher.
    """
    with (path / RUN_MARKER).open("a") as marker:
        if not acquire(marker):
            raise ConfigRefused(
                f"another server uses {path}.", fix="stop it, or give another --run-dir.", code="run_dir_in_use"
            )
        yield


def _clean_up(run: RunDirectory) -> None:
    """Remove files that must not outlive a server: unpacked archives, sockets, keys, the ready file."""
    shutil.rmtree(run.temporary, ignore_errors=True)
    for file in (run.management_socket, run.front_socket, run.key_file, run.ready_file):
        file.unlink(missing_ok=True)
