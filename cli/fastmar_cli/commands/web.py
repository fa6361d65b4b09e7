"""Run a web app with a form for each model of a server.

The forms are generated from the schemas of the models. The server's key stays in this process.

Examples:
  fastmar web --open
  fastmar web --url http://127.0.0.1:9000 --key-file key_file.json
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from fastmar_cli.arguments import default_url, metrics_of, port


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add = parser.add_argument
    add("--url", default=default_url(), help="URL of the model server (default: FASTMAR_URL, or %(default)s)")
    add("--public-url", default="", metavar="URL", help="URL of the model server in the code snippets (default: --url)")
    add("--host", default="127.0.0.1", help="address that the web app listens on (default: %(default)s)")
    add("--port", type=port, default=8501, help="port of the web app; 0 picks a free one (default: %(default)s)")
    add(
        "--key-file",
        "--token-file",
        type=Path,
        metavar="FILE",
        default=os.environ.get("FASTMAR_KEY_FILE") or None,
        help="file with the key of the model server: key_file.json, or a text file (default: FASTMAR_KEY_FILE)",
    )
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="allow requests to this host name, besides localhost and IP addresses; may be repeated",
    )
    add(
        "--trusted-proxy",
        default="",
        metavar="ADDRESS",
        help="IP address of the reverse proxy whose X-Forwarded-For is trusted; '*' trusts every client "
        "(default: none: behind a proxy, all visitors then share the limits of one address)",
    )
    add(
        "--monitor",
        type=Path,
        metavar="FOLDER",
        help="add a page with traffic, drift and deployments of each model; FOLDER is the server's model store",
    )
    add(
        "--metrics-url",
        default="",
        metavar="URL",
        help="with --monitor: the server's metrics (default: those of your server at --url on this machine, else "
        "http://HOST:8082/metrics with the host of --url)",
    )
    add(
        "--request-log",
        type=Path,
        metavar="FOLDER",
        help="with --monitor: the server's request log, to show the names of unknown categories",
    )
    add("--open", action="store_true", help="open the web app in the browser")


def run(args: argparse.Namespace) -> int:
    """Run the web app until a signal ends it."""
    if args.monitor is None and (args.metrics_url or args.request_log):
        args.refuse("--metrics-url and --request-log are options of --monitor")
    for folder in (args.monitor, args.request_log):
        if folder is not None and not folder.is_dir():
            args.refuse(f"{folder} is not a folder")
    from fastmar_web.serving import serve
    from fastmar_web.settings import Settings

    settings = Settings(
        url=args.url,
        public_url=args.public_url,
        host=args.host,
        port=args.port,
        key_file=args.key_file,
        allowed_hosts=frozenset(name.lower() for name in args.allow_host),
        trusted_proxy=args.trusted_proxy,
        monitor=args.monitor,
        metrics_url=args.metrics_url or (metrics_of(args.url) if args.monitor else None) or "",
        request_log=args.request_log,
    )
    return serve(settings, open_browser=args.open)
