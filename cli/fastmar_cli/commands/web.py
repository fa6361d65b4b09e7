"""Forms for the models of a server, in a browser.

Each model's form is made from its schema; nothing has to be written. The server's key, where it asks for one, stays in
this process.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from fastmar_cli.arguments import default_url


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add = parser.add_argument
    add("--url", default=default_url(), help="the model server (default: FASTMAR_URL, or %(default)s)")
    add("--public-url", default="", metavar="URL", help="its address in the requests to copy (default: that of --url)")
    add("--host", default="127.0.0.1", help="address of the web app (default: %(default)s)")
    add("--port", type=int, default=8501, help="its port; 0 picks a free one (default: %(default)s)")
    add(
        "--key-file",
        "--token-file",
        type=Path,
        metavar="FILE",
        default=os.environ.get("FASTMAR_KEY_FILE") or None,
        help="the server's key: its key_file.json, or a file with the key alone (default: FASTMAR_KEY_FILE)",
    )
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name under which the web app is called, beside localhost and IP addresses; may be repeated",
    )
    add(
        "--trusted-proxy",
        default="",
        metavar="ADDRESS",
        help="IP address of the reverse proxy in front, whose X-Forwarded-For says where a request comes from; "
        "'*' trusts every client (default: none; limits by address then see the proxy's)",
    )
    add("--open", action="store_true", help="open it in the browser")


def run(args: argparse.Namespace) -> int:
    """Run the web app until it is told to stop."""
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
    )
    return serve(settings, open_browser=args.open)
