"""One program at a time: a lock on a file, which ends with the program however it ends."""

from __future__ import annotations

import errno
import sys
from typing import IO, Any

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
_LOCK_OFFSET = 1 << 40  # bytes under a lock can't be read on Windows; a file never gets as long as this


def acquire(file: IO[Any]) -> bool:
    """Take the lock of an open file until it is closed; False where another program has it.

    On a file system without locks it counts as taken by nobody.

    Raises:
        OSError: the system fails on the file for another reason.
    """
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - there is one on Windows alone

            file.seek(_LOCK_OFFSET)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            import fcntl  # noqa: PLC0415 - and everywhere else

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True
