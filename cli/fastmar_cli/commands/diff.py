"""Compare two archives: changes for callers, and the answers to the golden records of both.

Exit status 0: the new archive is compatible with callers of the old one. 3: some records will be refused, or answers
have another meaning.

Examples:
  fastmar diff model_store/flights.mar new/flights.mar
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastmar_runtime.predictor import Predictor
    from fastmar_serving.rollout.changes import Change
    from fastmar_serving.rollout.shadow import Shadow

BREAKS = 3  # exit status
TITLES = {
    "breaking": "Breaks callers of the old version",
    "noticed": "Changes answers",
    "inside": "Inside the model",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("old", metavar="OLD.mar", type=Path)
    parser.add_argument("new", metavar="NEW.mar", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the changes; the exit status is 0 if they are compatible, 3 if not."""
    from fastmar_runtime.predictor import Predictor
    from fastmar_serving.rollout.changes import BREAKING, changes

    old, new = Predictor.open(args.old), Predictor.open(args.new)
    found = changes(old.spec, new.spec) + _sizes(args.old, args.new)
    shadow = _compare_answers(old, new) if old.spec.kind == new.spec.kind else None
    breaks = any(change.level == BREAKING for change in found)
    if args.json:
        import json

        report = {"compatible": not breaks, "changes": [change.as_dict() for change in found]}
        print(json.dumps(report | {"answers": shadow.as_dict() if shadow else None}))
    else:
        _show(args.old, args.new, found, shadow, breaks=breaks)
    return BREAKS if breaks else 0


def _sizes(old: Path, new: Path) -> list[Change]:
    from fastmar_serving.rollout.changes import INSIDE, Change

    before, after = old.stat().st_size, new.stat().st_size
    if abs(after - before) <= before * 0.01:
        return []
    return [Change(INSIDE, "archive", f"was {before / 1024:,.0f} KB, is {after / 1024:,.0f} KB")]


def _compare_answers(old: Predictor, new: Predictor) -> Shadow:
    """The answers of both to the golden records of both, in this process."""
    from fastmar_runtime.golden import read_records
    from fastmar_serving.rollout.shadow import Shadow

    shadow = Shadow("the old", "the new", "the golden records of both")
    for name, predictor in (("old", old), ("new", new)):
        records: list[Any] = read_records(predictor.files)[0] if predictor.files else []
        pairs = zip(old.predict(records), new.predict(records), strict=True)
        for number, (before, after) in enumerate(pairs):
            shadow.add(f"record {number} of the {name}", before, after)
    return shadow


def _show(old: Path, new: Path, found: list[Change], shadow: Shadow | None, *, breaks: bool) -> None:
    from rich.table import Table

    from fastmar_cli.console import out
    from fastmar_cli.rollout_report import show_shadow
    from fastmar_contract.display import printable

    for level, title in TITLES.items():
        of_level = [change for change in found if change.level == level]
        if not of_level:
            continue
        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        table.add_column("where", style="cyan", overflow="fold")
        table.add_column("what", overflow="fold")
        table.add_column("" if level == "inside" else "effect on callers", overflow="fold")
        for change in of_level:
            table.add_row(*(printable(text) for text in (change.where, change.what, change.caller)))
        out.print(table)
        out.print()
    if not found:
        out.print("No changes, except possibly in the weights of the network.")
    if shadow is not None:
        show_shadow(shadow)
    verdict = "Breaking: callers must change." if breaks else "Compatible: callers need no change."
    out.print(f"{verdict} ({printable(str(old))} -> {printable(str(new))})", markup=False)
