"""Arguments that several commands have."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path


def option_in(environ: Mapping[str, str], variable: str) -> str:
    """What a variable says of an option; empty where it says nothing.

    Kubernetes tells a Service named fastmar as FASTMAR_PORT=tcp://10.0.0.7:8080, which is no option of ours.
    """
    text = environ.get(variable, "").strip()
    return "" if "://" in text else text


def default_url() -> str:
    """The server that is meant where none is named: FASTMAR_URL, or where `fastmar serve` listens here.

    In a container FASTMAR_PORT tells the latter, unless the server was told otherwise on its command line.
    """
    port = option_in(os.environ, "FASTMAR_PORT") or "8080"
    return os.environ.get("FASTMAR_URL") or f"http://127.0.0.1:{port}"


def add_key_file(parser: argparse.ArgumentParser) -> None:
    """The key of a server that is asked."""
    parser.add_argument(
        "--key-file",
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file with the server's key: TorchServe's key_file.json, or a text",
    )
