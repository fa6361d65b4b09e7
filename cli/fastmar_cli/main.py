"""The command `fastmar`: imports the module of the subcommand, runs it, and prints errors.

Each subcommand is a module of `commands/` with a docstring (its help), `add_arguments(parser)` and `run(args) -> int`.
Modules that are slow to import are imported inside `run`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from fastmar_cli.parser import Parser, build_parser, command_names, log_level
from fastmar_contract.display import printable
from fastmar_contract.errors import describe_error

REFUSED = 1  # a refused input or model
USAGE = 2  # bad usage
_NOTICES = ("fastmar_serving.rollout", "fastmar_client.scoring")  # loggers
TRACEBACK = "FASTMAR_TRACEBACK"  # environment variable: show the traceback of an unexpected error


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns the exit status: 0, 1 for a refused input or model, 2 for bad usage."""
    argv = sys.argv[1:] if argv is None else list(argv)
    names = command_names()
    parser = build_parser(argv[:1] if set(argv[:1]) & set(names) else names)
    if "_ARGCOMPLETE" in os.environ:
        _complete(parser)
    if not argv:
        parser.print_help()
        return 0
    args, unknown = parser.parse_known_args(argv)
    if unknown:  # print the usage of the subcommand; argparse would print that of `fastmar`
        args.refuse_unknown(unknown)
    level = log_level(args, os.environ)
    logging.getLogger().setLevel(level)
    if logging.lastResort is not None:  # prints what no other handler does; `fastmar serve` has its own
        logging.lastResort.setLevel(level)
    show_notices()
    shows_traceback = TRACEBACK in os.environ or level == logging.DEBUG
    try:
        status: int = args.run(args)
    except BrokenPipeError:  # the reader closed the pipe, as in `fastmar predict ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        if shows_traceback:
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
        if shows_traceback:
            raise
        message = printable(f"unexpected {type(error).__name__}: {error}")
        print(f"{message}\n  Fix: run it again with -v, and report the traceback.", file=sys.stderr)
        return REFUSED
    return status


def show_notices() -> None:
    """Print the log records of rollouts, and those about the columns of tables."""
    for name in _NOTICES:
        log = logging.getLogger(name)
        if not log.handlers:
            log.addHandler(_Notices())
            log.propagate = False


class _Notices(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        from fastmar_cli.console import notice  # noqa: PLC0415 - imports rich

        notice(record.getMessage())


def _complete(parser: Parser) -> None:
    """Answer the completion script of a shell, and exit."""
    from argcomplete.finders import CompletionFinder  # noqa: PLC0415 - an extra

    CompletionFinder()(parser)


if __name__ == "__main__":
    sys.exit(main())
