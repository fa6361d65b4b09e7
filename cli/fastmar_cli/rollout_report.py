"""What a deployment found and did, for people."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

from fastmar_cli.console import out
from fastmar_serving.rollout.deploy import DeployResult
from fastmar_serving.rollout.shadow import Shadow

LISTED = 10  # changes, errors or warnings of a kind that are written out
LONGEST = 120  # characters of somebody else's text in a cell


def lines(result: DeployResult) -> Iterator[Any]:
    """What to print of it, line by line; of a deployment that failed as much as there is."""
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
    """Print how the answers of two versions differ."""
    out.print(shadow_table(shadow))


def shadow_table(shadow: Shadow) -> Any:
    """How the answers of two versions differ, a row for each kind of difference."""
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
    yield "the same in everything", str(shadow.same), ""
    for version, errors in ((shadow.old, shadow.errors_before), (shadow.new, shadow.errors_after)):
        codes = ", ".join(f"{code}: {count}" for code, count in errors.most_common(LISTED))
        yield f"errors of {version}", str(errors.total()), _short(codes)
    changes = [f"{before} -> {after}: {count}" for (before, after), count in shadow.changes.most_common(LISTED)]
    yield "predictions changed", str(shadow.changed), "; ".join(map(_short, changes))
    if shadow.differences:
        of = "largest probability difference" if shadow.is_probability else "largest difference"
        yield of, f"{max(shadow.differences):.3g}", ""
        yield "median difference", f"{median(shadow.differences):.3g}", ""
    messages = [f"{code}: {message} ({count})" for (code, message), count in shadow.errors.most_common(LISTED)]
    yield "new errors", str(shadow.newly_failing), "; ".join(map(_short, messages))
    if shadow.newly_answered:
        yield "errors no more", str(shadow.newly_answered), ""
    warned = [f"{field}: {code} ({count})" for (field, code), count in shadow.warnings.most_common(LISTED)]
    yield "new warnings", str(shadow.warnings.total()), "; ".join(map(_short, warned))
    for where, before, after in shadow.examples:
        yield "for example", "", f"{where}: {_short(before)} -> {_short(after)}"


def _short(text: str) -> str:
    from fastmar_contract.display import printable  # noqa: PLC0415

    text = printable(" ".join(text.split()))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
