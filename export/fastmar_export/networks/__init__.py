"""Rebuilds a recorded network from allowed layers, and exports it to an ONNX graph."""

from fastmar_export.networks.graph import Graph, export_graph
from fastmar_export.networks.rebuild import rebuild

__all__ = ["Graph", "export_graph", "rebuild"]
