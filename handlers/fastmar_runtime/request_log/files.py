"""Files of the request log: a new one each day and at a maximum size; of too many, the oldest are removed."""

from __future__ import annotations

import logging
import os
import re
import socket
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from fastmar_contract.request_log import ENDING

log = logging.getLogger(__name__)

MAX_FILE = 64 * 1024 * 1024  # bytes
SHARE = 16  # a file has at most this part of the total limit
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9.+-]")
_MAX_NAME = 60  # characters of a model or host in a file's name


class LogFiles:
    """Files that only this process writes; only the owner can read them.

    Args:
        folder: the folder of the files.
        model: name and version, which become part of the files' names.
        max_bytes: the maximum number of bytes of all files of this host in the folder, including those of other and
            earlier workers.
    """

    def __init__(self, folder: Path, model: tuple[str, str], max_bytes: int) -> None:
        self._folder = folder
        self._host = _part(socket.gethostname())
        self._model = "_".join(map(_part, model))
        self._max_bytes = max_bytes
        self._max_file = min(MAX_FILE, max_bytes // SHARE)
        self._numbers = count()
        self._path = Path()
        self._file: int | None = None
        self._day = ""
        self._size = 0

    def write(self, lines: bytes) -> None:
        """Append lines.

        Raises:
            OSError: they can't be written, or not all of them. The next lines go to another file, since this one may
                end in the middle of a line.
        """
        try:
            file = self._open(len(lines))
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(file, rest) :]
        except OSError:
            self.close()
            raise
        self._size += len(lines)

    def close(self) -> None:
        """Close the current file."""
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
            self._file = None

    def _open(self, size: int) -> int:
        """The file for `size` bytes: the current one, or a new one."""
        day = f"{datetime.now(UTC):%Y%m%d}"
        is_full = self._size > 0 and self._size + size > self._max_file
        if self._file is not None and day == self._day and not is_full and os.fstat(self._file).st_nlink:
            return self._file  # without a link, somebody has removed it
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        for number in self._numbers:
            self._path = self._folder / f"requests_{self._model}_{day}_{self._host}_{os.getpid()}_{number}{ENDING}"
            with suppress(FileExistsError):  # in containers, processes of other starts had the same number
                self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
                break
        self._day, self._size = day, 0
        self._remove_oldest()
        assert self._file is not None  # noqa: S101 - for the type checker
        return self._file

    def _remove_oldest(self) -> None:
        """Remove the oldest files of this host until the new file can grow to its maximum size."""
        found = []
        for path in self._folder.glob(f"requests_*_{self._host}_*{ENDING}"):
            with suppress(FileNotFoundError):  # another worker has removed it
                status = path.stat()
                found.append((status.st_mtime, path, status.st_size))
        total = sum(size for _, _, size in found)
        removed = []
        for _, path, size in sorted(found):
            if path != self._path and total + self._max_file > self._max_bytes:
                total -= size
                with suppress(FileNotFoundError):
                    path.unlink()
                    removed.append(path.name)
        if removed:
            log.warning("the request log has reached its maximum size: removed %s", ", ".join(removed))


def _part(text: str) -> str:
    return _NOT_IN_NAMES.sub("-", text)[:_MAX_NAME]
