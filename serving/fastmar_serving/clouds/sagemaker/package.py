"""model.tar.gz: what SageMaker unpacks into /opt/ml/model. The same archives give the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastmar_serving.clouds.sagemaker.errors import RequestRefused
from fastmar_serving.torchserve.archives import Archive, read_archive

READABLE = 0o644  # by any user, whoever unpacks it and whoever serves


@dataclass(frozen=True)
class Package:
    """A model.tar.gz.

    Attributes:
        path: the file.
        archives: what is in it.
        digest: SHA-256 of names and bytes of the archives; it does not depend on how they are compressed here.
    """

    path: Path
    archives: list[Archive]
    digest: str

    @property
    def label(self) -> str:
        """Names and versions of the archives."""
        return ", ".join(archive.label for archive in self.archives)


def package(archives: Sequence[Path], output: Path) -> Package:
    """Pack archives of one model, in the root of the tar.

    Raises:
        ArchiveRefused: one is damaged.
        RequestRefused: they are of several models, or can't lie in one folder.
    """
    read = sorted((read_archive(path) for path in archives), key=lambda archive: archive.path.name)
    _refuse_mixtures(read)
    digest = hashlib.sha256()
    for archive in read:
        digest.update(f"{archive.path.name}\0{_sha256(archive.path)}\n".encode())
    try:
        _write(read, output)
    except OSError as error:
        raise RequestRefused(f"{output} can't be written: {error}.", fix="give another --output.") from error
    return Package(output, read, digest.hexdigest())


def _refuse_mixtures(archives: list[Archive]) -> None:
    models = sorted({archive.name for archive in archives})
    if len(models) != 1:
        raise RequestRefused(
            f"an endpoint is asked without a model's name, and these are {len(models)} models: {', '.join(models)}.",
            fix="give each model an endpoint of its own; several versions of one model may go together.",
        )
    for label, names in (("version", [a.version for a in archives]), ("file name", [a.path.name for a in archives])):
        twins = sorted({name for name in names if names.count(name) > 1})
        if twins:
            raise RequestRefused(f"two archives have the {label} {twins[0]}.", fix="leave one of them out.")


def _write(archives: list[Archive], output: Path) -> None:
    """Whole or not at all."""
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = output.with_name(f"{output.name}.part")
    try:
        with (
            draft.open("wb") as file,
            gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for archive in archives:
                _add(tar, archive.path)
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)


def _add(tar: tarfile.TarFile, path: Path) -> None:
    member = tarfile.TarInfo(path.name)
    member.size, member.mode, member.mtime = path.stat().st_size, READABLE, 0
    with path.open("rb") as file:
        tar.addfile(member, file)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
