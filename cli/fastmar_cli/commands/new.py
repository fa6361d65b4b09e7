"""Write a new ui.yaml for a model: all its fields and labels, with comments about what can be changed.

Examples:
  fastmar new ui.yaml model_store/flights.mar
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fastmar_cli.arguments import is_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("ui", metavar="UI.yaml", type=Path, help="file to write; it must not exist")
    parser.add_argument("model", metavar="MODEL.mar", type=Path)


def run(args: argparse.Namespace) -> int:
    """Write the file."""
    from fastmar_cli.console import out, write_new
    from fastmar_export.ui_draft import draft_ui
    from fastmar_runtime.bundle import BundleFiles
    from fastmar_runtime.checks import read_spec

    if is_model(str(args.ui)):
        args.refuse(f"the file to write comes first: fastmar new {args.model} {args.ui}")
    write_new(args.ui, draft_ui(read_spec(BundleFiles(args.model))))
    out.print(f"{args.ui}\nNext: change it, then fastmar export LEARNER.pkl --name NAME --ui {args.ui}", markup=False)
    return 0
