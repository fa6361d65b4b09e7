"""Errors of bundles.

BundleError               an archive, or the folder it was unpacked to, can't be used
├── BundleUnreadable      not an archive of fastmar, or a member is missing or invalid
├── ProtocolUnknown       the spec has a protocol number that this runtime does not read
├── RuntimeMismatch       the archive needs another version of the runtime
├── ExtensionBroken       an extension that the model needs can't be imported
├── GraphRefused          the graph contains an operator that no export writes
├── GraphFailed           ONNX Runtime fails on the graph, or its output can't be decoded
└── GoldenMismatch        this machine does not reproduce the golden records
"""

from __future__ import annotations

from fastmar_contract.errors import FastmarError


class BundleError(FastmarError):
    """An archive, or the folder it was unpacked to, can't be used.

    Attributes:
        file: name of the archive's file, where a server loads several.
    """

    code = "bundle_error"
    file: str | None = None


class BundleUnreadable(BundleError):
    """Not an archive that fastmar wrote, or a member is missing or invalid."""

    code = "bundle_unreadable"


class ProtocolUnknown(BundleError):
    """The spec has a protocol number that this runtime does not read."""

    code = "protocol_unknown"


class RuntimeMismatch(BundleError):
    """The bundle was written for another version of the runtime than the installed one."""

    code = "runtime_mismatch"


class ExtensionBroken(BundleError):
    """An extension that the model needs can't be imported."""

    code = "extension_not_importable"


class GraphRefused(BundleError):
    """The graph contains something that no export writes."""

    code = "graph_refused"


class GraphFailed(BundleError):
    """ONNX Runtime fails on the graph, or the graph's output does not match the spec."""

    code = "graph_failed"


class GoldenMismatch(BundleError):
    """This machine does not reproduce the answers that were recorded at export."""

    code = "golden_mismatch"
