"""Predicts records with a bundle that `fastmar export` wrote. Every archive contains a copy of this package."""

import os

# Must be set before the import of ONNX Runtime, which otherwise sends usage data to its vendor.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
