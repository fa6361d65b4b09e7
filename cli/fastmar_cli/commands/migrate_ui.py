"""Carry an old ui.yaml over to a new version of its model.

What the new model has nothing for is left out and told; what it has new gets names by itself. The result goes to
standard output, or to the file given with --output. Comments are not carried over.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("ui", metavar="OLD_UI.yaml", type=Path)
    parser.add_argument("model", metavar="NEW.mar", type=Path)
    parser.add_argument("-o", "--output", type=Path, metavar="UI.yaml", help="where to write it (default: print it)")


def run(args: argparse.Namespace) -> int:
    """Write the new one, and say what changed."""
    import yaml

    from fastmar_cli.console import notice
    from fastmar_contract.errors import FastmarError
    from fastmar_contract.members import SPEC
    from fastmar_export.migration import migrate_ui
    from fastmar_export.presentation import load_ui
    from fastmar_runtime import spec as spec_format
    from fastmar_runtime.predictor import BundleFiles

    spec = spec_format.from_dict(BundleFiles(args.model).json(SPEC))
    migrated = migrate_ui(load_ui(args.ui), spec)
    text = yaml.safe_dump(migrated.ui, sort_keys=False, allow_unicode=True, width=100)
    if args.output is None:
        print(text, end="")
    else:
        if args.output.exists():
            raise FastmarError(f"{args.output} is there already.", fix="give --output another name, or remove it.")
        args.output.write_text(text, encoding="utf-8")
    for part in migrated.dropped:
        notice(f"left out: {part}")
    for part in migrated.unnamed:
        notice(f"says nothing about: {part}")
    return 0
