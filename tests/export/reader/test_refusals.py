"""Files that people give by mistake: each message says what the file is, and what to do."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.export.reader.conftest import torch_zip

from fastmar_export.errors import ExportError, NotALearner, TruncatedFile, UnreadableFile
from fastmar_export.reader import read_learner_file


def saved(thing: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    torch.save(thing, out, **options)
    return out.getvalue()


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    return out.getvalue()


STATE = {"0.weight": torch.ones(2, 2)}
CASES: dict[str, tuple[type[ExportError], str, Callable[[], bytes]]] = {
    "empty": (TruncatedFile, "is empty", lambda: b""),
    "legacy pickle": (UnreadableFile, "fastai 1 wrote", lambda: saved(STATE, _use_new_zipfile_serialization=False)),
    "legacy tar": (UnreadableFile, "tar file, which torch wrote", tarred),
    "state dict": (NotALearner, "a state dict", lambda: saved(STATE)),
    "learn.save": (NotALearner, "learn.save", lambda: saved({"model": STATE, "opt": {}})),
    "module": (NotALearner, "torch.nn.modules.linear.Linear", lambda: saved(torch.nn.Linear(2, 2))),
    "list": (NotALearner, "a list", lambda: saved([1])),
    "torchscript": (UnreadableFile, "TorchScript", lambda: zipped("m/data.pkl", "m/constants.pkl", "m/code/a.py")),
    "model archive": (
        UnreadableFile,
        "TorchServe model archive",
        lambda: zipped("MAR-INF/MANIFEST.json", "m/data.pkl"),
    ),
    "other zip": (UnreadableFile, "no data.pkl", lambda: zipped("word/document.xml")),
    "safetensors": (UnreadableFile, "safetensors", lambda: (2).to_bytes(8, "little") + b"{}"),
    "onnx": (UnreadableFile, "ONNX", lambda: b"\x08\x08\x12\x07pytorch"),
    "page": (UnreadableFile, "web page", lambda: b"\n<!DOCTYPE html><html>"),
    "lfs": (UnreadableFile, "git-lfs", lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0"),
    "gzip": (UnreadableFile, "gzip", lambda: b"\x1f\x8b\x08"),
    "keras": (UnreadableFile, "HDF5", lambda: b"\x89HDF\r\n\x1a\n"),
    "pickle": (UnreadableFile, "a pickle, but not one that torch.save", lambda: pickle.dumps([1])),
    "case_fastai2_preview": (
        UnreadableFile,
        "fastai2, the preview",
        lambda: b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02cfastai2.learner\nLearner\n)\x81.",
    ),
    "fastai2 in torch's zip": (
        UnreadableFile,
        "fastai2, the preview",
        lambda: torch_zip(b"\x80\x02cfastai2.tabular.learner\nTabularLearner\n)\x81}b."),
    ),
    "pickle.dump": (UnreadableFile, "pickle.dump", lambda: b"\x80\x04cfastai.learner\nLearner\n)\x81."),
    "unknown": (UnreadableFile, "something unknown", lambda: b"hello"),
    "truncated": (TruncatedFile, "the zip's directory can't be read", lambda: saved(STATE)[:-30]),
    "damaged": (TruncatedFile, "checksum of 'data.pkl'", lambda: saved(STATE).replace(b"weight", b"weighs", 1)),
    "damaged pickle": (TruncatedFile, "damaged at byte 2", lambda: torch_zip(b"]NR.")),
}


@pytest.mark.parametrize("case", CASES)
def test_each_refusal_says_what_it_is_and_what_to_do(case: str, tmp_path: Path) -> None:
    kind, message, make = CASES[case]
    path = tmp_path / "given.pkl"
    path.write_bytes(make())
    with pytest.raises(kind, match=message) as refusal:
        read_learner_file(path)
    assert type(refusal.value) is kind
    assert "\n  Fix: " in str(refusal.value)
    assert refusal.value.fix.endswith(".")


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.pkl", "a\0b", Path("/dev/zero")):
        with pytest.raises(UnreadableFile, match="Fix:"):
            read_learner_file(path)
