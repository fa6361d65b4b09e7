"""Copy archives to the model store, find them, and move them to `unloaded/`. Never overwrites a file."""

from __future__ import annotations

import filecmp
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from fastmar_serving.archives import Archive, identify
from fastmar_serving.rollout.errors import StoreRefused

SUFFIX = ".mar"
UNLOADED = "unloaded"  # folder in the store whose archives a server does not load
CHUNK = 1 << 20
# Not allowed in a file name: TorchServe separates files by commas, in a properties file that it reads as Latin-1, and
# refuses two dots in a row.
_INVALID = re.compile(r"[^A-Za-z0-9._+ -]|\.(?=\.|$)|^[.]|\s$|^\s")


def put_in_store(archive: Archive, store: Path, show: Callable[[str], None] = lambda _: None) -> tuple[Path, bool]:
    """Copy the archive to the store, unless it is there. Returns the file in the store, and whether it was copied.

    Raises:
        StoreRefused: the store has another archive with that name and version, or is not writable.
    """
    existing = find(store, archive.name, archive.version)
    if existing is not None and same_file(existing, archive.path):
        return existing, False
    if existing is not None:
        raise StoreRefused(
            f"{existing} is another archive of {archive.label}.",
            fix="export this one with another --version, or move that file out of the model store.",
            code="other_archive",
        )
    target = store / file_name(archive.name, archive.version)
    if target.exists():
        raise StoreRefused(
            f"{target} exists, and is not {archive.label}.",
            fix="move that file out of the model store.",
            code="file_exists",
        )
    show(f"Copying {archive.path.name} to {store}")
    try:
        _copy(archive.path, target)
    except OSError as error:
        raise StoreRefused(
            f"{archive.path} can't be copied to {target}: {error.strerror or error}.",
            fix="make the model store writable and free disk space, or copy the archive there and deploy it from "
            "there.",
            code="copy_failed",
        ) from error
    return target, True


def find(folder: Path, name: str, version: str) -> Path | None:
    """The archive of a version in a folder, None if there is none."""
    return next((file for file in sorted(folder.glob(f"*{SUFFIX}")) if identify(file) == (name, version)), None)


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths are the same file, or have the same content."""
    return one.samefile(other) or filecmp.cmp(one, other, shallow=False)


def file_name(name: str, version: str) -> str:
    """NAME-VERSION.mar; if characters have to be replaced, a digest keeps the name unique."""
    plain = f"{name}-{version}"
    valid = _INVALID.sub("_", plain)
    if valid == plain:
        return plain + SUFFIX
    return f"{valid}-{hashlib.sha256(f'{name}/{version}'.encode()).hexdigest()[:8]}{SUFFIX}"


def move_to_unloaded(file: Path) -> Path:
    """Move an archive to the folder `unloaded`, which no server loads, and return its new path.

    Raises:
        OSError: the store is not writable, or the folder has a file with that name.
    """
    folder = file.parent / UNLOADED
    folder.mkdir(exist_ok=True)
    return _move(file, folder / file.name)


def find_anywhere(store: Path, name: str, version: str) -> Path | None:
    """The archive of a version in the store or in its folder `unloaded`."""
    return find(store, name, version) or find(store / UNLOADED, name, version)


def restore_unloaded(store: Path, file: Path) -> Path:
    """Move an archive from the folder `unloaded` back to the store, and return its new path.

    Raises:
        StoreRefused: it can't be moved.
    """
    try:
        return _move(file, store / file.name)
    except OSError as error:
        raise StoreRefused(
            f"{file} can't be moved to {store}: {error.strerror or error}.",
            fix="make the model store writable for this user, or move the file yourself.",
            code="move_failed",
        ) from error


def _copy(source: Path, target: Path) -> None:
    """Copy a file atomically, without overwriting another one."""
    descriptor, draft_name = tempfile.mkstemp(prefix=f".{target.stem[:64]}-", suffix=".partial", dir=target.parent)
    draft = Path(draft_name)
    try:
        with source.open("rb") as read, open(descriptor, "wb") as written:  # noqa: PTH123 - a descriptor
            shutil.copyfileobj(read, written, CHUNK)
            written.flush()
            os.fsync(written.fileno())
        draft.chmod(0o644)
        _move(draft, target)
    finally:
        draft.unlink(missing_ok=True)


def _move(source: Path, target: Path) -> Path:
    """Rename without overwriting: a hard link fails if the target exists, a rename would replace it."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if target.exists():
            raise FileExistsError(17, "File exists", str(target)) from None
        source.rename(target)
        return target
    source.unlink()
    return target
