"""Answers records from a bundle that `fastmar export` wrote. Travels inside every archive."""

import os

# ONNX Runtime reports its use to its maker unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
