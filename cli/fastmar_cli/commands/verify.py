"""Replay the golden records of an archive; with --learner, also compare its answers with fastai's.

The comparison loads the pickle with fastai, which runs code in the pickle: use it only with pickles that you trust, and
with the version of fastai that wrote them.

Examples:
  fastmar verify model_store/flights.mar
  fastmar verify model_store/flights.mar --learner learner.pkl --data rows.csv
  fastmar verify model_store/flights.mar --learner learner.pkl --data rows.csv --sample 200
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fastmar_cli.arguments import positive
from fastmar_cli.console import notice, out, stages

_STEP = 50  # records between two messages about the progress
_MANY = 500  # records, about which a note says that they take time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("model", metavar="MODEL.mar", type=Path)
    parser.add_argument("--learner", metavar="LEARNER.pkl", type=Path, help="the pickle of the archive")
    parser.add_argument(
        "--data", metavar="FILE", type=Path, nargs="+", default=[], help="CSV or pictures: further inputs to compare"
    )
    parser.add_argument(
        "--sample",
        metavar="N",
        type=positive,
        help="maximum number of inputs of --data, at equal distances (default: all)",
    )


def run(args: argparse.Namespace) -> int:
    """Print the number of compared records and the largest difference."""
    if args.data and args.learner is None:
        args.refuse("--data requires --learner LEARNER.pkl")
    if args.sample is not None and not args.data:
        args.refuse("--sample requires --data FILE")
    from fastmar_contract.agreement import TOLERANCE
    from fastmar_runtime.golden import check_golden, read_golden
    from fastmar_runtime.predictor import BundleFiles, Predictor

    predictor = Predictor.open(args.model)
    golden = read_golden(BundleFiles(args.model), [t.name for t in predictor.spec.inputs])
    difference = check_golden(predictor, golden)
    out.print(f"{len(golden.records)} golden records: reproduced, ", end="")
    out.print(f"largest difference {difference:.1g} (tolerance {TOLERANCE:g})")
    if args.learner is not None:
        from fastmar_oracle.comparison import compare_with_fastai

        with stages() as on_stage:

            def on_progress(done: int, total: int) -> None:
                if done == 0 and total > _MANY:
                    notice(f"{total:,} records are compared with learn.predict, one by one; --sample N compares fewer.")
                if done % _STEP == 0:
                    on_stage(f"Comparing with learn.predict: {done:,} of {total:,} records")

            compared = compare_with_fastai(
                predictor, args.learner, golden.records, args.data, sample=args.sample, on_progress=on_progress
            )
        if compared.refused:
            count = len(compared.refused)
            records, them = ("record", "it") if count == 1 else ("records", "them")
            out.print(f"{count:,} {records} not compared: the archive refuses {them}")
            out.print(f"  first refusal: {compared.refused[0]}", markup=False)
        out.print(f"{compared.records} records against fastai: same answers, ", end="")
        out.print(f"largest difference {compared.difference:.1g}")
        if args.data:
            out.print(f"  {compared.golden} golden records, and {compared.records - compared.golden} of --data")
        return 1 if compared.refused else 0
    return 0
