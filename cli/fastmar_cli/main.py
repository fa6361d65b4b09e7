"""The command `fastmar`: finds the subcommand's file, imports it alone, and turns errors into one readable message.

A subcommand is one file in `commands/`, named like it, with a docstring (its help), `add_arguments(parser)` and
`run(args) -> int`. Whatever is slow to import is imported inside `run`.
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

REFUSED = 1  # a refused input or model
USAGE = 2  # bad usage
TRACEBACK = "FASTMAR_TRACEBACK"  # environment: show where an unexpected error came from


def command_names() -> list[str]:
    """Names of the subcommands, read off the folder without importing any."""
    files = (info.name for info in pkgutil.iter_modules(commands.__path__))
    return sorted(name.replace("_", "-") for name in files if not name.startswith("_"))


def load(name: str) -> ModuleType:
    """Import the file of one subcommand."""
    return importlib.import_module(f"{commands.__name__}.{name.replace('-', '_')}")


def build_parser(names: Sequence[str]) -> argparse.ArgumentParser:
    """A parser that knows the given subcommands."""
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
    """Run one subcommand; the value is the exit status: 0, 1 for a refused input or model, 2 for bad usage."""
    argv = sys.argv[1:] if argv is None else list(argv)
    names = command_names()
    asked = next((word for word in argv if not word.startswith("-")), None)
    parser = build_parser([asked] if asked in names else names)
    args, unknown = parser.parse_known_args(argv)
    if unknown:  # said with the subcommand's usage, where argparse would print that of `fastmar`
        args.refuse(f"unrecognized arguments: {' '.join(unknown)}")
    show_notices()
    try:
        status: int = args.run(args)
    except BrokenPipeError:  # `fastmar predict ... | head`: the reader went away, which is no error of ours
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        if TRACEBACK in os.environ:
            raise
        print(
            f"`fastmar {args.command}` needs {error.name}, which is not installed here.\n"
            "  Fix: pip install 'fastmar[export,serve,web]', or in a server's image run it outside of it.",
            file=sys.stderr,
        )
        return REFUSED
    except Exception as error:
        if hasattr(error, "fix"):  # an error for a person: each of our packages has a tree of them, of one form
            print(printable(str(error)), file=sys.stderr)
            return REFUSED
        if TRACEBACK in os.environ:
            raise
        said = printable(f"{type(error).__name__}: {error}")
        print(f"fastmar itself failed. {said}\n  Fix: set {TRACEBACK}=1, run it again, and report it.", file=sys.stderr)
        return REFUSED
    return status


def show_notices() -> None:
    """Show what rollouts log; the terminal's module is imported with the first notice."""
    log = logging.getLogger("fastmar_serving.rollout")
    if not log.handlers:
        log.addHandler(_Notices())
        log.propagate = False


class _Notices(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        from fastmar_cli.console import notice  # noqa: PLC0415 - rich, where something is printed

        notice(record.getMessage())


def _version() -> str:
    try:
        return importlib.metadata.version("fastmar")
    except importlib.metadata.PackageNotFoundError:  # a bare checkout
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
