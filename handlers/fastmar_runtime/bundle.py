"""The files of a bundle: an archive, or the folder that TorchServe unpacked it to. Files are read as data only."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from fastmar_contract.members import GRAPH, SPEC, MemberRefused, check_members, check_size, read_member
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.validation import check_depth

__all__ = ["GRAPH", "SPEC", "BundleFiles"]


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
            BundleUnreadable: the bundle does not exist, is not an archive, lacks the file, or has a member that no
                export writes; see `MemberRefused` for the codes.
        """
        try:
            if self.path.is_dir():
                check_size(name, (self.path / name).stat().st_size)
                return (self.path / name).read_bytes()
            with zipfile.ZipFile(self.path) as archive:
                check_members(archive.infolist())
                return read_member(archive, name)
        except MemberRefused as error:
            raise BundleUnreadable(
                f"{self.path} is not an archive of fastmar: {error}.", fix="copy or export it again.", code=error.code
            ) from error
        except FileNotFoundError as error:
            missing = self.path / name if self.path.exists() else self.path
            raise BundleUnreadable(
                f"{missing} does not exist.",
                fix="pass the path of an archive that `fastmar export` wrote, such as model_store/flights.mar.",
                code="bundle_not_found",
            ) from error
        except KeyError as error:
            raise BundleUnreadable(
                f"{self.path} does not contain {name}: fastmar did not write it.",
                fix="export the learner with `fastmar export`.",
                code="member_missing",
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
            # ValueError: an invalid name or number in the zip; NotImplementedError: a compression that this Python does
            # not support; RuntimeError: encrypted.
            raise BundleUnreadable(
                f"{self.path} is damaged or not an archive ({error}).",
                fix="copy or export it again.",
                code="bundle_damaged",
            ) from error

    def contains(self, name: str) -> bool:
        """Whether there is a file `name`.

        Raises:
            BundleUnreadable: see `read`.
        """
        try:
            self.read(name)
        except BundleUnreadable as error:
            if error.code not in ("member_missing", "bundle_not_found") or not self.path.exists():
                raise
            return False
        return True

    def json(self, name: str) -> Any:
        """One file, parsed as JSON."""
        try:
            value = orjson.loads(self.read(name))
        except orjson.JSONDecodeError as error:
            raise BundleUnreadable(
                f"{name} in {self.path} is not valid JSON.", fix="export the learner again."
            ) from error
        check_depth(value, name)
        return value

    def array(self, name: str) -> npt.NDArray[Any]:
        """One file in numpy's format, which must contain numbers."""
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
                raise ValueError("its data does not match its header")
            return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
        except Exception as error:  # numpy parses the header as Python source, which raises many kinds of errors
            raise BundleUnreadable(
                f"{name} in {self.path} is damaged ({error}).", fix="copy or export it again.", code="array_damaged"
            ) from error

    def check(self) -> None:
        """Check the names and sizes of all members without reading them.

        Raises:
            BundleUnreadable: see `read`.
        """
        self.read(SPEC)


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
