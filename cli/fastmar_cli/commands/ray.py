"""Serve models on Ray Serve: write the folder for `serve run config.yaml`, or for AWS's Ray Serve image.

Examples:
  fastmar ray package model_store/flights.mar -o ray
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fastmar_cli.arguments import port, positive
from fastmar_cli.console import out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments; options that are not set are omitted, since `Options` has the defaults."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("package", help="write the files", argument_default=argparse.SUPPRESS).add_argument
    add("archives", nargs="+", type=Path, metavar="MODEL.mar", help="archives; the newest version is the default")
    add("-o", "--output", type=Path, default=Path("ray"), help="folder, .tar.gz or .zip (default: %(default)s)")
    add("--replicas", type=positive, metavar="N", help="number of replicas, or the minimum (default: 1)")
    add("--max-replicas", type=positive, metavar="N", help="scale automatically to at most N replicas")
    add("--target-requests", type=float, metavar="N", help="target requests in progress per replica (default: 16)")
    add("--cpus", type=float, metavar="N", help="CPUs of a replica (default: 1)")
    add("--host", help="address of the server on each node (default: 127.0.0.1)")
    add("--port", type=port, help="port of the server (default: 8080)")


def run(args: argparse.Namespace) -> int:
    """Write the output, and print the models in it."""
    from fastmar_serving.ray.package import Options, package

    given = {name: value for name, value in vars(args).items() if name in Options.__dataclass_fields__}
    archives = package(args.archives, args.output, Options(**given))
    out.print(f"{args.output}  ({', '.join(archive.label for archive in archives)})", markup=False)
    return 0
