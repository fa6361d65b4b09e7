"""What the commands of the benchmarks share: their parser, options, and file of results."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def parser_of(name: str, description: str | None = None) -> argparse.ArgumentParser:
    """The parser of `python -m benchmarks.NAME`, with the option `--json`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results to this file")
    return parser


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Add the option for the folder of large temporary files."""
    parser.add_argument("--folder", type=Path, help="folder for temporary files")


def write_results(file: Path | None, results: Mapping[str, Any]) -> None:
    """Write the results to the file of `--json`, if it is given."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
        print(f"Written to {file}")
