"""Replay an archive's golden records here; with --learner, compare it with fastai itself.

The comparison loads the pickle with fastai, which runs whatever is in it: use it on pickles that you trust, where the
fastai that wrote them is installed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fastmar_cli.console import out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("model", metavar="MODEL.mar", type=Path)
    parser.add_argument("--learner", metavar="LEARNER.pkl", type=Path, help="the pickle that the archive was made from")
    parser.add_argument(
        "--data", metavar="FILE", type=Path, nargs="+", default=[], help="CSV, or pictures, to compare on"
    )


def run(args: argparse.Namespace) -> int:
    """Print what was compared, and by how much it differs."""
    if args.data and args.learner is None:
        args.refuse("--data compares with fastai: give --learner LEARNER.pkl too")
    from fastmar_contract.agreement import TOLERANCE
    from fastmar_runtime.golden import check_golden, read_golden
    from fastmar_runtime.predictor import BundleFiles, Predictor

    predictor = Predictor.open(args.model)
    golden = read_golden(BundleFiles(args.model), [t.name for t in predictor.spec.inputs])
    difference = check_golden(predictor, golden)
    out.print(f"{len(golden.records)} golden records: reproduced, ", end="")
    out.print(f"largest difference {difference:.1g} (at most {TOLERANCE:g})")
    if args.learner is not None:
        from fastmar_oracle.comparison import compare_with_fastai

        compared = compare_with_fastai(predictor, args.learner, golden.records, args.data)
        out.print(f"{compared.records} records against learn.predict: same answers, largest difference ", end="")
        out.print(f"{compared.difference:.1g}")
        if compared.refused:
            out.print(f"{len(compared.refused)} records could not be compared: fastmar refuses them.")
            out.print(f"  the first: {compared.refused[0]}", markup=False)
            return 1
    return 0
