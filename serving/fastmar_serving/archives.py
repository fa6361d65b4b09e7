"""Find and check the archives of a model store, without running their code."""

from __future__ import annotations

import json
import logging
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastmar_contract.errors import FastmarError
from fastmar_contract.members import MANIFEST, RECORDS, SCHEMA, check_names, read_member
from fastmar_serving.defaults import Default, read_defaults
from fastmar_serving.errors import ArchiveRefused, StoreEmpty
from fastmar_serving.storage import permission_fix

log = logging.getLogger(__name__)

_MAX_NAME = 255  # characters of a name or version, which are parts of paths and file names
# Exceptions on reading a damaged archive, or a file that is not an archive.
UNREADABLE = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,  # including a member over its size limit
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
    """A model archive that TorchServe can load.

    Attributes:
        path: the file.
        name: name of the model in URLs.
        version: version of the model in URLs.
        workers: number of workers in its model-config.yaml, at least 1.
        sample: the example in the schema, else the first golden record; None if the archive has neither.
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


LeftOut = dict[Path, FastmarError]  # archives that are not served, in the order of their discovery, and the reasons


def find_archives(
    store: Path, names: list[str], state: Path | None = None, left_out: LeftOut | None = None
) -> list[Archive]:
    """The archives to serve, for each model the default version first, since TorchServe makes the first the default.

    The default is the version in `defaults.json` in `state` (None: in the store), else the newest. `names` are names
    of models or files; an empty list means all. The archives in `left_out` are left out, and broken ones are added to
    it; with None, a broken archive is an error. If all are broken, the first error is raised.
    """
    fix = "run `fastmar export LEARNER.pkl --name NAME` first."
    if not store.is_dir():
        raise StoreEmpty(f"the folder {store} does not exist.", fix=fix)
    files = sorted(store.glob("*.mar"))
    if not files:
        raise StoreEmpty(f"{store} has no .mar file.", fix=fix)
    archives = [archive for path in files if (archive := _read_unless_left_out(path, left_out))]
    if names:
        known_names = {archive.name for archive in archives}
        archives = [archive for archive in archives if _names_of(archive) & set(names)]
        unknown = sorted(set(names) - set().union(*map(_names_of, archives), *map(_file_names, left_out or ())))
        if unknown:
            known = ", ".join(sorted(known_names))
            message = f"{store} has no model {', '.join(unknown)}."
            raise StoreEmpty(message, fix=f"name one of: {known}.", code="model_not_in_store")
    refuse_duplicates(archives)
    defaults = read_defaults(state or store)
    if left_out:
        archives = _without_broken_defaults(archives, defaults, left_out)
        if not archives:
            raise next(iter(left_out.values()))
    return default_first(archives, defaults)


def default_first(archives: list[Archive], defaults: dict[str, Default]) -> list[Archive]:
    """`archives` by name; for each name the default first, then the newest. Ignores a default without an archive."""
    existing = {(archive.name, archive.version) for archive in archives}
    chosen = {(name, default.version) for name, default in defaults.items()}
    names = {archive.name for archive in archives}
    for name, version in sorted(chosen - existing):
        if name in names:
            log.warning("the default %s %s has no archive: the newest version becomes the default", name, version)
    newest_first = sorted(archives, key=lambda archive: version_key(archive.version), reverse=True)
    return sorted(newest_first, key=lambda archive: (archive.name, (archive.name, archive.version) not in chosen))


def read_archive(path: Path) -> Archive:
    """Check that an archive is complete and undamaged, and read its manifest and configuration."""
    if not path.is_file():
        raise ArchiveRefused(f"{path} does not exist.", fix="check the path.", code="archive_not_found")
    if "," in path.name or "=" in path.name:  # separators in TorchServe's list of models
        raise ArchiveRefused(
            f"TorchServe can't load a file named {path.name!r}.",
            fix="rename it: no comma, no '='.",
            code="invalid_file_name",
        )
    try:
        with zipfile.ZipFile(path) as archive:
            check_names(archive.infolist())
            members = set(archive.namelist())
            if MANIFEST not in members:
                raise _broken(path, f"it has no {MANIFEST}")
            model = json.loads(read_member(archive, MANIFEST))["model"]
            name, version = _name_and_version(model)
            if not _is_valid_in_urls(name, version):
                reason = f"the name {name!r:.80} or the version {version!r:.80} is not possible in a URL"
                raise _broken(path, reason, "invalid_model_name")
            config = _config(archive, model.get("configFile"))
            sample = _sample(archive, members)
            damaged = archive.testzip()
            if damaged:
                raise _broken(path, f"its member {damaged} is damaged")
            return Archive(
                path=path,
                name=name,
                version=version,
                workers=max(1, int(config.get("minWorkers") or 1)),
                sample=sample,
            )
    except PermissionError as error:
        raise ArchiveRefused(
            f"{path} can't be read: {error.strerror}.", fix=permission_fix(path), code="archive_unreadable"
        ) from error
    except UNREADABLE as error:
        raise _broken(path, f"{type(error).__name__}: {error}") from error


def _sample(archive: zipfile.ZipFile, members: set[str]) -> Any:
    """The record of a sample request; forms start with it, too."""
    if SCHEMA in members:
        schema = json.loads(read_member(archive, SCHEMA))
        record = schema.get("record") if isinstance(schema, dict) else None
        examples = record.get("examples") if isinstance(record, dict) else None
        if isinstance(examples, list) and examples:
            return examples[0]
    golden = json.loads(read_member(archive, RECORDS)) if RECORDS in members else []
    return golden[0] if golden else None


def identify(path: Path) -> tuple[str, str] | None:
    """Name and version of an archive, without checking the rest of it; None if the file is not an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _name_and_version(json.loads(read_member(archive, MANIFEST))["model"])
    except UNREADABLE:
        return None


