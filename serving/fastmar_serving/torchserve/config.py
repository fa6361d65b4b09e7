"""The files that a server is started with, in a private folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
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
from fastmar_serving.torchserve.errors import ConfigRefused, PortTaken

LONGEST_SOCKET_PATH = 100  # the kernel takes 107 bytes, 103 on macOS
LONGEST_RUN_PATH = LONGEST_SOCKET_PATH - len("/tmp/.ts.sock.65535")  # noqa: S108 - TorchServe's own sockets lie there
ANY_HOST = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on
RUN_MARKER = ".fastmar-run"  # in a folder that a server may write to and tidy
SHORTEST_KEY = 16  # characters
# TorchServe would write these headers beside the front's own (--cors-origins).
CORS = ("cors_allowed_origin", "cors_allowed_methods", "cors_allowed_headers")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Settings:
    """What was asked of `fastmar serve`.

    Attributes:
        model_store: folder of the archives.
        models: models to serve; empty for all.
        host: address that the inference API listens on.
        port: its port; 0 picks a free one.
        management: "unix", or a port on loopback.
        metrics_host: address of the metrics, which have no authorisation.
        metrics_port: its port; 0 picks a free one.
        workers: workers for each model, instead of what each archive says.
        config: properties file whose values replace the built-in ones.
        tokens: whether requests need a key; None means: where the host is not loopback, or there is a key file.
        key_file: file with the one key that callers use; None makes new keys at each start.
        cors_origins: origins whose pages may call the inference API from a browser; `*` for any.
        request_timeout: seconds in which a request must arrive, plus one for each 8 kB of it.
        hang_timeout: seconds after which a worker that neither answers nor computes is replaced; 0 for never.
        drain_timeout: seconds that requests under way are given at the end.
        ready_timeout: seconds that loading may take.
        java: Java executable.
        run_dir: folder for the server's files; None makes a temporary one.
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

    @property
    def needs_tokens(self) -> bool:
        """Whether callers must send a key."""
        wanted = self.host not in LOOPBACK or self.key_file is not None
        return wanted if self.tokens is None else self.tokens

    @property
    def needs_management_key(self) -> bool:
        """Whether the management API needs a key: on a port always, on its socket where callers send keys."""
        return self.needs_tokens or self.management != "unix"

    def key(self) -> str | None:
        """The fixed key, None where keys are made at the start.

        Raises:
            ConfigRefused: it can't be read, or is too short to be one.
        """
        if self.key_file is None or not self.needs_tokens:
            return None
        try:
            key = self.key_file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigRefused(
                f"the key file {self.key_file} can't be read: {error}.", fix="give --key-file a readable text file."
            ) from error
        if len(key) < SHORTEST_KEY or not key.isprintable() or " " in key:
            raise ConfigRefused(
                f"the key file {self.key_file} holds no key.",
                fix=f"write {SHORTEST_KEY} or more characters into it, without spaces (`openssl rand -hex 32`).",
            )
        return key


@dataclass(frozen=True)
class RunDirectory:
    """The folder of one running server, for its user's eyes only."""

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
        """Metrics that are known by name."""
        return self.path / "metrics.yaml"

    @property
    def temporary(self) -> Path:
        """Java's temporary folder: unpacked archives, sockets of the workers."""
        return self.path / "tmp"

    @property
    def management_socket(self) -> Path:
        """Socket of the management API."""
        return self.path / "management.sock"

    @property
    def key_file(self) -> Path:
        """Keys that were made at the start."""
        return self.path / "key_file.json"

    @property
    def ready_file(self) -> Path:
        """Exists while the default version of every model can answer."""
        return self.path / "ready"

    @property
    def front_socket(self) -> Path:
        """Socket at which the front connects to the launcher."""
        return self.path / "front.sock"


@contextmanager
def run_directory(asked: Path | None) -> Iterator[RunDirectory]:
    """Make the folder, mode 0700; a temporary one is removed in the end, one that was asked for is tidied.

    Raises:
        ConfigRefused: the folder can't be used, or another server runs in it.
    """
    if asked is None:
        roomy = len(tempfile.gettempdir()) + len("/fastmar-12345678") <= LONGEST_RUN_PATH
        path = Path(tempfile.mkdtemp(prefix="fastmar-", dir=None if roomy else "/tmp"))  # noqa: S108 - mkdtemp is safe
    else:
        path = _private_folder(asked.resolve())
    run = RunDirectory(path)
    with _only_server(path):
        try:
            _tidy(run)
            run.temporary.mkdir()
            yield run
        finally:
            _tidy(run)
            if asked is None:
                shutil.rmtree(path, ignore_errors=True)


