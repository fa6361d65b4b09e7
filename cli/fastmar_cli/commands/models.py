"""List the models that a server has loaded: versions, defaults, workers, queues, memory.

With --unload, unload a version that is not the default. With --remove, unload a model with all its versions.

Examples:
  fastmar models
  fastmar models http://127.0.0.1:8080
  fastmar models --unload flights 1.0
  fastmar models --remove flights
"""

from __future__ import annotations

import argparse

from fastmar_cli.rollout_options import add_server_arguments, server_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_server_arguments(parser)
    parser.add_argument(
        "url", nargs="?", metavar="URL", default=argparse.SUPPRESS, help="the server's inference API, as in --url"
    )
    change = parser.add_mutually_exclusive_group()
    change.add_argument(
        "--unload",
        nargs=2,
        metavar=("NAME", "VERSION"),
        help="unload a version that is not the default once it is idle; its archive moves to unloaded/ in the store",
    )
    change.add_argument(
        "--remove",
        metavar="NAME",
        help="unload all versions of a model once they are idle: its callers get 404; the archives move to unloaded/",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON list")


def run(args: argparse.Namespace) -> int:
    """Print a row for each version."""
    import json

    from fastmar_cli.console import out, stages
    from fastmar_serving.rollout.overview import all_versions, as_dict, table
    from fastmar_serving.rollout.server import find_server

    server = find_server(server_options(args))
    if args.unload:
        from fastmar_serving.rollout.unloading import unload_named

        name, version = args.unload
        with stages() as show:
            unload_named(server, name, version, show)
    elif args.remove:
        from fastmar_serving.rollout.unloading import unload_model

        with stages() as show:
            unload_model(server, args.remove, show)
    versions = all_versions(server)
    if args.json:
        print(json.dumps([as_dict(version) for version in versions], ensure_ascii=False))
    else:
        out.print(table(versions))
    return 0
