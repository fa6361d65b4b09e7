"""Arguments that several commands have."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def default_url() -> str:
    """The server that is meant where none is named: FASTMAR_URL, or where `fastmar serve` listens here.

    In a container FASTMAR_PORT tells the latter, unless the server was told otherwise on its command line. Kubernetes
    sets FASTMAR_PORT to an address for a Service named fastmar: that says nothing of this server.
    """
    port = os.environ.get("FASTMAR_PORT") or "8080"
    return os.environ.get("FASTMAR_URL") or f"http://127.0.0.1:{'8080' if '://' in port else port}"


def add_key_file(parser: argparse.ArgumentParser) -> None:
    """The key of a server that is asked."""
    parser.add_argument(
        "--key-file",
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file with the server's key: TorchServe's key_file.json, or a text",
    )
