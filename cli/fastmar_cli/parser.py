"""The parser of the command line: commands in groups, suggestions for misspelled words, options of all commands."""

from __future__ import annotations

import argparse
import difflib
import importlib
import importlib.metadata
import logging
import pkgutil
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from fastmar_cli import commands

GROUPS = {
    "From a learner to an archive": ("inspect", "export", "verify", "diff", "doctor", "new", "migrate-ui"),
    "Predictions": ("predict", "score", "recommend", "generate"),
    "Servers": ("serve", "web", "models", "deploy", "rollback"),
    "Monitoring": ("drift", "feedback"),
    "Clouds": ("ray", "sagemaker"),
    "Shell": ("completion",),
}
EXAMPLES = """\
Examples:
  fastmar export learner.pkl --name flights          writes flights.mar
  fastmar predict model_store/flights.mar rows.csv   predicts without a server
  fastmar serve                                      serves model_store/*.mar
  fastmar web --open                                 shows forms in the browser
  fastmar export --help                              shows options and examples"""
LOG_LEVEL = "FASTMAR_LOG_LEVEL"  # environment variable: the default of --log-level
MIN_RATIO = 0.7  # difflib's similarity of a suggestion
LEVELS = ("debug", "info", "warning", "error")


class Parser(argparse.ArgumentParser):
    """A parser that suggests a similar word for an unknown one; each has the options of all commands."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**options)
        group = self.add_argument_group("options of all commands")
        # Without defaults: those of a subcommand would replace what precedes the subcommand.
        add = group.add_argument
        add("--log-level", choices=LEVELS, default=argparse.SUPPRESS, help="lowest level of log lines to print")
        add(
            "-v",
            "--verbose",
            dest="log_level",
            action="store_const",
            const="debug",
            default=argparse.SUPPRESS,
            help="print all log lines, and the traceback of an unexpected error",
        )
        add(
            "-q",
            "--quiet",
            dest="log_level",
            action="store_const",
            const="error",
            default=argparse.SUPPRESS,
            help="print only results and errors: no progress, notes or warnings",
        )

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        choices = [] if action.choices is None else [str(choice) for choice in action.choices]
        if choices and value not in choices and (near := similar(str(value), choices)):
            raise argparse.ArgumentError(action, f"{value!r} is unknown; did you mean {near!r}?")
        super()._check_value(action, value)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """See `argparse`. A misspelled option is reported before the arguments that are missing because of it."""
        words = list(sys.argv[1:] if args is None else args)
        if self._subparsers is None:
            before_separator = words[: words.index("--")] if "--" in words else words
            if any(self._is_misspelled(word) for word in before_separator):
                self.refuse_unknown([word for word in before_separator if self._is_misspelled(word)])
        return super().parse_known_args(words, namespace)

    def _is_misspelled(self, word: str) -> bool:
        """Whether a word is an unknown option and similar to a known one. argparse accepts the start of an option."""
        option = word.partition("=")[0]
        return (
            option.startswith("--")
            and not any(known.startswith(option) for known in self._options())
            and (similar(option, self._options()) is not None)
        )

    def _options(self) -> list[str]:
        return [option for option in self._option_string_actions if option.startswith("--")]

    def refuse_unknown(self, words: Sequence[str]) -> None:
        """Exit with a usage error about arguments that this parser does not know."""
        found = [similar(word.partition("=")[0], self._options()) for word in words if word.startswith("--")]
        hints = " or ".join(option for option in found if option)
        self.error(f"unrecognized arguments: {' '.join(words)}" + (f"; did you mean {hints}?" if hints else ""))


def command_names() -> list[str]:
    """Names of the subcommands, from a listing of the folder."""
    files = (info.name for info in pkgutil.iter_modules(commands.__path__))
    return sorted(name.replace("_", "-") for name in files if not name.startswith("_"))


def load(name: str) -> ModuleType:
    """Import the module of a subcommand."""
    return importlib.import_module(f"{commands.__name__}.{name.replace('-', '_')}")


def build_parser(names: Sequence[str]) -> Parser:
    """A parser of the given subcommands."""
    parser = Parser(prog="fastmar", usage="fastmar COMMAND ...")
    parser.add_argument("--version", action="version", version=f"fastmar {_version()}")
    subparsers = parser.add_subparsers(
        prog="fastmar", dest="command", metavar="COMMAND", required=True, help=argparse.SUPPRESS
    )
    titles = {}
    for name in names:
        module = load(name)
        description = (module.__doc__ or "").strip()
        titles[name] = description.splitlines()[0].rstrip(".")
        subparser = subparsers.add_parser(name, description=description)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run, refuse=subparser.error, refuse_unknown=subparser.refuse_unknown)
    parser.description = _overview(titles)
    parser.epilog = EXAMPLES
    return parser


def requested_level(args: argparse.Namespace, environ: Mapping[str, str]) -> str:
    """The name of the level in the options or in FASTMAR_LOG_LEVEL; empty if there is none."""
    return getattr(args, "log_level", None) or environ.get(LOG_LEVEL, "").lower()


def log_level(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """The level of --log-level, -v and --quiet, else of FASTMAR_LOG_LEVEL."""
    name = requested_level(args, environ) or "warning"
    if name not in LEVELS:
        args.refuse(f"{LOG_LEVEL} must be one of {', '.join(LEVELS)}; got {name!r}")
    return logging.getLevelNamesMapping()[name.upper()]


def similar(word: str, known: Sequence[str]) -> str | None:
    """A known word that differs by two swapped letters, which difflib rates low in short words; else a close one."""
    swapped = {word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1)}
    close = difflib.get_close_matches(word, known, 1, MIN_RATIO)
    return next(iter([*(each for each in known if each in swapped), *close]), None)


def _overview(titles: dict[str, str]) -> str:
    """The commands in groups, each with the first line of its help."""
    width = shutil.get_terminal_size().columns - 2
    lines = ["Puts fastai models into production: learner.pkl -> model.mar -> server."]
    for group, names in GROUPS.items():
        lines += ["", f"{group}:"]
        for name in names:
            text = textwrap.wrap(titles.get(name, ""), max(width - 15, 20)) or [""]
            lines += [f"  {name:<12} {text[0]}", *(f"{'':15}{more}" for more in text[1:])]
    return "\n".join(lines)


def _version() -> str:
    try:
        return importlib.metadata.version("fastmar")
    except importlib.metadata.PackageNotFoundError:  # a checkout without an installation
        return "(not installed)"
