"""Archives in the model store: put there, found, and set aside, never over another file."""

from __future__ import annotations

import filecmp
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from fastmar_serving.rollout.errors import StoreRefused
from fastmar_serving.torchserve.archives import Archive, identify

SUFFIX = ".mar"
UNLOADED = "unloaded"  # folder in the store whose archives a server does not load
CHUNK = 1 << 20
# What a file's name may hold: TorchServe lists files with commas, in a properties file that it reads as Latin-1, and
# refuses two dots in a row.
_UNFIT = re.compile(r"[^A-Za-z0-9._+ -]|\.(?=\.|$)|^[.]|\s$|^\s")


def place(archive: Archive, store: Path, show: Callable[[str], None] = lambda _: None) -> tuple[Path, bool]:
    """The archive's file in the store, and whether it was copied there for it.

    Raises:
        StoreRefused: another archive is of that name and version, or the store can't be written to.
    """
    there = find(store, archive.name, archive.version)
    if there is not None and same_file(there, archive.path):
        return there, False
    if there is not None:
        raise StoreRefused(
            f"{there} is {archive.label} too, and not the same archive.",
            fix="export this one with another --version, or move that file out of the model store.",
        )
    target = store / file_name(archive.name, archive.version)
    if target.exists():
        raise StoreRefused(
            f"{target} is there already, and is not {archive.label}.", fix="move that file out of the model store."
        )
    show(f"Copying {archive.path.name} to {store}")
    try:
        _copy(archive.path, target)
    except OSError as error:
        raise StoreRefused(
            f"{archive.path} can't be copied to {target}: {error.strerror or error}.",
            fix="make the model store writable for this user with room for the archive, or copy the archive there "
            "yourself and deploy it from there.",
        ) from error
    return target, True


def find(folder: Path, name: str, version: str) -> Path | None:
    """The file in a folder that holds a version of a model."""
    return next((file for file in sorted(folder.glob(f"*{SUFFIX}")) if identify(file) == (name, version)), None)


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths are one file, or hold the same bytes."""
    return one.samefile(other) or filecmp.cmp(one, other, shallow=False)


def file_name(name: str, version: str) -> str:
    """NAME-VERSION.mar, with what a file's name can't hold replaced, and told apart by a digest then."""
    plain = f"{name}-{version}"
    fit = _UNFIT.sub("_", plain)
    if fit == plain:
        return plain + SUFFIX
    return f"{fit}-{hashlib.sha256(f'{name}/{version}'.encode()).hexdigest()[:8]}{SUFFIX}"


def set_aside(file: Path) -> Path:
    """Move an archive to where no server loads it; the value is where.

    Raises:
        OSError: the store can't be written to, or such a file lies there.
    """
    folder = file.parent / UNLOADED
    folder.mkdir(exist_ok=True)
    return _move(file, folder / file.name)


def find_anywhere(store: Path, name: str, version: str) -> Path | None:
    """The file of a version in the store, be it among those that were set aside."""
    return find(store, name, version) or find(store / UNLOADED, name, version)


def bring_back(store: Path, aside: Path) -> Path:
    """Move an archive that was set aside to where a server loads it; the value is where.

    Raises:
        StoreRefused: it can't be moved.
    """
    try:
        return _move(aside, store / aside.name)
    except OSError as error:
        raise StoreRefused(
            f"{aside} can't be moved to {store}: {error.strerror or error}.",
            fix="make the model store writable for this user, or move the file yourself.",
        ) from error


def _copy(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all, and not over another one."""
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
    """Rename, but not over another file: a link fails where the target is there, a renaming would not."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if target.exists():
            raise FileExistsError(17, "such a file is there already", str(target)) from None
        source.rename(target)
        return target
    source.unlink()
    return target
