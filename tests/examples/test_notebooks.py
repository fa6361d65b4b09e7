"""Runs the notebooks in examples/notebooks with the packages that are installed, without network.

A new notebook is tested without a change here. It is skipped if a package that it imports is not installed.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from tests.spark.session import java_home

from fastmar_runtime.predictor import Predictor

FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
TIMEOUT = 300  # seconds for a cell
JAVA = {"spark"}  # notebooks that need a JDK
LONGEST = 45  # lines of code in a notebook

# A first cell: the kernel is of this environment, and connections to other machines are refused.
FIRST = f"""
import ipaddress, sys

assert sys.executable == {sys.executable!r}

def refuse(event, details):
    if event == "socket.connect" and isinstance(details[1], tuple):
        if ipaddress.ip_address(details[1][0]).is_global:
            raise PermissionError(details[1][0])

sys.addaudithook(refuse)
"""


def code_of(notebook: Any) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def missing_packages(notebook: Any) -> list[str]:
    """Imported packages that are not installed."""
    names = set()
    for node in ast.walk(ast.parse("\n".join(code_of(notebook)))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return sorted(name for name in {name.partition(".")[0] for name in names} if not importlib.util.find_spec(name))


def test_there_is_a_notebook_for_each_kind_of_learner() -> None:
    assert {"tabular", "vision", "text", "collab"} <= {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_short_and_has_no_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code), "clear its outputs"
    assert sum(len(source.splitlines()) for source in code_of(notebook)) <= LONGEST
    assert notebook.cells[0].source.startswith("# ")  # the title of its page
    assert set(notebook.metadata) == {"kernelspec"}
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.training
@pytest.mark.filterwarnings("default")  # warnings of Jupyter's packages
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    if missing := missing_packages(notebook):
        pytest.skip(f"not installed: {', '.join(missing)}")
    if path.stem in JAVA and java_home() is None:
        pytest.skip("Spark needs a complete JDK")
    notebook.cells.insert(0, nbformat.v4.new_code_cell(FIRST))
    NotebookClient(notebook, timeout=TIMEOUT, resources={"metadata": {"path": str(tmp_path)}}).execute()
    archives = list((tmp_path / "model_store").glob("*.mar"))
    assert archives
    for archive in archives:
        Predictor.open(str(archive))


@pytest.mark.filterwarnings("default")
def test_connections_to_other_machines_are_refused(tmp_path: Path) -> None:
    tries = "import socket\nsocket.create_connection(('1.1.1.1', 80), timeout=1)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (FIRST, tries)])
    client = NotebookClient(notebook, timeout=TIMEOUT, allow_errors=True)
    client.execute()
    [error] = [output for output in notebook.cells[1].outputs if output.output_type == "error"]
    assert error.ename == "PermissionError"
