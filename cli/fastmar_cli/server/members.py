"""Parts of an archive within the limits of `fastmar_runtime.members`, for commands that run without the runtime."""

from __future__ import annotations

import zipfile

_MIB = 1 << 20
_LIMITS = {"MAR-INF/MANIFEST.json": _MIB, "model-config.yaml": 64 << 10}
_GOLDEN, _OTHERS = 256 * _MIB, 64 * _MIB
_RATIO, _SPARE = 200, _MIB


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of one part, whose size is checked first.

    Raises:
        KeyError: there is no such part.
        ValueError: it is larger than any export writes, or unpacks to too many times its size.
    """
    member = archive.getinfo(name)
    limit = min(
        _LIMITS.get(name, _GOLDEN if name.startswith("golden/") else _OTHERS), _SPARE + _RATIO * member.compress_size
    )
    if member.file_size > limit:
        raise ValueError(f"{name} has {member.file_size:,} bytes, over the limit of {limit:,}")
    return archive.read(member)  # no more than the size that was checked
