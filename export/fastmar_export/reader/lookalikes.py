"""Recognises other kinds of files, which users pass by mistake, by their first bytes or by the object in them."""

from __future__ import annotations

from typing import Any

from ..errors import TruncatedFile, UnreadableFile
from .records import Record
from .torchzip import FIX_DAMAGED

HEAD_BYTES = 4096
_PREVIEW = "fastai2."
_IS_PREVIEW = "a learner of fastai2, the preview of fastai 2.0 from 2020"
_FIX_EXPORT = "in the notebook with the learner, call learn.export('learner.pkl'), and pass that file."
_FIX_PREVIEW = "train the model again with fastai 2, and export that learner."
_FIX_LOAD = (
    "load it with pickle.load or joblib.load where it was saved, call learn.export('learner.pkl'), and pass that file."
)
_PREVIEW_LEARNER = ("fastai2_preview", _IS_PREVIEW, _FIX_PREVIEW)
_LEGACY_TORCH = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # torch's magic number, after two bytes of protocol


def refuse_lookalike(head: bytes, size: int) -> None:
    """Raise an `UnreadableFile` that names the kind of file, unless it starts like a zip.

    Args:
        head: its first `HEAD_BYTES` bytes.
        size: its size.
    """
    if head.startswith(b"PK\x03\x04"):
        return
    if size == 0:
        raise TruncatedFile("the file is empty.", fix=FIX_DAMAGED, code="empty_file")
    code, kind, fix = _identify(head, size)
    raise UnreadableFile(f"this is {kind}, not a file of learn.export() of fastai 2.", fix=fix, code=code)


def refuse_preview(root: Any) -> None:
    """Raise an `UnreadableFile` if `root` is a learner of fastai2, which also used torch's zip format."""
    if isinstance(root, Record) and root.path.startswith(_PREVIEW):
        code, kind, fix = _PREVIEW_LEARNER
        raise UnreadableFile(f"this is {kind}, not a file of learn.export() of fastai 2.", fix=fix, code=code)


def _identify(head: bytes, size: int) -> tuple[str, str, str]:
    """An error code, the kind of file, and a fix."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head[2:].startswith(_LEGACY_TORCH) and _PREVIEW.encode() in head:
        return _PREVIEW_LEARNER
    if head[2:].startswith(_LEGACY_TORCH):
        return (
            "legacy_torch_file",
            "a pickle in torch's format before 1.6, which fastai 1 used",
            "train the model again with fastai 2, and export that learner.",
        )
    if head[257:262] == b"ustar":
        return (
            "tar_file",
            "a tar file, which torch before 0.4 wrote",
            "unpack it if it contains a learner.pkl; otherwise train the model again with fastai 2.",
        )
    if text.startswith(b"version https://git-lfs"):
        return "git_lfs_pointer", "a git-lfs pointer to the actual file", "fetch the file with `git lfs pull`."
    if text.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "web_page", "a web page", "download the file itself; the URL may have returned a login page."
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size:
        return "safetensors_file", "a safetensors file: weights without transforms and vocabularies", _FIX_EXPORT
    if head[:1] == b"\x08" and head[2:3] == b"\x12":
        return "onnx_file", "an ONNX graph: a network without transforms and vocabularies", _FIX_EXPORT
    if head.startswith(b"\x1f\x8b"):
        return "gzip_file", "a gzip file", "unpack it with gunzip, and pass its content."
    if head.startswith(b"\x89HDF"):
        return "hdf5_file", "an HDF5 file, as written by Keras", "export a fastai learner with learn.export()."
    if head[:1] == b"\x80" and _PREVIEW.encode() in head:
        return _PREVIEW_LEARNER
    if head[:1] == b"\x80" and b"fastai." in head:
        return "pickled_learner", "a learner that pickle.dump or joblib wrote", _FIX_LOAD
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        return "other_pickle", "a pickle that was not written by torch.save", _FIX_EXPORT
    return (
        "unknown_file",
        f"an unknown kind of file (its first bytes are {head[:8]!r})",
        f"check that this is the right file; otherwise, {_FIX_EXPORT}",
    )
