"""What can go wrong while a bundle is opened.

BundleError               an archive or its folder can't be served
├── BundleUnreadable      not an archive of fastmar's, or a part is missing
├── ProtocolUnknown       written by another protocol than this runtime reads
├── RuntimeMismatch       needs another version of the runtime
├── GraphRefused          the graph holds an operator that no export writes
├── GraphFailed           ONNX Runtime fails on the graph, or its output can't be decoded
└── GoldenMismatch        the golden records are not reproduced here
"""

from __future__ import annotations

from fastmar_contract.errors import FastmarError


class BundleError(FastmarError):
    """An archive, or the folder it was unpacked to, can't be served."""

    code = "bundle_error"


class BundleUnreadable(BundleError):
    """Not an archive that fastmar wrote, or a part of it is missing or damaged."""

    code = "bundle_unreadable"


class ProtocolUnknown(BundleError):
    """The bundle speaks a protocol number that this runtime does not read."""

    code = "protocol_unknown"


class RuntimeMismatch(BundleError):
    """The bundle was written for another version of the runtime than the one that opened it."""

    code = "runtime_mismatch"


class GraphRefused(BundleError):
    """The graph holds something that no export writes."""

    code = "graph_refused"


class GraphFailed(BundleError):
    """ONNX Runtime fails on the graph, or the graph answers something else than the spec says."""

    code = "graph_failed"


class GoldenMismatch(BundleError):
    """This machine does not reproduce the answers that were recorded at export."""

    code = "golden_mismatch"
