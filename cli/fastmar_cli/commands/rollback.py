"""Switch a model back to its previous default version.

That is the previous version in the model store's defaults.json, else the only other loaded version. It is loaded again
if necessary. The current version stays loaded.

Examples:
  fastmar rollback flights
  fastmar rollback flights --to 1.0
"""

from __future__ import annotations

import argparse

from fastmar_cli.arguments import seconds
from fastmar_cli.rollout_options import add_server_arguments, server_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("name", metavar="NAME", help="the model")
    add_server_arguments(parser)
    parser.add_argument("--to", metavar="VERSION", help="switch to this version instead")
    parser.add_argument(
        "--timeout", type=seconds, default=120.0, metavar="SECONDS", help="limit for loading (default: 120)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Roll back."""
    import json

    from fastmar_cli.console import out, stages
    from fastmar_serving.rollout.rollback import roll_back
    from fastmar_serving.rollout.server import find_server
    from fastmar_serving.signals import ended_by_sigterm

    with ended_by_sigterm(), stages() as show:
        done = roll_back(find_server(server_options(args)), args.name, args.to, timeout=args.timeout, show=show)
    if args.json:
        print(json.dumps(done.as_dict(), ensure_ascii=False))
    else:
        again = ", loaded again" if done.loaded else ""
        out.print(f"Default: {done.name} {done.version}{again} (before: {done.before})", markup=False)
    return 0
