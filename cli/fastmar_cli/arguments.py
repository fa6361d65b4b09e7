"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path


def read_variable(environ: Mapping[str, str], variable: str) -> str:
    """The value of an option's environment variable; empty if it is not set.

    Kubernetes sets FASTMAR_PORT=tcp://10.0.0.7:8080 for a Service named fastmar; such values are ignored.
    """
    text = environ.get(variable, "").strip()
    return "" if "://" in text else text


def default_url() -> str:
    """The default of --url: FASTMAR_URL, or the address of `fastmar serve` on this machine (see FASTMAR_PORT)."""
    port = read_variable(os.environ, "FASTMAR_PORT") or "8080"
    return os.environ.get("FASTMAR_URL") or f"http://127.0.0.1:{port}"


def add_key_file(parser: argparse.ArgumentParser) -> None:
    """Add the option for the server's key."""
    parser.add_argument(
        "--key-file",
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file with the server's key: its key_file.json, or a text file with only the key",
    )