def render(settings: Settings, run: RunDirectory, archives: list[Archive]) -> dict[str, str]:
    """TorchServe's properties: the built-in ones, then those of --config, then what the command line says."""
    properties = read_properties(resources.files(__package__).joinpath("config.properties").read_text("utf-8"))
    if settings.config is not None:
        try:
            properties |= read_properties(settings.config.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigRefused(
                f"{settings.config} can't be read: {error}.", fix="give --config a text file."
            ) from error
    for host in (settings.host, settings.metrics_host):
        if ":" in host:
            raise ConfigRefused(f"TorchServe can't listen on {host}.", fix="give an IPv4 address or a host's name.")
    metrics_port = settings.metrics_port or free_port(settings.metrics_host)
    properties |= {
        "inference_address": f"http://{settings.host}:{settings.port or free_port(settings.host)}",
        "management_address": _management_address(settings, run),
        "metrics_address": f"http://{settings.metrics_host}:{metrics_port}",
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
    """`name=value` lines; a line that begins with # is a comment."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def write_properties(properties: dict[str, str], path: Path) -> None:
    """Write them as Java reads them: a backslash begins an escape, and letters outside of ASCII are escapes."""
    lines = [f"{name}={value.replace(chr(92), chr(92) * 2)}" for name, value in properties.items()]
    path.write_text("".join(f"{_in_ascii(line)}\n" for line in lines), encoding="ascii")


def _in_ascii(text: str) -> str:
    """`text` with an escape of Java for each unit of UTF-16 outside of ASCII: Java reads properties as Latin-1."""
    data = text.encode("utf-16-be", "surrogatepass")
    units = (int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2))
    return "".join(chr(unit) if unit < 128 else f"\\u{unit:04x}" for unit in units)


def check_ports(properties: dict[str, str]) -> None:
    """Refuse ports that are taken before anything is started. The launcher listens on the inference API's itself."""
    options = {"metrics_address": "--metrics-port", "management_address": "--management"}
    for name, option in options.items():
        address = properties[name]
        if address.startswith("unix:"):
            continue
        host, _, port = address.partition("://")[2].rpartition(":")
        try:
            _bind(host, int(port)).close()
        except OSError as error:
            raise PortTaken(
                f"can't listen on {host}:{port}: {error.strerror or error}.",
                fix=f"stop what listens there, or give another {option} (0 picks a free one).",
            ) from error


def free_port(host: str) -> int:
    """A port that nobody listens on at the moment."""
    try:
        with _bind(host, 0) as probe:
            port: int = probe.getsockname()[1]
            return port
    except OSError as error:
        raise ConfigRefused(
            f"can't listen on {host}: {error}.", fix="give --host an address of this machine."
        ) from error


def reachable(address: str) -> str:
    """A URL for this machine: an address that means every interface is no address to call."""
    parts = urlsplit(address)
    return f"{parts.scheme}://127.0.0.1:{parts.port}" if parts.hostname in ANY_HOST else address


def cores() -> int:
    """Processors that this process may use: its affinity, and the container's quota where there is one."""
    usable = usable_cores()
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        return max(1, min(usable, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max"
        return usable


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    probe = socket.socket(family, socket.SOCK_STREAM)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host.strip("[]"), port))
    except OSError:
        probe.close()
        raise
    return probe


def _management_address(settings: Settings, run: RunDirectory) -> str:
    if settings.management == "unix":
        return f"unix:{run.management_socket}"
    if settings.management.isdecimal():
        return f"http://127.0.0.1:{int(settings.management) or free_port('127.0.0.1')}"
    raise ConfigRefused(
        f"--management {settings.management!r} is neither `unix` nor a port.",
        fix="give `unix` for a socket in the run directory, or a port on loopback.",
    )


def _private_folder(path: Path) -> Path:
    if len(str(path)) > LONGEST_RUN_PATH:
        raise ConfigRefused(
            f"{path} is too long a path for the sockets in it.",
            fix=f"give --run-dir of at most {LONGEST_RUN_PATH} bytes.",
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
        marker = path / RUN_MARKER
        if not marker.exists() and any(path.iterdir()):
            raise ConfigRefused(
                f"{path} holds files that are not a server's.", fix="give --run-dir an empty folder, or a new one."
            )
        marker.touch()
        if not hasattr(os, "getuid") or path.stat().st_uid == os.getuid():
            path.chmod(stat.S_IRWXU)  # a volume may belong to the one who mounted it
    except OSError as error:
        raise ConfigRefused(f"{path} can't be the run directory: {error}.", fix="give another --run-dir.") from error
    return path


@contextmanager
def _only_server(path: Path) -> Iterator[None]:
    """Keep other servers out of a run directory as long as this lasts, where the system can.

    The lock is the launcher's alone: Java and the workers don't inherit the file, so it ends with the launcher.
    """
    with (path / RUN_MARKER).open("a") as marker:
        if not acquire(marker):
            raise ConfigRefused(f"a server runs in {path}.", fix="stop it, or give another --run-dir.")
        yield


def _tidy(run: RunDirectory) -> None:
    """Remove what must not outlive a server: unpacked archives, sockets, keys, marks."""
    shutil.rmtree(run.temporary, ignore_errors=True)
    for file in (run.management_socket, run.front_socket, run.key_file, run.ready_file):
        file.unlink(missing_ok=True)
