"""File locks between processes; the system releases a lock when its process ends."""

from __future__ import annotations

import errno
import sys
from typing import IO, Any

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
_LOCK_OFFSET = 1 << 40  # bytes under a lock can't be read on Windows; no file is as long as this


def acquire(file: IO[Any]) -> bool:
    """Lock an open file until it is closed.

    Returns:
        False if another process holds the lock. Always True on a file system without locks.

    Raises:
        OSError: locking failed for another reason.
    """
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - exists only on Windows

            file.seek(_LOCK_OFFSET)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            import fcntl  # noqa: PLC0415 - does not exist on Windows

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True
