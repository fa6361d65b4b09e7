"""The files of a bundle: an archive, or the folder that TorchServe unpacked one to. Reads data, runs nothing."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.validation import check_depth

SPEC, GRAPH = "spec.json", "model.onnx"

_MIB = 1 << 20
LIMITS = {
    SPEC: 64 * _MIB,  # vocabularies
    GRAPH: 2048 * _MIB,  # no graph in one file can be larger
    "golden/": 256 * _MIB,
    "MAR-INF/": _MIB,
}
"""Bytes of a part, by its name or folder."""
_OTHERS = 64 * _MIB
_RATIO, _SPARE = 200, _MIB  # deflate makes at most 1,032 bytes of one; weights and JSON are far below 200
_MAX_MEMBERS = 10_000


class BundleFiles:
    """The files of a bundle by name.

    Attributes:
        path: the archive or folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self, name: str) -> bytes:
        """The bytes of one file.

        Raises:
            BundleUnreadable: the bundle is not there, is no archive, has no such file, or has a larger one than any
                export writes.
        """
        try:
            if self.path.is_dir():
                return self._read_file(name)
            with zipfile.ZipFile(self.path) as archive:
                return self._read_member(archive, name)
        except FileNotFoundError as error:
            missing = name if self.path.exists() else str(self.path)
            raise BundleUnreadable(
                f"there is no {missing}.", fix="give the path of an archive that `fastmar export` wrote."
            ) from error
        except KeyError as error:
            raise BundleUnreadable(
                f"{self.path} holds no {name}: fastmar did not write it.",
                fix="export the learner with `fastmar export`.",
            ) from error
        except (
            zipfile.BadZipFile,
            OSError,
            EOFError,
            zlib.error,
            ValueError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            # ValueError: a name or number in the zip that makes no sense; NotImplementedError: a kind of compression
            # that this Python does not know; RuntimeError: encrypted.
            raise BundleUnreadable(
                f"{self.path} is damaged or no archive ({error}).", fix="copy or export it again."
            ) from error

    def json(self, name: str) -> Any:
        """One file, read as JSON."""
        try:
            value = orjson.loads(self.read(name))
        except orjson.JSONDecodeError as error:
            raise BundleUnreadable(f"{name} in {self.path} is no JSON.", fix="export the learner again.") from error
        check_depth(value, name)
        return value

    def array(self, name: str) -> npt.NDArray[Any]:
        """One file of numpy's format, which holds numbers alone."""
        stream = io.BytesIO(self.read(name))
        try:
            version = np.lib.format.read_magic(stream)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, fortran, dtype = read_header(stream)
            data = stream.read()
            if dtype.kind not in "fiub" or len(data) != dtype.itemsize * _count(shape):
                raise ValueError("its header and its data do not belong together")
            return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
        except Exception as error:  # numpy reads the header as Python source, whose parser has many errors
            raise BundleUnreadable(
                f"{name} in {self.path} is damaged ({error}).", fix="copy or export it again."
            ) from error

    def _read_file(self, name: str) -> bytes:
        path = self.path / name
        self._check_size(name, path.stat().st_size)
        return path.read_bytes()

    def _read_member(self, archive: zipfile.ZipFile, name: str) -> bytes:
        self._check_members(archive.infolist())
        member = archive.getinfo(name)
        with archive.open(member) as stream:  # its size in the directory may be a lie: no more than that is unpacked
            data = stream.read(member.file_size + 1)
        if len(data) != member.file_size:
            raise self._refused(f"{name} has another size than the archive says")
        return data

    def _check_members(self, members: list[zipfile.ZipInfo]) -> None:
        if len(members) > _MAX_MEMBERS:
            raise self._refused(f"it has {len(members):,} parts, over the limit of {_MAX_MEMBERS:,}")
        names = set()
        for member in members:
            name = member.filename
            if name in names:
                raise self._refused(f"it holds {name!r:.80} twice")
            if name.startswith("/") or "\\" in name or ".." in name.split("/"):
                raise self._refused(f"its part {name!r:.80} would be unpacked outside of its folder")
            names.add(name)
            self._check_size(name, member.file_size)
            if member.file_size > _SPARE + _RATIO * member.compress_size:
                raise self._refused(f"{name!r:.80} unpacks to more than {_RATIO} times its size")

    def check(self) -> None:
        """Check the names and sizes of all parts without reading them.

        Raises:
            BundleUnreadable: as `read`.
        """
        self.read(SPEC)

    def _check_size(self, name: str, size: int) -> None:
        limit = LIMITS.get(name) or LIMITS.get(f"{name.partition('/')[0]}/", _OTHERS)
        if size > limit:
            raise self._refused(f"{name} has {size:,} bytes, over the limit of {limit:,}")

    def _refused(self, why: str) -> BundleUnreadable:
        return BundleUnreadable(f"{self.path} is no archive of fastmar's: {why}.", fix="copy or export it again.")


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
