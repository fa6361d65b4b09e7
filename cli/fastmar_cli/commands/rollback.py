"""Make the version the default again that was it before.

That is the version before in the model store's defaults.json, else the only other one that is loaded. It is loaded
again where it isn't any more. The version that is left stays loaded.
"""

from __future__ import annotations

import argparse

from fastmar_cli.rollout_options import add_server_arguments, server_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("name", metavar="NAME", help="the model")
    add_server_arguments(parser)
    parser.add_argument("--to", metavar="VERSION", help="this version instead")
    parser.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS", help="for loading (default: 120)")
    parser.add_argument("--json", action="store_true", help="print what was done as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Roll back."""
    import json

    from fastmar_cli.console import out, stages
    from fastmar_cli.signals import ended_by_sigterm
    from fastmar_serving.rollout.rollback import roll_back
    from fastmar_serving.rollout.server import find_server

    with ended_by_sigterm(), stages() as show:
        done = roll_back(find_server(server_options(args)), args.name, args.to, timeout=args.timeout, show=show)
    if args.json:
        print(json.dumps(done.as_dict(), ensure_ascii=False))
    else:
        again = ", loaded again" if done.loaded else ""
        out.print(f"Default: {done.name} {done.version}{again} (before: {done.before})", markup=False)
    return 0
