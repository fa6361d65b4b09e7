"""What the commands deploy, rollback and models have in common on the command line. Imports nothing slow."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fastmar_cli.arguments import default_url

if TYPE_CHECKING:
    from fastmar_serving.rollout.server import ServerOptions


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Which server; in a container its own variables say it."""
    parser.add_argument(
        "--url", default=default_url(), help="the server's inference API (default: FASTMAR_URL, or %(default)s)"
    )
    parser.add_argument(
        "--management",
        metavar="ADDRESS",
        help="its management API, unix:/PATH or http://HOST:PORT (default: that of the server at --url)",
    )
    parser.add_argument(
        "--model-store", type=Path, metavar="FOLDER", help="its folder of archives (default: the same server's)"
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="FOLDER",
        help="its folder of defaults.json and audit.jsonl (default: the same server's, else the model store)",
    )
    parser.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="its key_file.json, or a file with the inference key (default: the same server's)",
    )


def server_options(args: argparse.Namespace) -> ServerOptions:
    """The server that the arguments tell of."""
    from fastmar_serving.rollout.server import ServerOptions  # noqa: PLC0415 - after the arguments are known to be right

    return ServerOptions(args.url, args.management, args.key_file, args.model_store, args.state_dir)


def positive(text: str) -> int:
    """A number of things."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def share(text: str) -> float:
    """A number between 0 and 1."""
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return number
