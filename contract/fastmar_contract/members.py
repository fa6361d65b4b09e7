"""Members of an archive: their names, and limits that are checked before unpacking, so that memory can't overflow."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence

MANIFEST, CONFIG = "MAR-INF/MANIFEST.json", "model-config.yaml"
SPEC, GRAPH, SCHEMA, OPENAPI = "spec.json", "model.onnx", "schema.json", "openapi.json"
PROFILE, SAMPLES = "profile.json", "samples.json"  # optional
RECORDS, ANSWERS, ARRAYS = "golden/records.json", "golden/answers.json", "golden/arrays/{name}.npy"

_MIB = 1 << 20
LIMITS = {
    SPEC: 64 * _MIB,  # vocabularies
    GRAPH: 2048 * _MIB,  # no graph in one file can be larger
    SAMPLES: 2 * _MIB,  # the worker keeps them
    CONFIG: 64 << 10,  # a YAML parser in Python takes 10 s for a MiB
    "golden/": 256 * _MIB,
    "MAR-INF/": _MIB,
}
"""Maximum bytes of a member, by its name or folder."""
_DEFAULT_LIMIT = 64 * _MIB
_MAX_RATIO, _RATIO_ALLOWANCE = 200, _MIB  # deflate expands at most 1,032-fold; weights and JSON stay far below 200
_MAX_MEMBERS = 10_000


class MemberRefused(ValueError):
    """An archive member that no export writes.

    Attributes:
        code: a stable name of the cause.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of one member, whose size is checked first.

    Raises:
        KeyError: there is no such member.
        MemberRefused: it is over a limit, or its size differs from the declared one.
    """
    member = archive.getinfo(name)
    check_member(member)
    with archive.open(member) as stream:  # the declared size may be wrong: no more than that is unpacked
        data = stream.read(member.file_size + 1)
    if len(data) != member.file_size:
        raise MemberRefused("wrong_member_size", f"{name} does not have the size that the archive declares")
    return data


def check_members(members: Sequence[zipfile.ZipInfo]) -> None:
    """Check the names and sizes of all members.

    Raises:
        MemberRefused: a name or size that no export writes.
    """
    check_names(members)
    for member in members:
        check_member(member)


def check_names(members: Sequence[zipfile.ZipInfo]) -> None:
    """Check the number and the names of all members.

    Raises:
        MemberRefused: there are too many, a name is repeated, or a member would be unpacked outside of the folder.
    """
    if len(members) > _MAX_MEMBERS:
        raise MemberRefused("too_many_members", f"it has {len(members):,} members, over the limit of {_MAX_MEMBERS:,}")
    names = set()
    for member in members:
        name = member.filename
        if name in names:
            raise MemberRefused("repeated_member", f"it contains {name!r:.80} twice")
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise MemberRefused(
                "member_outside_folder", f"its member {name!r:.80} would be unpacked outside of the folder"
            )
        names.add(name)


def check_member(member: zipfile.ZipInfo) -> None:
    """Check the size and the compression ratio of one member.

    Raises:
        MemberRefused: one of them is over its limit.
    """
    check_size(member.filename, member.file_size)
    if member.file_size > _RATIO_ALLOWANCE + _MAX_RATIO * member.compress_size:
        raise MemberRefused(
            "compression_ratio", f"{member.filename!r:.80} unpacks to more than {_MAX_RATIO} times its size"
        )


def check_size(name: str, size: int) -> None:
    """Check the size of the member `name`.

    Raises:
        MemberRefused: it is over its limit.
    """
    limit = LIMITS.get(name) or LIMITS.get(f"{name.partition('/')[0]}/", _DEFAULT_LIMIT)
    if size > limit:
        raise MemberRefused("member_too_large", f"{name} has {size:,} bytes, over the limit of {limit:,}")
