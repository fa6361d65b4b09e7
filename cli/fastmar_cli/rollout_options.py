"""Arguments that deploy, rollback and models share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fastmar_cli.arguments import default_url, positive, share

__all__ = ["add_server_arguments", "positive", "server_options", "share"]

if TYPE_CHECKING:
    from fastmar_serving.rollout.server import ServerOptions


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that select a server."""
    parser.add_argument(
        "--url", default=default_url(), help="the server's inference API (default: FASTMAR_URL, or %(default)s)"
    )
    parser.add_argument(
        "--management",
        metavar="ADDRESS",
        help="the management API, unix:/PATH or http://HOST:PORT (default: that of the server at --url)",
    )
    parser.add_argument(
        "--model-store", type=Path, metavar="FOLDER", help="the folder of archives (default: that of the server)"
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="FOLDER",
        help="the folder of defaults.json and audit.jsonl (default: that of the server, else the model store)",
    )
    parser.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="key_file.json, or a text file with the inference key (default: that of the server)",
    )


def server_options(args: argparse.Namespace) -> ServerOptions:
    """The server that the arguments name."""
    from fastmar_serving.rollout.server import ServerOptions  # noqa: PLC0415 - after the arguments are known to be right

    return ServerOptions(args.url, args.management, args.key_file, args.model_store, args.state_dir)
