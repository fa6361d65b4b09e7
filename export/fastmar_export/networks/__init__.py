"""From the record of a network to an ONNX graph: layers by allow-list, the tree as recorded, one export."""

from fastmar_export.networks.graph import Graph, export_graph
from fastmar_export.networks.rebuild import rebuild

__all__ = ["Graph", "export_graph", "rebuild"]
