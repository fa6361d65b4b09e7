"""Migrate a ui.yaml to a new version of its model.

Entries without a counterpart in the new model are dropped with a note. New columns get generated labels. The result is
printed, or written to the file of --output. Comments are not kept.

Examples:
  fastmar migrate-ui ui.yaml new/flights.mar -o new-ui.yaml
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("ui", metavar="OLD_UI.yaml", type=Path)
    parser.add_argument("model", metavar="NEW.mar", type=Path)
    parser.add_argument("-o", "--output", type=Path, metavar="UI.yaml", help="output file (default: print it)")


def run(args: argparse.Namespace) -> int:
    """Write the migrated file, and print notes about changes."""
    import yaml

    from fastmar_cli.console import notice, write_new
    from fastmar_contract.members import SPEC
    from fastmar_export.migration import migrate_ui
    from fastmar_export.ui_file import load_ui
    from fastmar_runtime import spec as spec_format
    from fastmar_runtime.predictor import BundleFiles

    spec = spec_format.from_dict(BundleFiles(args.model).json(SPEC))
    old = load_ui(args.ui)
    migrated = migrate_ui(old.content, spec)
    text = yaml.safe_dump(migrated.ui, sort_keys=False, allow_unicode=True, width=100)
    if args.output is None:
        print(text, end="")
    else:
        write_new(args.output, text)
    for part in migrated.dropped:
        notice(f"dropped: {part}")
    for part in migrated.unnamed:
        notice(f"without an entry: {part}")
    if old.has_comments:
        notice(f"comments of {args.ui} are not kept.")
    return 0
