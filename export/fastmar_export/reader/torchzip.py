"""The zip file that `torch.save` has written since torch 1.6, opened with mistrust.

Inside one folder stand `data.pkl` (the pickle), `data/<key>` (one raw storage each) and small text files. torch stores
everything uncompressed, so that a byte of the file is a byte of one entry: whatever else a zip may do is refused.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import BinaryIO, Self

import torch

from fastmar_contract.members import MANIFEST

from ..errors import HostileFile, TruncatedFile, UnreadableFile
from .limits import Limits, too_much

FIX_DAMAGED = "copy or download the file again and compare its size with the original's; else export the learner again."
_FIX_HOSTILE = "don't load this file anywhere; ask whoever made it for one written by learn.export()."
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_ENCRYPTED = 0x1
_TEXT_BYTES = 1_000


class TorchZip:
    """The entries of a torch zip file, by their names within its folder.

    Attributes:
        folder: name of the folder that holds everything (``archive`` or the file's stem).
        size: bytes of the whole file.
    """

    def __init__(self, file: BinaryIO, size: int, limits: Limits) -> None:
        self._file = file
        self.size = size
        try:
            # Python's zipfile reads the directory only; entries are read here, so that their bounds are ours.
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OSError, struct.error) as problem:
            raise TruncatedFile(f"the zip's directory can't be read: {problem}.", fix=FIX_DAMAGED) from problem
        if len(entries) > limits.entries:
            raise too_much("the files in the zip", "entries", limits.entries)
        self.names = [entry.filename for entry in entries]
        self.folder = next((name.removesuffix("data.pkl") for name in self.names if name.endswith("/data.pkl")), "")
        self._entries = {entry.filename.removeprefix(self.folder): entry for entry in entries}

    def locate(self) -> Self:
        """Find where each entry's bytes stand; raise where the entries aren't plainly one after another.

        Whatever torch and this reader could take for two different pickles is refused: then the audit would tell of
        another than torch would load.
        """
        if not all(name.startswith(self.folder) for name in self.names):
            raise HostileFile(f"the zip has files outside of its folder {self.folder!r:.80}.", fix=_FIX_HOSTILE)
        if len({name.lower() for name in self.names}) != len(self.names):  # torch's lookup ignores case
            raise HostileFile("two files in the zip have the same name.", fix=_FIX_HOSTILE)
        if min(entry.header_offset for entry in self._entries.values()) != 0:
            raise HostileFile("the zip does not begin at the beginning of the file.", fix=_FIX_HOSTILE)
        self._starts: dict[str, int] = {}
        end = 0
        for name, entry in sorted(self._entries.items(), key=lambda item: item[1].header_offset):
            if entry.compress_type != zipfile.ZIP_STORED:
                raise HostileFile(
                    f"{entry.filename!r:.80} is compressed; torch.save stores everything uncompressed.",
                    fix="take the file that learn.export() wrote, not a repacked one.",
                )
            if entry.flag_bits & _ENCRYPTED or entry.file_size != entry.compress_size:
                raise HostileFile(f"{entry.filename!r:.80} has two sizes, or is encrypted.", fix=_FIX_HOSTILE)
            if entry.header_offset < end:
                raise HostileFile(f"{entry.filename!r:.80} overlaps another entry of the zip.", fix=_FIX_HOSTILE)
            self._file.seek(entry.header_offset)
            header = self._file.read(_LOCAL_HEADER.size)
            if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\3\4"):
                raise TruncatedFile(f"{entry.filename!r:.80} is not where the zip's directory says.", fix=FIX_DAMAGED)
            _magic, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
            start = entry.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
            end = start + entry.file_size
            if end > self.size:
                raise TruncatedFile(f"{entry.filename!r:.80} reaches beyond the end of the file.", fix=FIX_DAMAGED)
            self._starts[name] = start
        self.byteorder = self.text("byteorder") or "little"
        return self

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def nbytes(self, name: str) -> int:
        """Size of an entry."""
        return self._entries[name].file_size

    def text(self, name: str) -> str:
        """A small text entry without white space around it; empty where the file has none."""
        if name not in self._entries or self.nbytes(name) > _TEXT_BYTES:
            return ""
        return self.read(name).decode("utf-8", "replace").strip()

    def read(self, name: str) -> bytes:
        """The bytes of an entry, their checksum compared."""
        return self.load(name).numpy().tobytes()

    def load(self, name: str) -> torch.Tensor:
        """The bytes of an entry as a new uint8 tensor (aligned as torch wants it), their checksum compared."""
        data = torch.empty(self.nbytes(name), dtype=torch.uint8)
        buffer = memoryview(data.numpy().data)
        self._file.seek(self._starts[name])
        # Readers may deliver less than was asked for: the checksum tells.
        self._file.readinto(buffer)  # type: ignore[attr-defined]
        if zlib.crc32(buffer) != self._entries[name].CRC:
            raise TruncatedFile(f"the checksum of {name!r:.80} is wrong: the file is damaged.", fix=FIX_DAMAGED)
        return data


def open_torch_zip(file: BinaryIO, size: int, limits: Limits) -> TorchZip:
    """The torch zip in `file`; raise with what it is instead where it's another kind of zip."""
    archive = TorchZip(file, size, limits)
    names = set(archive.names)
    if MANIFEST in names:
        raise UnreadableFile(
            "this is a TorchServe model archive, not a learner.",
            fix="give the learner.pkl that the archive was made from; `fastmar inspect` shows what is in an archive.",
        )
    if archive.folder and f"{archive.folder}constants.pkl" in names:
        raise UnreadableFile(
            "this is a TorchScript file: a network without its transforms and vocabularies.",
            fix="in the notebook where the learner is, call learn.export('learner.pkl') and give that file.",
        )
    if not archive.folder:
        raise UnreadableFile(
            f"this zip holds {', '.join(archive.names[:3])!r:.200} and no data.pkl: torch.save did not write it.",
            fix="give the file that learn.export() wrote; if it was zipped for mailing, unpack it first.",
        )
    return archive.locate()
