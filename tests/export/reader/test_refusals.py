"""Other kinds of files that users pass by mistake: each has its own error."""

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
from tests.export.errors import raises
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
    "empty": (TruncatedFile, "empty_file", lambda: b""),
    "legacy pickle": (UnreadableFile, "legacy_torch_file", lambda: saved(STATE, _use_new_zipfile_serialization=False)),
    "legacy tar": (UnreadableFile, "tar_file", tarred),
    "state dict": (NotALearner, "state_dict", lambda: saved(STATE)),
    "learn.save": (NotALearner, "saved_weights", lambda: saved({"model": STATE, "opt": {}})),
    "module": (NotALearner, "not_a_learner", lambda: saved(torch.nn.Linear(2, 2))),
    "list": (NotALearner, "not_a_learner", lambda: saved([1])),
    "torchscript": (UnreadableFile, "torchscript_file", lambda: zipped("m/data.pkl", "m/constants.pkl", "m/code/a.py")),
    "model archive": (UnreadableFile, "model_archive", lambda: zipped("MAR-INF/MANIFEST.json", "m/data.pkl")),
    "other zip": (UnreadableFile, "other_zip", lambda: zipped("word/document.xml")),
    "safetensors": (UnreadableFile, "safetensors_file", lambda: (2).to_bytes(8, "little") + b"{}"),
    "onnx": (UnreadableFile, "onnx_file", lambda: b"\x08\x08\x12\x07pytorch"),
    "page": (UnreadableFile, "web_page", lambda: b"\n<!DOCTYPE html><html>"),
    "lfs": (UnreadableFile, "git_lfs_pointer", lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0"),
    "gzip": (UnreadableFile, "gzip_file", lambda: b"\x1f\x8b\x08"),
    "keras": (UnreadableFile, "hdf5_file", lambda: b"\x89HDF\r\n\x1a\n"),
    "pickle": (UnreadableFile, "other_pickle", lambda: pickle.dumps([1])),
    "case_fastai2_preview": (
        UnreadableFile,
        "fastai2_preview",
        lambda: b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02cfastai2.learner\nLearner\n)\x81.",
    ),
    "fastai2 in torch's zip": (
        UnreadableFile,
        "fastai2_preview",
        lambda: torch_zip(b"\x80\x02cfastai2.tabular.learner\nTabularLearner\n)\x81}b."),
    ),
    "pickle.dump": (UnreadableFile, "pickled_learner", lambda: b"\x80\x04cfastai.learner\nLearner\n)\x81."),
    "unknown": (UnreadableFile, "unknown_file", lambda: b"hello"),
    "truncated": (TruncatedFile, "damaged_zip_directory", lambda: saved(STATE)[:-30]),
    "damaged": (TruncatedFile, "wrong_checksum", lambda: saved(STATE).replace(b"weight", b"weighs", 1)),
    "damaged pickle": (TruncatedFile, "damaged_pickle", lambda: torch_zip(b"]NR.")),
}
FACTS = {"module": "torch.nn.modules.linear.Linear", "list": "list", "damaged": "data.pkl", "damaged pickle": "byte 2"}


@pytest.mark.parametrize("case", CASES)
def test_other_files_are_refused(case: str, tmp_path: Path) -> None:
    kind, code, make = CASES[case]
    path = tmp_path / "other.pkl"
    path.write_bytes(make())
    with raises(kind, code, FACTS.get(case, "")) as caught:
        read_learner_file(path)
    assert type(caught.value) is kind
    assert caught.value.fix.endswith(".")
    assert caught.value.message.count(str(path)) == 1


def test_a_missing_file_has_its_own_code(tmp_path: Path) -> None:
    with raises(UnreadableFile, code="learner_file_not_found") as refusal:
        read_learner_file(tmp_path / "missing.pkl")
    assert "missing.pkl" in refusal.value.message
    assert "learn.path" in refusal.value.fix


def test_paths_that_are_not_files_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, "a\0b", Path("/dev/zero")):
        with raises(UnreadableFile):
            read_learner_file(path)
