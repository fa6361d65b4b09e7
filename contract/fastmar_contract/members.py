"""The parts of an archive: bounded before they are unpacked, so that a small file can't fill the memory."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence

MANIFEST, CONFIG = "MAR-INF/MANIFEST.json", "model-config.yaml"
SPEC, GRAPH, SCHEMA, OPENAPI = "spec.json", "model.onnx", "schema.json", "openapi.json"
RECORDS, ANSWERS, ARRAYS = "golden/records.json", "golden/answers.json", "golden/arrays/{name}.npy"

_MIB = 1 << 20
LIMITS = {
    SPEC: 64 * _MIB,  # vocabularies
    GRAPH: 2048 * _MIB,  # no graph in one file can be larger
    CONFIG: 64 << 10,  # a YAML parser in Python takes 10 s for a MiB
    "golden/": 256 * _MIB,
    "MAR-INF/": _MIB,
}
"""Bytes of a part, by its name or folder."""
_OTHERS = 64 * _MIB
_RATIO, _SPARE = 200, _MIB  # deflate makes at most 1,032 bytes of one; weights and JSON are far below 200
_MAX_MEMBERS = 10_000


class MemberRefused(ValueError):
    """A part that no export writes."""


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of one part, whose size is checked first.

    Raises:
        KeyError: there is no such part.
        MemberRefused: it is larger than any export writes, unpacks to too many times its size, or its size is a lie.
    """
    member = archive.getinfo(name)
    check_member(member)
    with archive.open(member) as stream:  # its size in the directory may be a lie: no more than that is unpacked
        data = stream.read(member.file_size + 1)
    if len(data) != member.file_size:
        raise MemberRefused(f"{name} has another size than the archive says")
    return data


def check_members(members: Sequence[zipfile.ZipInfo]) -> None:
    """Check the names and sizes of all parts.

    Raises:
        MemberRefused: one of them is outside of what an export writes.
    """
    check_names(members)
    for member in members:
        check_member(member)


def check_names(members: Sequence[zipfile.ZipInfo]) -> None:
    """Check the number and the names of all parts.

    Raises:
        MemberRefused: there are too many, or two of one name, or one would be unpacked outside of the archive's folder.
    """
    if len(members) > _MAX_MEMBERS:
        raise MemberRefused(f"it has {len(members):,} parts, over the limit of {_MAX_MEMBERS:,}")
    names = set()
    for member in members:
        name = member.filename
        if name in names:
            raise MemberRefused(f"it holds {name!r:.80} twice")
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise MemberRefused(f"its part {name!r:.80} would be unpacked outside of its folder")
        names.add(name)


def check_member(member: zipfile.ZipInfo) -> None:
    """Check the size of one part.

    Raises:
        MemberRefused: it is over its limit, or unpacks to too many times its size.
    """
    check_size(member.filename, member.file_size)
    if member.file_size > _SPARE + _RATIO * member.compress_size:
        raise MemberRefused(f"{member.filename!r:.80} unpacks to more than {_RATIO} times its size")


def check_size(name: str, size: int) -> None:
    """Check the size of a part that is called `name`.

    Raises:
        MemberRefused: it is over its limit.
    """
    limit = LIMITS.get(name) or LIMITS.get(f"{name.partition('/')[0]}/", _OTHERS)
    if size > limit:
        raise MemberRefused(f"{name} has {size:,} bytes, over the limit of {limit:,}")
