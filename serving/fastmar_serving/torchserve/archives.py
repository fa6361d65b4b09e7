"""The archives of a model store, looked into without running anything of theirs."""

from __future__ import annotations

import json
import logging
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastmar_contract.members import MANIFEST, RECORDS, check_names, read_member
from fastmar_serving.torchserve.defaults import Default, read_defaults
from fastmar_serving.torchserve.errors import ArchiveRefused, StoreEmpty

log = logging.getLogger(__name__)

_LONGEST_NAME = 255  # characters of a name or version: it is a part of a path, and of a file's name
# What reading a file that is no archive, or a damaged one, brings about.
UNREADABLE = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,  # also of a part over its limit
    OverflowError,
    KeyError,
    TypeError,
    AttributeError,
    NotImplementedError,  # a kind of compression
    RuntimeError,  # encrypted
    RecursionError,
)


@dataclass(frozen=True)
class Archive:
    """A model archive that TorchServe can be given.

    Attributes:
        path: the file.
        name: the model's name in URLs.
        version: the model's version in URLs.
        workers: how many workers its model-config.yaml asks for, at least 1.
        sample: one record that the model answers, or None when the archive has no golden records.
    """

    path: Path
    name: str
    version: str
    workers: int
    sample: Any

    @property
    def label(self) -> str:
        """Name and version, for messages."""
        return f"{self.name} {self.version}"


def find_archives(store: Path, names: list[str], state: Path | None = None) -> list[Archive]:
    """The archives to serve, the default version of a model first: TorchServe answers with the one it got first.

    The default is what `defaults.json` in `state` says (None: in the store), else the newest. `names` are models' names
    or files' names; none means all.
    """
    if not store.is_dir():
        raise StoreEmpty(f"there is no folder {store}.", fix="run `fastmar export LEARNER.pkl --name NAME` first.")
    files = sorted(store.glob("*.mar"))
    if not files:
        raise StoreEmpty(f"{store} holds no .mar file.", fix="run `fastmar export LEARNER.pkl --name NAME` first.")
    archives = [read_archive(path) for path in files]
    if names:
        archives = [archive for archive in archives if _goes_by(archive) & set(names)]
        unknown = sorted(set(names) - set().union(*map(_goes_by, archives)))
        if unknown:
            known = ", ".join(sorted({read_archive(path).name for path in files}))
            raise StoreEmpty(f"{store} holds no model {', '.join(unknown)}.", fix=f"name one of: {known}.")
    _refuse_twins(archives)
    return default_first(archives, read_defaults(state or store))


def default_first(archives: list[Archive], defaults: dict[str, Default]) -> list[Archive]:
    """`archives` by name; of one name the default first, then the newest. A default that is gone is passed over."""
    there = {(archive.name, archive.version) for archive in archives}
    chosen = {(name, default.version) for name, default in defaults.items()}
    names = {archive.name for archive in archives}
    for name, version in sorted(chosen - there):
        if name in names:
            log.warning("%s %s was the default and is not here: the newest version takes its place", name, version)
    newest_first = sorted(archives, key=lambda archive: version_key(archive.version), reverse=True)
    return sorted(newest_first, key=lambda archive: (archive.name, (archive.name, archive.version) not in chosen))


def read_archive(path: Path) -> Archive:
    """Check that an archive is whole, and read what the server needs to know of it."""
    if "," in path.name or "=" in path.name:  # they separate models in TorchServe's list of them
        raise ArchiveRefused(f"TorchServe can't load a file named {path.name!r}.", fix="rename it: no comma, no '='.")
    try:
        with zipfile.ZipFile(path) as archive:
            check_names(archive.infolist())
            members = set(archive.namelist())
            if MANIFEST not in members:
                raise _broken(path, f"it has no {MANIFEST}")
            model = json.loads(read_member(archive, MANIFEST))["model"]
            name, version = _name_and_version(model)
            if not _can_be_asked(name, version):
                raise _broken(path, f"no URL can name its model {name!r:.80}, version {version!r:.80}")
            config = _config(archive, model.get("configFile"))
            golden = json.loads(read_member(archive, RECORDS)) if RECORDS in members else []
            damaged = archive.testzip()
            if damaged:
                raise _broken(path, f"the part {damaged} is damaged")
            return Archive(
                path=path,
                name=name,
                version=version,
                workers=max(1, int(config.get("minWorkers") or 1)),
                sample=golden[0] if golden else None,
            )
    except UNREADABLE as error:
        raise _broken(path, f"{type(error).__name__}: {error}") from error


def identify(path: Path) -> tuple[str, str] | None:
    """Name and version of an archive, without checking the rest of it; None where it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _name_and_version(json.loads(read_member(archive, MANIFEST))["model"])
    except UNREADABLE:
        return None


def reads_bodies(archive: zipfile.ZipFile) -> bool:
    """Whether a model reads bodies of every type itself: `fastmar: {raw_bodies: true}` in its model-config.yaml."""
    config = _config(archive, json.loads(read_member(archive, MANIFEST))["model"].get("configFile"))
    ours = config.get("fastmar")
    return isinstance(ours, dict) and ours.get("raw_bodies") is True


def _name_and_version(model: dict[str, Any]) -> tuple[str, str]:
    return str(model["modelName"]), str(model.get("modelVersion") or "1.0")


def _can_be_asked(name: str, version: str) -> bool:
    """Whether TorchServe's paths can name a version: a slash ends a part of one, and `all` stands for all versions."""
    if max(len(name), len(version)) > _LONGEST_NAME:
        return False
    return not {"", ".", ".."} & {name, version} and "/" not in name + version and version != "all"


def _config(archive: zipfile.ZipFile, name: str | None) -> dict[str, Any]:
    if not name:
        return {}
    import yaml  # noqa: PLC0415 - part of what the server needs, not of what the command line needs

    try:
        config = yaml.safe_load(read_member(archive, name))
    except yaml.YAMLError as error:
        raise ValueError(f"{name} is not YAML") from error
    return config if isinstance(config, dict) else {}


def _broken(path: Path, reason: str) -> ArchiveRefused:
    return ArchiveRefused(
        f"{path} can't be served: {reason}.",
        fix="copy or export it again, or move it out of the model store.",
    )


def _refuse_twins(archives: list[Archive]) -> None:
    seen: dict[tuple[str, str], Path] = {}
    for archive in archives:
        twin = seen.setdefault((archive.name, archive.version), archive.path)
        if twin is not archive.path:
            raise ArchiveRefused(
                f"{twin.name} and {archive.path.name} are both {archive.label}.",
                fix="export one of them with another --version, or move one out of the model store.",
            )


def _goes_by(archive: Archive) -> set[str]:
    return {archive.name, archive.path.name, archive.path.stem}


def version_key(version: str) -> list[tuple[int, str]]:
    """Orders 1.10 behind 1.9, and words behind numbers."""
    return [(int(part), "") if part.isdecimal() else (1 << 62, part) for part in version.split(".")]
