"""Arguments that several commands have."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_key_file(parser: argparse.ArgumentParser) -> None:
    """The key of a server that is asked."""
    parser.add_argument(
        "--key-file",
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file with the server's key: TorchServe's key_file.json, or a text",
    )
