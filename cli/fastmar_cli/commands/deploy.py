"""Replace the default version of a model on a running server by a new version.

The new version is loaded beside the old one and must reproduce its golden records over HTTP. Then both versions answer
a sample of requests, and the differences are printed. Finally the new version becomes the default; the old one stays
loaded, so that `fastmar rollback NAME` is instant.

A new version with breaking changes (see `fastmar diff`) is refused, and so is one that returns errors for records that
the old version answers. `--accept` waives one of these checks. The audit log has a line for each deployment.

Examples:
  fastmar deploy new/flights.mar --requests rows.csv
  fastmar deploy new/flights.mar --accept breaking-changes
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fastmar_cli.arguments import seconds
from fastmar_cli.rollout_options import add_server_arguments, positive, server_options, share
from fastmar_serving.rollout.check_names import WAIVABLE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("archive", metavar="MODEL.mar", type=Path, help="the new version")
    add_server_arguments(parser)
    parser.add_argument(
        "--requests",
        metavar="FILE",
        nargs="+",
        default=[],
        help="compare the answers to these files, in the formats of `fastmar predict` (default: the golden records)",
    )
    parser.add_argument(
        "--sample",
        type=positive,
        default=100,
        metavar="N",
        help="maximum number of requests (default: %(default)s)",
    )
    parser.add_argument(
        "--max-changed",
        type=share,
        metavar="SHARE",
        help="do not switch if a larger share of predictions changes, such as 0.05 for 5%%",
    )
    parser.add_argument(
        "--tolerance",
        type=share,
        default=1e-4,
        metavar="SHARE",
        help="relative difference above which a predicted number counts as changed (default: %(default)s)",
    )
    parser.add_argument(
        "--accept",
        action="append",
        choices=WAIVABLE,
        default=[],
        metavar="CHECK",
        help="waive a check: breaking-changes (see `fastmar diff`) or new-errors (for records that the old version "
        "answers); may be repeated",
    )
    parser.add_argument(
        "--timeout", type=seconds, default=120.0, metavar="SECONDS", help="limit for loading (default: 120)"
    )
    parser.add_argument(
        "--keep",
        type=positive,
        metavar="N",
        help="keep the last N versions, unload others once idle, and move their archives to unloaded/ in the store",
    )
    parser.add_argument("--no-default", action="store_true", help="only load and compare; the default version stays")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Deploy; the result is printed also if the deployment fails."""
    import json

    from fastmar_cli.console import out, stages
    from fastmar_cli.rollout_report import lines
    from fastmar_serving.rollout.deploy import DeployOptions, DeployResult, deploy
    from fastmar_serving.rollout.server import find_server
    from fastmar_serving.signals import ended_by_sigterm

    if args.keep == 1 and args.no_default:
        args.refuse(
            "--no-default leaves the default and the new version loaded: give --keep 2, or leave one of them out"
        )
    options = DeployOptions(
        archive=args.archive,
        requests=args.requests,
        sample=args.sample,
        max_changed=args.max_changed,
        tolerance=args.tolerance,
        timeout=args.timeout,
        keep=args.keep,
        default=not args.no_default,
        accepted=frozenset(args.accept),
    )
    result = DeployResult()
    try:
        with ended_by_sigterm(), stages() as show:
            deploy(find_server(server_options(args)), options, result, show)
    finally:
        if args.json and result.name:
            print(json.dumps(result.as_dict(), ensure_ascii=False))
        elif not args.json:
            for line in lines(result):
                out.print(line, markup=False)
    if not args.json:
        out.print(f"Next: {_next(args, result.name, result.before, is_default=result.default)}", markup=False)
    return 0


def _next(args: argparse.Namespace, name: str, before: str | None, *, is_default: bool) -> str:
    import shlex

    from fastmar_cli.arguments import default_url

    url = [] if args.url == default_url() else ["--url", args.url]
    if not is_default:
        return f"`{shlex.join(['fastmar', 'deploy', str(args.archive), *url])}` makes it the default"
    if before:
        return f"`{shlex.join(['fastmar', 'rollback', name, *url])}` goes back"
    return f"`{shlex.join(['fastmar', 'models', *url])}` lists it"
