"""Runs the example notebook."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "export_from_a_notebook.ipynb"


@pytest.mark.training
@pytest.mark.filterwarnings("default")  # warnings of Jupyter's packages
def test_the_notebook_runs(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # committed without outputs
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "model_store" / "flights-notebook.mar").exists()
    displayed = [output.data for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    assert any("<table>" in data.get("text/html", "") for data in displayed)
