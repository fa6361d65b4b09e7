"""Write the folder that Ray Serve runs, in the layout of AWS's Ray Serve image.

config.yaml             Ray Serve's configuration: replicas, archives and their digests
deployment.py           the application that config.yaml names
code/requirements.txt   packages that the runtime needs beside Ray
NAME-VERSION.mar        the archives
fastmar_runtime/ ...    the runtime, so that a node needs no installation of fastmar
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import fastmar_contract
import fastmar_runtime
from fastmar_contract.files import sha256_of
from fastmar_contract.members import check_members, read_member
from fastmar_runtime.engines.ray import NAME
from fastmar_runtime.registry import LIST
from fastmar_serving.archives import Archive, default_first, read_archive, refuse_duplicates
from fastmar_serving.errors import ConfigRefused

CONFIG = "config.yaml"
FORMATS = {".tar.gz": "gztar", ".zip": "zip"}  # of shutil, by the end of the output's name
NOT_IN_RUNTIME = ("rich",)  # dependencies of the command line alone
MAX_ONGOING = 128  # requests that a replica has at once; they are computed in batches

DEPLOYMENT = '''\
"""The application that config.yaml names."""

from fastmar_runtime.engines.ray import deployment


def app(arguments):
    return deployment(__name__, **arguments)
'''


@dataclass(frozen=True)
class Options:
    """Settings in config.yaml.

    Attributes:
        replicas: number of replicas; the minimum, if there is a maximum.
        max_replicas: maximum number of replicas; None for a fixed number.
        target_requests: requests in progress per replica that Ray scales for.
        cpus: CPUs that Ray reserves for a replica.
        host: address of the HTTP server on each node.
        port: its port. On AWS's image Ray has another port, and the image has this one.
    """

    replicas: int = 1
    max_replicas: int | None = None
    target_requests: float = 16
    cpus: float = 1
    host: str = "127.0.0.1"
    port: int = 8080


def package(paths: Sequence[Path], output: Path, options: Options) -> list[Archive]:
    """Write the folder, or a .tar.gz or .zip of it if the output has such a name. Returns the archives.

    In an existing folder, the files are replaced; archives of other versions stay, for replicas that still use them.

    Raises:
        ArchiveRefused: an archive is damaged, or two have the same name and version.
        ConfigRefused: the settings contradict each other, or the output can't be written.
    """
    if options.max_replicas is not None and options.max_replicas < options.replicas:
        raise ConfigRefused(
            f"at most {options.max_replicas} replicas are less than {options.replicas}.",
            fix="set --max-replicas to --replicas or more.",
            code="incomplete_scaling",
        )
    archives = [read_archive(path) for path in paths]
    refuse_duplicates(archives)
    archives = default_first(archives, {})
    suffix = next((suffix for suffix in FORMATS if output.name.endswith(suffix)), None)
    try:
        if suffix is None:
            _write(archives, output, options)
        else:
            with tempfile.TemporaryDirectory() as folder:
                _write(archives, Path(folder), options)
                shutil.make_archive(str(output).removesuffix(suffix), FORMATS[suffix], folder)
    except OSError as error:
        message = f"{output} can't be written: {error}."
        raise ConfigRefused(message, fix="give another --output.", code="output_not_writable") from error
    return archives


def _write(archives: Sequence[Archive], folder: Path, options: Options) -> None:
    (folder / "code").mkdir(parents=True, exist_ok=True)
    digests = {}
    extensions: set[str] = set()
    for package in (fastmar_contract, fastmar_runtime):
        source = Path(next(iter(package.__path__)))
        shutil.copytree(source, folder / source.name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for archive in archives:
        target = folder / f"{archive.name}-{archive.version}.mar"
        if not (target.exists() and target.samefile(archive.path)):
            shutil.copyfile(archive.path, target)
        digests[target.name] = sha256_of(target)
        extensions |= _write_extensions(target, folder)
    if extensions:
        (folder / "fastmar_runtime" / LIST).write_text(json.dumps(sorted(extensions)), "utf-8")
    (folder / "deployment.py").write_text(DEPLOYMENT, "utf-8")
    (folder / "code" / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements()), "utf-8")
    (folder / CONFIG).write_text(yaml.safe_dump(config(digests, options), sort_keys=False), "utf-8")


def _write_extensions(archive: Path, folder: Path) -> set[str]:
    """Write the source of the extensions in an archive; returns their import names."""
    with zipfile.ZipFile(archive) as read:
        check_members(read.infolist())
        member = f"fastmar_runtime/{LIST}"
        extensions = set(json.loads(read_member(read, member))) if member in read.namelist() else set()
        for name in read.namelist():
            if name.partition("/")[0] in extensions:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(read_member(read, name))
    return extensions


def requirements() -> list[str]:
    """What the runtime needs, as requirements with version ranges."""
    needed = importlib.metadata.requires("fastmar") or []
    return sorted(line for line in needed if "extra ==" not in line and not line.startswith(NOT_IN_RUNTIME))


def config(digests: dict[str, str], options: Options) -> dict[str, Any]:
    """Ray Serve's configuration."""
    settings: dict[str, Any] = {"name": NAME}
    if options.max_replicas is None:
        settings["num_replicas"] = options.replicas
    else:
        settings["autoscaling_config"] = {
            "min_replicas": options.replicas,
            "max_replicas": options.max_replicas,
            "target_ongoing_requests": options.target_requests,
        }
    settings |= {"max_ongoing_requests": MAX_ONGOING, "ray_actor_options": {"num_cpus": options.cpus}}
    application = {
        "name": "fastmar",
        "route_prefix": "/",
        "import_path": "deployment:app",
        "args": {"archives": digests},
        "deployments": [settings],
    }
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": options.host, "port": options.port},
        "applications": [application],
    }
