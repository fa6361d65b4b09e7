"""Prints the results of deployments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastmar_cli.console import out
from fastmar_serving.rollout.deploy import DeployResult
from fastmar_serving.rollout.shadow import Shadow
from fastmar_serving.rollout.summary import shortened, summary

REMARK_WIDTH = 60  # columns, enough for an example on one line


def lines(result: DeployResult) -> Iterator[Any]:
    """The lines to print; for a failed deployment, those of the completed steps."""
    label = f"{result.name} {result.version}"
    beside = f" beside {result.before}" if result.before else ""
    if result.golden:
        if result.seconds:
            workers = "1 worker" if result.workers == 1 else f"{result.workers} workers"
            yield f"{label} is loaded{beside}: {workers} ready after {result.seconds:.1f} s"
        yield f"Golden records: {result.golden} reproduced, largest difference {result.golden_difference:.1g}"
    for change in result.breaking:
        yield f"Breaking: {shortened(change.where)}: {shortened(change.what)}"
    if result.shadow and result.shadow.answers:
        yield shadow_table(result.shadow)
    if result.accepted:
        yield f"Accepted: {', '.join(result.accepted)}"
    if result.default:
        was = f" (before: {result.before})" if result.before else ""
        yield f"Default: {label}{was}"
    for version in result.unloaded:
        yield f"Unloaded: {result.name} {version}"


def show_shadow(shadow: Shadow) -> None:
    """Print the comparison of two versions."""
    out.print(shadow_table(shadow))


def shadow_table(shadow: Shadow) -> Any:
    """A table of the differences between the answers of two versions."""
    from rich.table import Table  # noqa: PLC0415 - slow to import
    from rich.text import Text  # noqa: PLC0415

    answers = "1 answer" if shadow.answers == 1 else f"{shadow.answers} answers"
    title = Text(f"{answers} of {shadow.old} and {shadow.new}: {shadow.source}")
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    table.add_column("", max_width=REMARK_WIDTH, overflow="fold")
    for what, number, remark in summary(shadow):
        table.add_row(what, number, Text(remark))
    return table
