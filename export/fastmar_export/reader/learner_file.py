"""Reads a learner's file, and audits its content."""

from __future__ import annotations

import gc
import hashlib
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import ExportError, NotALearner, UnreadableFile
from .audit import Leak, calls_that_run_code, find_leaks, pickled_functions
from .inert import InertMachine
from .limits import Budget, Limits, limit_exceeded
from .lookalikes import HEAD_BYTES, refuse_lookalike, refuse_preview
from .opcodes import run
from .records import Record, path_of
from .torchzip import open_torch_zip
from .unfold import check_unfolded


@dataclass(frozen=True, slots=True, eq=False)
class LearnerFile:
    """The content of a learner's file, and facts about the file.

    Attributes:
        root: the pickled object; the learner's record after `read_learner_file`.
        sha256: hash of the file, in hexadecimal.
        size: size of the file in bytes.
        pickle_protocol: protocol of the pickle in the file.
        archive_version: version of torch's zip format.
        globals: how often the pickle names each class or function, by dotted path.
        calls: calls with which `torch.load` would run code from the file (see `describe_call`).
        functions: functions whose bytecode is in the file; `torch.load` does not run them, but predictions may.
        leaks: training rows in the file.
    """

    root: Any
    sha256: str
    size: int
    pickle_protocol: int
    archive_version: str
    globals: dict[str, int]
    calls: list[Record]
    functions: list[Record]
    leaks: list[Leak]


_DEFAULT_LIMITS = Limits()


def read_learner_file(path: str | Path, limits: Limits = _DEFAULT_LIMITS) -> LearnerFile:
    """Read a learner written by `learn.export()` of fastai 2 as data, without importing or running anything in it.

    Raises:
        UnreadableFile: the file was not written by torch, is damaged, or exceeds a limit.
        NotALearner: the file contains another object.
    """
    file = read_torch_file(path, limits)
    with errors_naming_file(path):
        require_learner(file.root)
    return file


def read_torch_file(path: str | Path, limits: Limits = _DEFAULT_LIMITS) -> LearnerFile:
    """Read any file of `torch.save`, for audits.

    Raises:
        UnreadableFile: the file does not exist, was not written by torch, is damaged, or exceeds a limit.
    """
    path = Path(path)
    with errors_naming_file(path):
        return _read(path, limits)


def _read(path: Path, limits: Limits) -> LearnerFile:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableFile(f"{path} is a folder or a device.", fix="pass the file that learn.export() wrote.")
        size = status.st_size
        with path.open("rb") as file:
            if size > limits.file_bytes:
                raise limit_exceeded("the file's size", f"{limits.file_bytes:,} bytes")
            refuse_lookalike(file.read(HEAD_BYTES), size)
            archive = open_torch_zip(file, size, limits)
            if archive.nbytes("data.pkl") > limits.pickle_bytes:
                raise limit_exceeded("the pickle's size", f"{limits.pickle_bytes:,} bytes")
            budget = Budget(limits, file_bytes=size, pickle_bytes=archive.nbytes("data.pkl"))
            machine = InertMachine(archive.read("data.pkl"), archive, budget)
            try:
                with _no_collections(), warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # torch warns about tensors of experimental types
                    root = run(machine)
                    refuse_preview(root)
                    check_unfolded(root, limits, archive.nbytes("data.pkl"))
            finally:
                machine.release()
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            version = archive.text("version")
    except FileNotFoundError as problem:
        raise UnreadableFile(
            f"{path} does not exist.",
            fix="check the path. learn.export() writes into learn.path; print(learn.path) in the notebook shows it.",
            code="learner_file_not_found",
        ) from problem
    except (OSError, ValueError) as problem:  # ValueError: invalid path
        raise UnreadableFile(
            f"{path} can't be read: {problem}.", fix="check the path and the permissions of the file."
        ) from problem
    calls = calls_that_run_code(machine.records)
    functions = pickled_functions(machine.records)
    counts = dict(machine.globals.most_common())
    return LearnerFile(root, sha256, size, machine.protocol, version, counts, calls, functions, find_leaks(root))


@contextmanager
def errors_naming_file(path: str | Path) -> Iterator[None]:
    """Name the file in errors of its content."""
    try:
        yield
    except ExportError as error:
        if str(path) not in error.message:
            error.message = f"{path}: {error.message}"
        raise


@contextmanager
def _no_collections() -> Iterator[None]:
    """Disable garbage collection: reading makes millions of objects without garbage, and each collection visits all."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def require_learner(root: Any) -> Record:
    """Return `root` if it is a learner: a record with ``dls`` and ``model``.

    Raises:
        NotALearner: it is another object.
    """
    if isinstance(root, Record) and {"dls", "model"} <= root.attrs.keys():
        return root
    content, code = _content_of(root)
    raise NotALearner(
        f"this file was written by torch, but contains {content} instead of a learner.",
        fix="in the notebook with the learner, call learn.export('learner.pkl'), and pass that file.",
        code=code,
    )


def _content_of(root: Any) -> tuple[str, str | None]:
    """A description of an object that is not a learner, and an error code for it."""
    if isinstance(root, Record):
        return f"an object of {path_of(root)}", None
    if isinstance(root, dict) and {"model", "opt"} <= root.keys():
        return "the weights and optimiser state that learn.save() writes", "saved_weights"
    if isinstance(root, dict) and root and all(isinstance(value, torch.Tensor) for value in root.values()):
        return "the weights of a network (a state dict)", "state_dict"
    return f"a {type(root).__name__}", None
