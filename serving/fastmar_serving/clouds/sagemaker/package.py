"""Write model.tar.gz, which SageMaker unpacks to /opt/ml/model. The same archives give the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastmar_contract.files import sha256_of
from fastmar_serving.archives import Archive, read_archive
from fastmar_serving.clouds.sagemaker.errors import RequestRefused

MODE = 0o644  # readable for all users, since the user of the container is unknown


@dataclass(frozen=True)
class Package:
    """A model.tar.gz.

    Attributes:
        path: the file.
        archives: its archives.
        digest: SHA-256 of the names and contents of the archives, independent of the compression.
    """

    path: Path
    archives: list[Archive]
    digest: str

    @property
    def label(self) -> str:
        """Names and versions of the archives."""
        return ", ".join(archive.label for archive in self.archives)


def package(archives: Sequence[Path], output: Path) -> Package:
    """Pack the archives of one model into the root folder of the tar file.

    Raises:
        ArchiveRefused: an archive is damaged.
        RequestRefused: the archives are of several models, have equal versions or file names, or can't be written.
    """
    read = sorted((read_archive(path) for path in archives), key=lambda archive: archive.path.name)
    _check_archives(read)
    digest = hashlib.sha256()
    for archive in read:
        digest.update(f"{archive.path.name}\0{sha256_of(archive.path)}\n".encode())
    try:
        _write(read, output)
    except OSError as error:
        raise RequestRefused(
            f"{output} can't be written: {error}.", fix="give another --output.", code="output_not_writable"
        ) from error
    return Package(output, read, digest.hexdigest())


def _check_archives(archives: list[Archive]) -> None:
    models = sorted({archive.name for archive in archives})
    if len(models) != 1:
        raise RequestRefused(
            f"requests to an endpoint have no model name, and there are {len(models)} models: {', '.join(models)}.",
            fix="deploy each model to a separate endpoint; one endpoint may have several versions of a model.",
            code="several_models",
        )
    for label, names in (("version", [a.version for a in archives]), ("file name", [a.path.name for a in archives])):
        duplicates = sorted({name for name in names if names.count(name) > 1})
        if duplicates:
            message = f"two archives have the {label} {duplicates[0]}."
            raise RequestRefused(message, fix="leave one of them out.", code="duplicate_archive")


def _write(archives: list[Archive], output: Path) -> None:
    """Write the file atomically."""
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
    member.size, member.mode, member.mtime = path.stat().st_size, MODE, 0
    with path.open("rb") as file:
        tar.addfile(member, file)
