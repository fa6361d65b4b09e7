"""The comparison of two versions as rows of a table, for people."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from fastmar_contract.display import printable
from fastmar_serving.rollout.shadow import Shadow

MAX_ITEMS = 10  # of each kind: changes, errors, warnings
MAX_LENGTH = 120  # characters of a text from outside


def summary(shadow: Shadow) -> Iterator[tuple[str, str, str]]:
    """Rows of a title, a number, and a remark."""
    yield "records compared", str(shadow.answers), ""
    yield "answered by both", str(shadow.answered), ""
    yield "identical", str(shadow.same), ""
    for version, errors in ((shadow.old, shadow.errors_before), (shadow.new, shadow.errors_after)):
        codes = ", ".join(f"{code}: {count}" for code, count in errors.most_common(MAX_ITEMS))
        yield f"refused by {version}", str(errors.total()), shortened(codes)
    changes = [f"{before} -> {after}: {count}" for (before, after), count in shadow.changes.most_common(MAX_ITEMS)]
    yield "predictions changed", str(shadow.changed), "; ".join(map(shortened, changes))
    if shadow.differences:
        label = "largest probability difference" if shadow.is_probability else "largest difference"
        yield label, f"{max(shadow.differences):.3g}", ""
        yield "median difference", f"{median(shadow.differences):.3g}", ""
    messages = [f"{code}: {message} ({count})" for (code, message), count in shadow.errors.most_common(MAX_ITEMS)]
    yield f"refused by {shadow.new} only", str(shadow.newly_failing), "; ".join(map(shortened, messages))
    if shadow.newly_answered:
        yield f"refused by {shadow.old} only", str(shadow.newly_answered), ""
    warned = [f"{field}: {code} ({count})" for (field, code), count in shadow.warnings.most_common(MAX_ITEMS)]
    yield f"warnings of {shadow.new} only", str(shadow.warnings.total()), "; ".join(map(shortened, warned))
    for where, before, after in shadow.examples:
        yield "for example", "", f"{where}: {shortened(before)} -> {shortened(after)}"


def shortened(text: str) -> str:
    """A text from outside on one line, printable and of limited length."""
    text = printable(" ".join(text.split()))
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}..."
