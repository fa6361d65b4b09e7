"""Opens the zip file that `torch.save` writes since torch 1.6, with strict checks.

One folder contains `data.pkl` (the pickle), `data/<key>` (one raw storage each) and small text files. torch stores all
entries uncompressed, so each byte of the file belongs to one entry. Any other structure is refused.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import BinaryIO, Self

import torch

from fastmar_contract.members import MANIFEST

from ..errors import HostileFile, TruncatedFile, UnreadableFile
from .limits import Limits, limit_exceeded

FIX_DAMAGED = "copy or download the file again and compare its size with the original; or export the learner again."
_FIX_HOSTILE = "do not load this file anywhere; ask its author for a file written by learn.export()."
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_ENCRYPTED = 0x1
_TEXT_BYTES = 1_000


class TorchZip:
    """The entries of a torch zip file, by their names in its folder.

    Attributes:
        folder: name of the folder of all entries (``archive`` or the file's stem).
        size: size of the file in bytes.
    """

    def __init__(self, file: BinaryIO, size: int, limits: Limits) -> None:
        self._file = file
        self.size = size
        try:
            # zipfile only reads the directory; this class reads the entries, to check their bounds.
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OSError, struct.error) as problem:
            raise TruncatedFile(
                f"the zip's directory can't be read: {problem}.", fix=FIX_DAMAGED, code="damaged_zip_directory"
            ) from problem
        if len(entries) > limits.entries:
            raise limit_exceeded("the number of files in the zip", f"{limits.entries:,} files")
        self.names = [entry.filename for entry in entries]
        self.folder = next((name.removesuffix("data.pkl") for name in self.names if name.endswith("/data.pkl")), "")
        self._entries = {entry.filename.removeprefix(self.folder): entry for entry in entries}

    def locate(self) -> Self:
        """Find the position of each entry's bytes.

        Any structure in which torch and this reader could read different pickles is refused, because the audit would
        then describe another pickle than torch loads.

        Raises:
            TruncatedFile: the file is damaged.
            HostileFile: the entries do not simply follow one another.
        """
        if not all(name.startswith(self.folder) for name in self.names):
            raise HostileFile(
                f"the zip has files outside its folder {self.folder!r:.80}.",
                fix=_FIX_HOSTILE,
                code="zip_entry_outside_folder",
            )
        if len({name.lower() for name in self.names}) != len(self.names):  # torch's lookup ignores case
            raise HostileFile("two files in the zip have the same name.", fix=_FIX_HOSTILE, code="duplicate_zip_entry")
        if min(entry.header_offset for entry in self._entries.values()) != 0:
            raise HostileFile(
                "the zip does not start at the first byte of the file.", fix=_FIX_HOSTILE, code="zip_with_prefix"
            )
        self._starts: dict[str, int] = {}
        end = 0
        for name, entry in sorted(self._entries.items(), key=lambda item: item[1].header_offset):
            if entry.compress_type != zipfile.ZIP_STORED:
                raise HostileFile(
                    f"{entry.filename!r:.80} is compressed, unlike in files of torch.save.",
                    fix="pass the original file of learn.export(), not a repacked one.",
                    code="compressed_zip_entry",
                )
            if entry.flag_bits & _ENCRYPTED or entry.file_size != entry.compress_size:
                raise HostileFile(
                    f"{entry.filename!r:.80} has two different sizes, or is encrypted.",
                    fix=_FIX_HOSTILE,
                    code="inconsistent_zip_entry",
                )
            if entry.header_offset < end:
                raise HostileFile(
                    f"{entry.filename!r:.80} overlaps another entry of the zip.",
                    fix=_FIX_HOSTILE,
                    code="overlapping_zip_entry",
                )
            self._file.seek(entry.header_offset)
            header = self._file.read(_LOCAL_HEADER.size)
            if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\3\4"):
                raise TruncatedFile(
                    f"{entry.filename!r:.80} is not at its position in the zip's directory.",
                    fix=FIX_DAMAGED,
                    code="misplaced_zip_entry",
                )
            _magic, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
            start = entry.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
            end = start + entry.file_size
            if end > self.size:
                raise TruncatedFile(
                    f"{entry.filename!r:.80} ends after the end of the file.",
                    fix=FIX_DAMAGED,
                    code="truncated_zip_entry",
                )
            self._starts[name] = start
        self.byteorder = self.text("byteorder") or "little"
        return self

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def nbytes(self, name: str) -> int:
        """Size of an entry."""
        return self._entries[name].file_size

    def text(self, name: str) -> str:
        """A small text entry, stripped; empty if the entry is missing."""
        if name not in self._entries or self.nbytes(name) > _TEXT_BYTES:
            return ""
        return self.read(name).decode("utf-8", "replace").strip()

    def read(self, name: str) -> bytes:
        """The bytes of an entry, after checking their checksum."""
        return self.load(name).numpy().tobytes()

    def load(self, name: str) -> torch.Tensor:
        """The bytes of an entry as a new uint8 tensor with torch's alignment, after checking their checksum."""
        data = torch.empty(self.nbytes(name), dtype=torch.uint8)
        buffer = memoryview(data.numpy().data)
        self._file.seek(self._starts[name])
        # A short read is detected by the checksum.
        self._file.readinto(buffer)  # type: ignore[attr-defined]
        if zlib.crc32(buffer) != self._entries[name].CRC:
            raise TruncatedFile(
                f"the checksum of {name!r:.80} is wrong: the file is damaged.", fix=FIX_DAMAGED, code="wrong_checksum"
            )
        return data


def open_torch_zip(file: BinaryIO, size: int, limits: Limits) -> TorchZip:
    """Open the torch zip in `file`.

    Raises:
        UnreadableFile: it is another kind of zip.
    """
    archive = TorchZip(file, size, limits)
    names = set(archive.names)
    if MANIFEST in names:
        raise UnreadableFile(
            "this is a TorchServe model archive, not a learner.",
            fix="pass the learner.pkl from which it was exported; `fastmar inspect` shows the content of an archive.",
            code="model_archive",
        )
    if archive.folder and f"{archive.folder}constants.pkl" in names:
        raise UnreadableFile(
            "this is a TorchScript file: a network without transforms and vocabularies.",
            fix="in the notebook with the learner, call learn.export('learner.pkl'), and pass that file.",
            code="torchscript_file",
        )
    if not archive.folder:
        raise UnreadableFile(
            f"this zip contains {', '.join(archive.names[:3])!r:.200} and no data.pkl: torch.save did not write it.",
            fix="pass the file that learn.export() wrote; if this zip contains it, unpack it first.",
            code="other_zip",
        )
    return archive.locate()
