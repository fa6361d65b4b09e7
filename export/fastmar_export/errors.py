"""Errors of reading and exporting a learner.

    FastmarError                   (fastmar_contract.errors) has a code, a message and a fix
    └── ExportError                any error that stops an export
        ├── UnreadableFile         the file was not written by `learn.export()`
        │   ├── TruncatedFile          the file ends too early or is damaged
        │   └── HostileFile            the file exceeds a limit that exported learners stay below
        ├── NotALearner            a torch file without a learner
        ├── UnsupportedTransform   a transform or proc without a converter
        ├── UnsupportedModule      a layer that is not in the allow-list
        ├── UnsupportedOperator    an ONNX operator that is not in the allow-list
        ├── UnsupportedLoss        a loss whose outputs fastmar can't decode
        ├── UnsupportedLearner     a learner, callback or setting that fastmar can't serve
        ├── ArchiveExists          an archive of another learner or version has the same name
        └── ParityFailed           two computations of the same output differ

Each class has a code. Causes of one class have codes of their own, given as `code=` where they are raised.
"""

from __future__ import annotations

from fastmar_contract.errors import FastmarError


class ExportError(FastmarError):
    """The export stopped, and wrote nothing."""

    code = "export_error"


class UnreadableFile(ExportError):
    """The file was not written by `learn.export()` of fastai 2."""

    code = "unreadable_file"


class TruncatedFile(UnreadableFile):
    """The file ends too early, or a part of it is damaged."""

    code = "truncated_file"


class HostileFile(UnreadableFile):
    """The file exceeds a limit that exported learners stay below."""

    code = "hostile_file"


class NotALearner(ExportError):
    """The file was written by torch, and contains no fastai learner."""

    code = "not_a_learner"


class UnsupportedTransform(ExportError):
    """A transform or proc of the inference pipeline has no converter."""

    code = "unsupported_transform"

    def __init__(
        self,
        where: str,
        path: str,
        *,
        why: str = "which fastmar can't serve",
        fix: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(
            f"{where} is {path}, {why}.",
            fix=fix or "remove it from the inference pipeline, or register a converter (docs/converters.md).",
            code=code,
        )
        self.where, self.path = where, path


class UnsupportedModule(ExportError):
    """A layer of the network is not in the allow-list."""

    code = "unsupported_module"

    def __init__(
        self,
        where: str,
        path: str,
        *,
        why: str = "which is not in fastmar's allow-list of layers",
        fix: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(
            f"{where} is {path}, {why}.",
            fix=fix or "build the network from layers of torch, torchvision, timm or fastai, and export it again.",
            code=code,
        )
        self.where, self.path = where, path


class UnsupportedOperator(ExportError):
    """The graph needs an ONNX operator that is not in the allow-list."""

    code = "unsupported_operator"


class UnsupportedLoss(ExportError):
    """The loss does not determine how outputs become answers."""

    code = "unsupported_loss"

    def __init__(self, path: str, *, why: str, fix: str | None = None, code: str | None = None) -> None:
        super().__init__(
            f"the learner's loss is {path}, {why}.",
            fix=fix or "set how outputs become answers with --activation (softmax, sigmoid or identity).",
            code=code,
        )


class UnsupportedLearner(ExportError):
    """fastmar can't serve this kind of learner, one of its callbacks or one of its settings."""

    code = "unsupported_learner"


class ArchiveExists(ExportError):
    """The export would replace an archive of another learner or version."""

    code = "archive_exists"


class ParityFailed(ExportError):
    """Two computations of the same output differ by more than the tolerance."""

    code = "parity_failed"
