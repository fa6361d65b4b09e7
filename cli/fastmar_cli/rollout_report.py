"""Prints the results of deployments."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

from fastmar_cli.console import out
from fastmar_serving.rollout.deploy import DeployResult
from fastmar_serving.rollout.shadow import Shadow

MAX_ITEMS = 10  # of each kind: changes, errors, warnings
MAX_LENGTH = 120  # characters of a text from outside


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
        yield f"Breaking: {_short(change.where)}: {_short(change.what)}"
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
    table.add_column("")
    for what, number, remark in _rows(shadow):
        table.add_row(what, number, Text(remark))
    return table


def _rows(shadow: Shadow) -> Iterator[tuple[str, str, str]]:
    yield "records compared", str(shadow.answers), ""
    yield "answered by both", str(shadow.answered), ""
    yield "identical", str(shadow.same), ""
    for version, errors in ((shadow.old, shadow.errors_before), (shadow.new, shadow.errors_after)):
        codes = ", ".join(f"{code}: {count}" for code, count in errors.most_common(MAX_ITEMS))
        yield f"errors of {version}", str(errors.total()), _short(codes)
    changes = [f"{before} -> {after}: {count}" for (before, after), count in shadow.changes.most_common(MAX_ITEMS)]
    yield "predictions changed", str(shadow.changed), "; ".join(map(_short, changes))
    if shadow.differences:
        label = "largest probability difference" if shadow.is_probability else "largest difference"
        yield label, f"{max(shadow.differences):.3g}", ""
        yield "median difference", f"{median(shadow.differences):.3g}", ""
    messages = [f"{code}: {message} ({count})" for (code, message), count in shadow.errors.most_common(MAX_ITEMS)]
    yield "new errors", str(shadow.newly_failing), "; ".join(map(_short, messages))
    if shadow.newly_answered:
        yield "errors no more", str(shadow.newly_answered), ""
    warned = [f"{field}: {code} ({count})" for (field, code), count in shadow.warnings.most_common(MAX_ITEMS)]
    yield "new warnings", str(shadow.warnings.total()), "; ".join(map(_short, warned))
    for where, before, after in shadow.examples:
        yield "for example", "", f"{where}: {_short(before)} -> {_short(after)}"


def _short(text: str) -> str:
    from fastmar_contract.display import printable  # noqa: PLC0415

    text = printable(" ".join(text.split()))
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}..."
