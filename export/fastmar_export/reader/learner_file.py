"""A learner's file from its path to what is in it."""

from __future__ import annotations

import gc
import hashlib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import NotALearner, UnreadableFile
from .audit import Leak, calls_that_run, find_leaks, functions_inside
from .inert import InertMachine
from .limits import Budget, Limits, too_much
from .lookalikes import HEAD_BYTES, refuse_lookalike, refuse_preview
from .opcodes import run
from .records import Record, path_of
from .torchzip import open_torch_zip
from .unfold import check_unfolded


@dataclass(frozen=True, slots=True, eq=False)
class LearnerFile:
    """What a file of `learn.export()` holds, and what is to be known about the file.

    Attributes:
        root: what the pickle holds; the learner's record after `read_learner_file`.
        sha256: of the whole file, in hexadecimal.
        size: of the file, in bytes.
        pickle_protocol: of the pickle in it.
        archive_version: of torch's zip format.
        globals: how often the pickle names each class or function, by dotted path.
        calls: what would have run code of the file's own, had it been loaded normally (see `describe_call`).
        functions: those whose bytecode is in the file; loading runs none, predicting with the loaded learner may.
        leaks: training rows that were exported with the learner.
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
    """Read a learner that `learn.export()` of fastai 2 wrote, as data: nothing in it is imported or run.

    Raises:
        UnreadableFile: it is no such file, is damaged, or goes over a limit.
        NotALearner: it is a torch file that holds something else.
    """
    file = read_torch_file(path, limits)
    require_learner(file.root)
    return file


def read_torch_file(path: str | Path, limits: Limits = _DEFAULT_LIMITS) -> LearnerFile:
    """The same for any file of `torch.save`, whatever its root: for audits.

    Raises:
        UnreadableFile: it is no such file, is damaged, or goes over a limit.
    """
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableFile(f"{path} is a folder or a device.", fix="give the file that learn.export() wrote.")
        size = status.st_size
        with path.open("rb") as file:
            if size > limits.file_bytes:
                raise too_much("the file's size", "bytes", limits.file_bytes)
            refuse_lookalike(file.read(HEAD_BYTES), size)
            archive = open_torch_zip(file, size, limits)
            if archive.nbytes("data.pkl") > limits.pickle_bytes:
                raise too_much("the pickle's size", "bytes", limits.pickle_bytes)
            budget = Budget(limits, file_bytes=size, pickle_bytes=archive.nbytes("data.pkl"))
            machine = InertMachine(archive.read("data.pkl"), archive, budget)
            try:
                with _no_collections():
                    root = run(machine)
                    refuse_preview(root)
                    check_unfolded(root, limits, archive.nbytes("data.pkl"))
            finally:
                machine.release()
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            version = archive.text("version")
    except (OSError, ValueError) as problem:  # ValueError: no path at all
        raise UnreadableFile(
            f"{path} can't be read: {problem}.", fix="check the path and your rights on the file."
        ) from problem
    calls = calls_that_run(machine.records)
    functions = functions_inside(machine.records)
    counts = dict(machine.globals.most_common())
    return LearnerFile(root, sha256, size, machine.protocol, version, counts, calls, functions, find_leaks(root))


@contextmanager
def _no_collections() -> Iterator[None]:
    """Reading makes millions of objects and no garbage to speak of, and each collection would visit all of them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def require_learner(root: Any) -> Record:
    """The learner that a pickle holds: a record with ``dls`` and ``model``.

    Raises:
        NotALearner: it holds something else.
    """
    if isinstance(root, Record) and {"dls", "model"} <= root.attrs.keys():
        return root
    raise NotALearner(
        f"this is a file of torch, but it holds {_what_else(root)} and no learner.",
        fix="in the notebook where the learner is, call learn.export('learner.pkl') and give that file.",
    )


def _what_else(root: Any) -> str:
    if isinstance(root, Record):
        return f"an object of {path_of(root)}"
    if isinstance(root, dict) and {"model", "opt"} <= root.keys():
        return "the weights and optimiser state that learn.save() writes"
    if isinstance(root, dict) and root and all(isinstance(value, torch.Tensor) for value in root.values()):
        return "the weights of a network (a state dict)"
    return f"a {type(root).__name__}"
