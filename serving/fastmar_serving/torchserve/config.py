"""TorchServe's properties."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from fastmar_serving.archives import Archive
from fastmar_serving.errors import ConfigRefused
from fastmar_serving.ports import INFERENCE, MANAGEMENT, METRICS, free_port
from fastmar_serving.run_directory import RunDirectory
from fastmar_serving.settings import Settings

NUMBERS = frozenset(
    {
        "default_response_timeout",
        "default_startup_timeout",
        "default_workers_per_model",
        "grpc_inference_port",
        "grpc_inference_max_connection_age_ms",
        "grpc_inference_max_connection_age_grace_ms",
        "grpc_management_port",
        "grpc_management_max_connection_age_ms",
        "grpc_management_max_connection_age_grace_ms",
        "initial_distribution_port",
        "initial_worker_port",
        "io_ratio",
        "job_queue_size",
        "max_request_size",
        "max_response_size",
        "metric_time_interval",
        "netty_client_threads",
        "number_of_gpu",
        "number_of_netty_threads",
        "token_expiration_min",
        "unregister_model_timeout",
    }
)  # TorchServe hangs silently on other values of these
# TorchServe would write these headers beside those of the front, the Java code that receives each request (`front/`).
CORS = ("cors_allowed_origin", "cors_allowed_methods", "cors_allowed_headers")


def render(settings: Settings, run: RunDirectory, archives: list[Archive]) -> dict[str, str]:
    """TorchServe's properties: built-in values, overridden by --config, overridden by the command line."""
    properties = read_properties(resources.files(__package__).joinpath("config.properties").read_text("utf-8"))
    if settings.config is not None:
        try:
            own = read_properties(settings.config.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigRefused(
                f"{settings.config} can't be read: {error}.", fix="give --config a text file.", code="config_unreadable"
            ) from error
        _check_numbers(own, settings.config)
        properties |= own
    if settings.tls_cert is not None or settings.tls_key is not None:
        raise ConfigRefused(
            "--tls-cert and --tls-key are options of the asgi engine.",
            fix="use --engine asgi, or put a proxy with TLS in front of the server (docker/tls).",
            code="option_not_supported",
        )
    for host in (settings.host, settings.metrics_host):
        if ":" in host:
            raise ConfigRefused(
                f"TorchServe can't listen on {host}.", fix="give an IPv4 address or a host name.", code="ipv6_address"
            )
    metrics_port = settings.metrics_port or free_port(settings.metrics_host, METRICS)
    properties |= {
        INFERENCE: f"http://{settings.host}:{settings.port or free_port(settings.host)}",
        MANAGEMENT: _management_address(settings, run),
        METRICS: f"http://{settings.metrics_host}:{metrics_port}",
        "model_store": str(settings.model_store.resolve()),
        "load_models": ",".join(archive.path.name for archive in archives),
        "disable_token_authorization": "true",  # the front compares the keys
        "metrics_config": str(run.metrics),
    }
    for name in CORS:
        properties.pop(name, None)
    if settings.workers is not None:
        properties["default_workers_per_model"] = str(settings.workers)
    return properties


def _check_numbers(properties: dict[str, str], file: Path) -> None:
    """Raise ConfigRefused for a value that TorchServe reads as a number, and is none."""
    for name in sorted(NUMBERS & properties.keys()):
        if not re.fullmatch(r"-?[0-9]+", properties[name]):
            raise ConfigRefused(
                f"{name}={properties[name]!s:.80} in {file} is not a whole number.",
                fix=f"give {name} a whole number without a unit, and put comments on lines of their own.",
                code="invalid_property",
            )


def read_properties(text: str) -> dict[str, str]:
    """Parse `name=value` lines; a line that begins with # is a comment."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def write_properties(properties: dict[str, str], path: Path) -> None:
    """Write properties in Java's format, with escaped backslashes and non-ASCII characters."""
    lines = [f"{name}={value.replace(chr(92), chr(92) * 2)}" for name, value in properties.items()]
    path.write_text("".join(f"{_in_ascii(line)}\n" for line in lines), encoding="ascii")


def _in_ascii(text: str) -> str:
    """`text` with a Unicode escape for each non-ASCII unit of UTF-16, since Java reads properties as Latin-1."""
    data = text.encode("utf-16-be", "surrogatepass")
    units = (int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2))
    return "".join(chr(unit) if unit < 128 else f"\\u{unit:04x}" for unit in units)


def _management_address(settings: Settings, run: RunDirectory) -> str:
    if settings.management == "unix":
        return f"unix:{run.management_socket}"
    if settings.management.isdecimal():
        return f"http://127.0.0.1:{int(settings.management) or free_port('127.0.0.1')}"
    raise ConfigRefused(
        f"--management {settings.management!r} is neither `unix` nor a port.",
        fix="give `unix` for a socket in the run directory, or a port on loopback.",
        code="invalid_management_address",
    )
