"""One program at a time: a lock on a file, which ends with the program however it ends."""

from __future__ import annotations

import sys
from io import FileIO

from fastmar_client.errors import ResumeRefused


def lock(file: FileIO, message: str) -> None:
    """Take the lock of an open file until it is closed.

    Raises:
        ResumeRefused: somebody else has it, which `message` says.
    """
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - there is one on Windows alone

            file.seek(_FAR)  # bytes under a lock can't be read there; these never come to be
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            import fcntl  # noqa: PLC0415 - and everywhere else

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ResumeRefused(message, fix="wait until it ends, or name another file for the answers.") from error


_FAR = 1 << 40
