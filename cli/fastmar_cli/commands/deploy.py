"""Replace the default version of a model on a running server by a new version.

The version is loaded beside the old one and must reproduce its golden records over HTTP. Both versions then answer a
sample of requests, and the differences are printed. Last, the new version becomes the default; the old one stays
loaded, so that `fastmar rollback NAME` is instant.

A version is refused, and the old one stays the default, if it breaks callers (what `fastmar diff` calls breaking), or
answers with an error what the old version answers. `--accept` waives one of these. Each deployment, refused or not, is
a line in the audit log.
"""

from __future__ import annotations

import argparse
from pathlib import Path

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
        help="compare the answers to these, files as `fastmar predict` reads them (default: the golden records)",
    )
    parser.add_argument(
        "--sample", type=positive, default=100, metavar="N", help="of them, at most (default: %(default)s)"
    )
    parser.add_argument(
        "--max-changed",
        type=share,
        metavar="SHARE",
        help="do not switch where a larger share of the predictions changes: 0.05 is 5%%",
    )
    parser.add_argument(
        "--accept",
        action="append",
        choices=WAIVABLE,
        default=[],
        metavar="CHECK",
        help="switch although: breaking-changes (what `fastmar diff` calls breaking), new-errors (records that the "
        "old version answers and the new one does not); may be given for each",
    )
    parser.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS", help="for loading (default: 120)")
    parser.add_argument(
        "--keep",
        type=positive,
        metavar="N",
        help="unload all but the last N versions, once idle, and move their archives to unloaded/ in the store",
    )
    parser.add_argument(
        "--no-default", action="store_true", help="load and compare only; the same command without it switches"
    )
    parser.add_argument("--json", action="store_true", help="print what was found and done as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Deploy; what was found is printed whether it succeeds or not."""
    import json

    from fastmar_cli.console import out, stages
    from fastmar_cli.rollout_report import lines
    from fastmar_cli.signals import ended_by_sigterm
    from fastmar_serving.rollout.deploy import DeployOptions, DeployResult, deploy
    from fastmar_serving.rollout.server import find_server

    if args.keep == 1 and args.no_default:
        args.refuse(
            "--no-default leaves the default and the new version loaded: give --keep 2, or leave one of them out"
        )
    options = DeployOptions(
        archive=args.archive,
        requests=args.requests,
        sample=args.sample,
        max_changed=args.max_changed,
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
    return f"`{shlex.join(['fastmar', 'rollback', name, *url])}` goes back" if before else "`fastmar models` lists it"
