"""What can go wrong while a learner is read and exported.

    FastmarError                   (fastmar_runtime.errors) carries a message and a fix
    └── ExportError                anything that stops an export
        ├── UnreadableFile         not a learner's file at all: what it is instead, and what to do
        │   ├── TruncatedFile          the file ends too early or is damaged
        │   └── HostileFile            a size, depth, count or bound that no honest learner reaches
        ├── NotALearner            a torch file, but no `learn.export()` inside
        ├── UnsupportedTransform   a transform or proc that has no converter
        ├── UnsupportedModule      a layer outside the allow-list
        ├── UnsupportedOperator    a network whose graph needs an operator outside the allow-list
        ├── UnsupportedLoss        a loss whose answers fastmar can't decode
        ├── UnsupportedLearner     a kind of learner, callback or set-up that fastmar can't serve
        ├── ArchiveExists          the archive of another learner or version has the name already
        └── ParityFailed           graph and network, or fastmar and fastai, disagree

Errors take facts and compose the sentence; every message ends with what to do.
"""

from __future__ import annotations

from fastmar_contract.errors import FastmarError


class ExportError(FastmarError):
    """An export was stopped; nothing was written."""

    code = "export_error"


class UnreadableFile(ExportError):
    """The file is not one that `learn.export()` of fastai 2 writes."""

    code = "unreadable_file"


class TruncatedFile(UnreadableFile):
    """The file ends too early, or a part of it is damaged."""

    code = "truncated_file"


class HostileFile(UnreadableFile):
    """The file goes over a limit that no honest learner reaches."""

    code = "hostile_file"


class NotALearner(ExportError):
    """A torch file without a fastai learner in it."""

    code = "not_a_learner"


class UnsupportedTransform(ExportError):
    """A transform or proc of the inference pipeline has no converter."""

    code = "unsupported_transform"

    def __init__(
        self, where: str, path: str, *, why: str = "which fastmar can't serve", fix: str | None = None
    ) -> None:
        super().__init__(
            f"{where} is {path}, {why}.",
            fix=fix
            or "remove it from the inference pipeline, or write its converter in a checkout (docs/converters.md).",
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
    ) -> None:
        super().__init__(
            f"{where} is {path}, {why}.",
            fix=fix
            or "build the network out of torch's, torchvision's, timm's or fastai's layers, and export it again.",
        )
        self.where, self.path = where, path


class UnsupportedOperator(ExportError):
    """The network needs an operator of ONNX that archives may not hold."""

    code = "unsupported_operator"


class UnsupportedLoss(ExportError):
    """The loss does not tell how outputs become answers."""

    code = "unsupported_loss"

    def __init__(self, path: str, *, why: str, fix: str | None = None) -> None:
        super().__init__(
            f"the learner's loss is {path}, {why}.",
            fix=fix or "say how outputs become answers with --activation (softmax, sigmoid or identity).",
        )


class UnsupportedLearner(ExportError):
    """A kind of learner, a callback or a set-up that fastmar can't serve."""

    code = "unsupported_learner"


class ArchiveExists(ExportError):
    """An archive of another learner or version has the name already, and would be lost."""

    code = "archive_exists"


class ParityFailed(ExportError):
    """Two ways to the same answer disagree by more than the tolerance."""

    code = "parity_failed"
