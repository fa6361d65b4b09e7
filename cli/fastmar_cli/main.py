"""The command `fastmar`: imports the module of the subcommand, runs it, and prints errors.

Each subcommand is a module of `commands/` with a docstring (its help), `add_arguments(parser)` and `run(args) -> int`.
Modules that are slow to import are imported inside `run`.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import logging
import os
import pkgutil
import sys
from collections.abc import Sequence
from types import ModuleType

from fastmar_cli import commands
from fastmar_contract.display import printable
from fastmar_contract.errors import describe_error

REFUSED = 1  # a refused input or model
USAGE = 2  # bad usage
TRACEBACK = "FASTMAR_TRACEBACK"  # environment variable: show the traceback of an unexpected error


def command_names() -> list[str]:
    """Names of the subcommands, from a listing of the folder."""
    files = (info.name for info in pkgutil.iter_modules(commands.__path__))
    return sorted(name.replace("_", "-") for name in files if not name.startswith("_"))


def load(name: str) -> ModuleType:
    """Import the module of a subcommand."""
    return importlib.import_module(f"{commands.__name__}.{name.replace('-', '_')}")


def build_parser(names: Sequence[str]) -> argparse.ArgumentParser:
    """A parser of the given subcommands."""
    parser = argparse.ArgumentParser(
        prog="fastmar", description="Puts fastai models into production: learner.pkl -> model.mar -> TorchServe."
    )
    parser.add_argument("--version", action="version", version=f"fastmar {_version()}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in names:
        module = load(name)
        help_text = (module.__doc__ or "").strip()
        subparser = subparsers.add_parser(
            name,
            help=help_text.splitlines()[0].rstrip("."),
            description=help_text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run, refuse=subparser.error)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns the exit status: 0, 1 for a refused input or model, 2 for bad usage."""
    argv = sys.argv[1:] if argv is None else list(argv)
    names = command_names()
    command = next((argument for argument in argv if not argument.startswith("-")), None)
    parser = build_parser([command] if command in names else names)
    args, unknown = parser.parse_known_args(argv)
    if unknown:  # print the usage of the subcommand; argparse would print that of `fastmar`
        args.refuse(f"unrecognized arguments: {' '.join(unknown)}")
    show_notices()
    try:
        status: int = args.run(args)
    except BrokenPipeError:  # the reader closed the pipe, as in `fastmar predict ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        if TRACEBACK in os.environ:
            raise
        print(
            f"`fastmar {args.command}` requires {error.name}, which is not installed.\n"
            "  Fix: pip install '.[export,serve,asgi,web,monitoring]' in a checkout of fastmar, or "
            "pip install 'fastmar[export,serve,asgi,web,monitoring]'. "
            "In a server's image, use that of the engine, or run it outside.",
            file=sys.stderr,
        )
        return REFUSED
    except Exception as error:
        if hasattr(error, "fix"):  # an error class of one of our packages
            print(printable(describe_error(error)), file=sys.stderr)
            return REFUSED
        if TRACEBACK in os.environ:
            raise
        message = printable(f"unexpected {type(error).__name__}: {error}")
        print(f"{message}\n  Fix: set {TRACEBACK}=1, run it again, and report the traceback.", file=sys.stderr)
        return REFUSED
    return status


def show_notices() -> None:
    """Print the log records of rollouts."""
    log = logging.getLogger("fastmar_serving.rollout")
    if not log.handlers:
        log.addHandler(_Notices())
        log.propagate = False


class _Notices(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        from fastmar_cli.console import notice  # noqa: PLC0415 - imports rich

        notice(record.getMessage())


def _version() -> str:
    try:
        return importlib.metadata.version("fastmar")
    except importlib.metadata.PackageNotFoundError:  # a checkout without an installation
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