def reads_bodies(archive: zipfile.ZipFile) -> bool:
    """Whether the handler parses request bodies itself: `fastmar: {raw_bodies: true}` in model-config.yaml."""
    config = _config(archive, json.loads(read_member(archive, MANIFEST))["model"].get("configFile"))
    section = config.get("fastmar")
    return isinstance(section, dict) and section.get("raw_bodies") is True


def _name_and_version(model: dict[str, Any]) -> tuple[str, str]:
    return str(model["modelName"]), str(model.get("modelVersion") or "1.0")


def _is_valid_in_urls(name: str, version: str) -> bool:
    """Whether TorchServe's URLs can name a version: a slash separates parts, and `all` means all versions."""
    if max(len(name), len(version)) > _MAX_NAME:
        return False
    return not {"", ".", ".."} & {name, version} and "/" not in name + version and version != "all"


def _config(archive: zipfile.ZipFile, name: str | None) -> dict[str, Any]:
    if not name:
        return {}
    import yaml  # noqa: PLC0415 - a dependency of the server, not of the command line

    try:
        config = yaml.safe_load(read_member(archive, name))
    except yaml.YAMLError as error:
        raise ValueError(f"{name} is not YAML") from error
    return config if isinstance(config, dict) else {}


def _broken(path: Path, reason: str, code: str | None = None) -> ArchiveRefused:
    return ArchiveRefused(
        f"{path} can't be served: {reason}.",
        fix="copy or export it again.",
        code=code,
    )


def _read_stored(path: Path) -> Archive:
    """`read_archive` of a file in the model store, where a broken archive prevents the start."""
    try:
        return read_archive(path)
    except ArchiveRefused as error:
        error.fix = f"{error.fix.removesuffix('.')}, or move it out of the model store."
        raise


def _read_unless_left_out(path: Path, left_out: LeftOut | None) -> Archive | None:
    """The archive; None if it is left out. A broken one is added to `left_out`."""
    if left_out is None:
        return _read_stored(path)
    if path in left_out:
        return None
    try:
        return _read_stored(path)
    except ArchiveRefused as error:
        left_out[path] = error
        return None


def _without_broken_defaults(archives: list[Archive], defaults: dict[str, Default], left_out: LeftOut) -> list[Archive]:
    """`archives` without models whose default version, by `defaults`, is left out; they are added to `left_out`.

    Otherwise the newest version would answer in its place, which may be one that was rolled back.
    """
    kept = []
    for archive in archives:
        default = defaults[archive.name].version if archive.name in defaults else None
        broken = next((path for path in left_out if _is_version(path, archive.name, default)), None)
        if broken is None:
            kept.append(archive)
        elif archive.path not in left_out:
            left_out[archive.path] = ArchiveRefused(
                f"{broken.name}, the default version of {archive.name}, can't be served.",
                fix=f"replace it, or make {archive.label} the default in defaults.json.",
                code="default_left_out",
            )
    return kept


def _is_version(path: Path, name: str, version: str | None) -> bool:
    """Whether a file, which may be damaged, is a version by its content or by the name that an export gives it."""
    return version is not None and (path.stem == f"{name}-{version}" or identify(path) == (name, version))


def refuse_duplicates(archives: list[Archive]) -> None:
    """Raise ArchiveRefused if two archives have the same name and version."""
    seen: dict[tuple[str, str], Path] = {}
    for archive in archives:
        first = seen.setdefault((archive.name, archive.version), archive.path)
        if first is not archive.path:
            raise ArchiveRefused(
                f"{first.name} and {archive.path.name} are both {archive.label}.",
                fix="export one of them with another --version, or move one out of the model store.",
                code="duplicate_version",
            )


def _file_names(path: Path) -> set[str]:
    """Names of a file whose content can't be read: a name of its model is that of a file by `fastmar export`."""
    return {path.name, path.stem, path.stem.rpartition("-")[0]}


def _names_of(archive: Archive) -> set[str]:
    return {archive.name, archive.path.name, archive.path.stem}


def version_key(version: str) -> list[tuple[int, str]]:
    """Sort key of a version: numeric parts by value (1.10 after 1.9), other parts after numbers."""
    return [(int(part), "") if part.isdecimal() else (1 << 62, part) for part in version.split(".")]
