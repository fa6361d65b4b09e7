"""Compare two archives: changes for callers, and the answers to the golden records of both.

With --labels, both archives also answer the rows of a table (as `fastmar score` reads it) whose labels are known. The
figures of both are printed with their differences, and the rows that only one of them answers right. For pictures, FILE
may be a folder with a folder of pictures for each label.

Exit status 0: the new archive is compatible with callers of the old one. 3: some records will be refused, or answers
have another meaning. 4: it is compatible, but its answers to the rows of --labels are worse (p < 0.05).

Examples:
  fastmar diff model_store/flights.mar new/flights.mar
  fastmar diff model_store/flights.mar new/flights.mar --labels rows.csv
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastmar_cli.console import TEXT_WIDTH, out, stages
from fastmar_contract.display import printable

if TYPE_CHECKING:
    from fastmar_monitor.feedback.paired import Comparison
    from fastmar_runtime.predictor import Predictor
    from fastmar_serving.rollout.changes import Change
    from fastmar_serving.rollout.shadow import Shadow

BREAKS, WORSE = 3, 4  # exit statuses
_PROGRESS = 1000  # rows between two messages
TITLES = {
    "breaking": "Breaks callers of the old version",
    "noticed": "Changes answers",
    "inside": "Inside the model",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("old", metavar="OLD.mar", type=Path)
    parser.add_argument("new", metavar="NEW.mar", type=Path)
    parser.add_argument("--labels", metavar="FILE", help="compare both on labelled rows, or on a folder of pictures")
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME",
        help="column of --labels with the labels (default: the name of the target); repeat it for several targets",
    )
    parser.add_argument(
        "--image",
        "--text",
        dest="input",
        metavar="COLUMN",
        help="column of --labels with the pictures or texts, as for `fastmar score`",
    )
    parser.add_argument("--encoding", default="utf-8-sig", help="encoding of --labels, such as cp1252")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the changes. Returns the exit status: of breaking changes, or of answers that are worse on `--labels`."""
    if args.labels is None and (args.column or args.input):
        args.refuse("--column, --image and --text require --labels FILE")
    from fastmar_runtime.predictor import Predictor
    from fastmar_serving.rollout.changes import BREAKING, changes

    old, new = Predictor.open(args.old), Predictor.open(args.new)
    found = changes(old.spec, new.spec) + _sizes(args.old, args.new)
    shadow = _compare_answers(old, new) if old.spec.kind == new.spec.kind else None
    breaks = any(change.level == BREAKING for change in found)
    comparison = _compare_by_labels(old, new, args) if args.labels is not None else None
    if args.json:
        import json

        report = {"compatible": not breaks, "changes": [change.as_dict() for change in found]}
        by_labels = {"labels": comparison.as_dict()} if comparison else {}
        print(json.dumps(report | {"answers": shadow.as_dict() if shadow else None} | by_labels))
    else:
        _show(found, shadow)
        if comparison:
            from fastmar_cli.labelled_report import show_comparison

            show_comparison(comparison, args.labels)
        verdict = "Breaking: callers must change." if breaks else "Compatible: callers need no change."
        out.print(f"{verdict} ({printable(str(args.old))} -> {printable(str(args.new))})", markup=False)
    if breaks:
        return BREAKS
    return WORSE if comparison and comparison.verdict == "worse" else 0


def _sizes(old: Path, new: Path) -> list[Change]:
    from fastmar_serving.rollout.changes import INSIDE, Change

    before, after = old.stat().st_size, new.stat().st_size
    if abs(after - before) <= before * 0.01:
        return []
    return [Change(INSIDE, "archive", f"size changed from {before / 1024:,.0f} to {after / 1024:,.0f} KB")]


def _compare_answers(old: Predictor, new: Predictor) -> Shadow:
    """The answers of both to the golden records of both, in this process."""
    from fastmar_runtime.golden import read_records
    from fastmar_serving.rollout.shadow import Shadow

    shadow = Shadow("the old archive", "the new archive", "the golden records of both")
    for name, predictor in (("old", old), ("new", new)):
        records: list[Any] = read_records(predictor.files)[0] if predictor.files else []
        pairs = zip(old.predict(records), new.predict(records), strict=True)
        for number, (before, after) in enumerate(pairs):
            shadow.add(f"record {number} of the {name}", before, after)
    return shadow


def _compare_by_labels(old: Predictor, new: Predictor, args: argparse.Namespace) -> Comparison:
    """The answers of both to labelled rows, in this process."""
    from fastmar_bulk.labelled import answer_labelled
    from fastmar_monitor.feedback.kinds import kind_for
    from fastmar_monitor.feedback.paired import Pairs

    kinds = kind_for(old.spec), kind_for(new.spec)
    pairs = Pairs(*kinds)
    columns = [kind.check_columns(args.column) for kind in kinds]
    names = list(dict.fromkeys(name for each in columns for name in each))
    with stages() as on_stage:
        rows = answer_labelled((old, new), args.labels, names, column=args.input, encoding=args.encoding)
        for number, row in enumerate(rows, start=1):
            first, second = ([row.labels[name] for name in each] if row.labels else None for each in columns)
            pairs.add(first, second, *row.answers)
            if number % _PROGRESS == 0:
                on_stage(f"Scored with both: {number:,} rows")
        on_stage("Comparing")
        return pairs.compare()


def _show(found: list[Change], shadow: Shadow | None) -> None:
    from rich.table import Table

    from fastmar_cli.rollout_report import show_shadow

    for level, title in TITLES.items():
        of_level = [change for change in found if change.level == level]
        if not of_level:
            continue
        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        table.add_column("where", style="cyan", overflow="fold")
        table.add_column("what", max_width=TEXT_WIDTH, overflow="fold")
        effect = "" if level == "inside" else "effect on callers"
        table.add_column(effect, max_width=TEXT_WIDTH, overflow="fold")
        for change in of_level:
            table.add_row(*(printable(text) for text in (change.where, change.what, change.caller)))
        out.print(table)
        out.print()
    if not found:
        out.print("No changes, except possibly in the weights of the network.")
    if shadow is not None:
        show_shadow(shadow)
