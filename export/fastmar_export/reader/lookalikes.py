"""What a file is when it is not one of fastai 2: told from its first bytes, or from the learner in it."""

from __future__ import annotations

from typing import Any

from ..errors import TruncatedFile, UnreadableFile
from .records import Record
from .torchzip import FIX_DAMAGED

HEAD_BYTES = 4096
_PREVIEW = "fastai2."
_IS_PREVIEW = "a learner of fastai2, the preview of 2020 before fastai 2.0"
_FIX_EXPORT = "in the notebook where the learner is, call learn.export('learner.pkl') and give that file."
_FIX_PREVIEW = "open it with the fastai2 that wrote it, train the model again with fastai 2, and export that."
_FIX_LOAD = (
    "load it with pickle.load or joblib.load where it was saved, call learn.export('learner.pkl') and give that file."
)
_LEGACY_TORCH = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # torch's magic number, after two bytes of protocol


def refuse_lookalike(head: bytes, size: int) -> None:
    """Raise an `UnreadableFile` that says what the file is, unless it begins as a zip does.

    Args:
        head: its first bytes, `HEAD_BYTES` of them or all.
        size: its size.
    """
    if head.startswith(b"PK\x03\x04"):
        return
    if size == 0:
        raise TruncatedFile("the file is empty.", fix=FIX_DAMAGED)
    found, fix = _identify(head, size)
    raise UnreadableFile(f"this is {found}, not a file that learn.export() of fastai 2 writes.", fix=fix)


def refuse_preview(root: Any) -> None:
    """Raise an `UnreadableFile` where the learner `root` is of fastai2, which wrote torch's zip format too."""
    if isinstance(root, Record) and root.path.startswith(_PREVIEW):
        raise UnreadableFile(f"this is {_IS_PREVIEW}, not a file that fastai 2 wrote.", fix=_FIX_PREVIEW)


def _identify(head: bytes, size: int) -> tuple[str, str]:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head[2:].startswith(_LEGACY_TORCH) and _PREVIEW.encode() in head:
        return _IS_PREVIEW, _FIX_PREVIEW
    if head[2:].startswith(_LEGACY_TORCH):
        return (
            "a pickle in torch's format before 1.6, which learn.export() of fastai 1 wrote",
            "open it with the version of fastai 1 that wrote it, train the model again with fastai 2, and export that.",
        )
    if head[257:262] == b"ustar":
        return (
            "a tar file, which torch wrote before version 0.4",
            "unpack it if it holds a learner.pkl; a model of that age has to be trained again with fastai 2.",
        )
    if text.startswith(b"version https://git-lfs"):
        return "a pointer of git-lfs that stands for the real file", "fetch the real file with `git lfs pull`."
    if text.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "a web page", "download the file itself: the address gave a page, perhaps one to log in."
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size:
        return "a safetensors file: weights without their transforms and vocabularies", _FIX_EXPORT
    if head[:1] == b"\x08" and head[2:3] == b"\x12":
        return "an ONNX graph: a network without its transforms and vocabularies", _FIX_EXPORT
    if head.startswith(b"\x1f\x8b"):
        return "a gzip file", "unpack it with gunzip, and give what was in it."
    if head.startswith(b"\x89HDF"):
        return "an HDF5 file, which Keras writes", "fastmar serves fastai's learners; export one with learn.export()."
    if head[:1] == b"\x80" and _PREVIEW.encode() in head:
        return _IS_PREVIEW, _FIX_PREVIEW
    if head[:1] == b"\x80" and b"fastai." in head:
        return "a learner that pickle.dump or joblib wrote", _FIX_LOAD
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        return "a pickle, but not one that torch.save wrote", _FIX_EXPORT
    return f"something unknown (it begins with {head[:8]!r})", "check that the right file was given. " + _FIX_EXPORT
