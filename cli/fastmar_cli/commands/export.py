"""Export a learner's pickle to a TorchServe archive.

LEARNER.pkl is a file that `learn.export()` wrote, with any fastai 2 and on any operating system. It is read as data: no
code in it runs, and fastai is not required. The archive is written only if it gives the same answers as the network.

Examples:
  fastmar export learner.pkl --name flights
  fastmar export learner.pkl --name flights --version 2.0 --output new --reference rows.csv
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from fastmar_cli.arguments import positive, share
from fastmar_cli.console import notice, out, stages, warn

if TYPE_CHECKING:
    from fastmar_export.reader import LearnerFile, Record
    from fastmar_runtime.spec import Spec

log = logging.getLogger(__name__)

_DETAILS = ("bool_categories",)  # notices that are shown with --verbose only: they are in the schema, for callers
MAX_CALLS_SHOWN = 5
MAX_NAMES_SHOWN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("learner", metavar="LEARNER.pkl", type=Path)
    parser.add_argument("--name", required=True, help="name of the model in URLs")
    parser.add_argument("--version", default="1.0", help="version of the model (default: %(default)s)")
    parser.add_argument(
        "--output", type=Path, default=Path("model_store"), help="folder of the archive (default: %(default)s)"
    )
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="DATA.csv",
        help="training data, for defaults, ranges and the profile of the archive; no row is stored",
    )
    parser.add_argument("--ui", type=Path, metavar="UI.yaml", help="titles, labels, sentences and examples for forms")
    parser.add_argument(
        "--activation",
        choices=["softmax", "sigmoid", "identity"],
        help="activation of the outputs, if the learner's loss does not define it",
    )
    parser.add_argument(
        "--ignore-callback",
        action="append",
        default=[],
        metavar="NAME",
        help="a callback that does not change predictions; may be repeated",
    )
    parser.add_argument(
        "--exif-transpose", action="store_true", help="apply the EXIF orientation of photos, which fastai does not"
    )
    parser.add_argument(
        "--picture-size",
        type=_size,
        metavar="WIDTHxHEIGHT",
        help="fixed size of pictures, for a learner without Resize whose network accepts only one size",
    )
    parser.add_argument(
        "--max-pixels",
        type=positive,
        metavar="N",
        help="maximum number of pixels of a picture, for a learner without Resize (default: 4,000,000)",
    )
    parser.add_argument(
        "--tta",
        type=positive,
        metavar="N",
        help="answer as learn.tta: N augmented copies of each picture, with fixed numbers instead of random ones",
    )
    parser.add_argument(
        "--tta-beta", type=share, metavar="SHARE", help="with --tta: weight of the plain picture (default: 0.25)"
    )
    parser.add_argument(
        "--tta-use-max", action="store_const", const=True, help="with --tta: the maximum instead of the mean"
    )
    parser.add_argument(
        "--with-samples",
        type=positive,
        metavar="N",
        help="store small copies of N pictures of --reference FOLDER, to try in forms; all users can see them",
    )
    parser.add_argument(
        "--text-column",
        action="append",
        metavar="NAME",
        help="name of the text column, if the learner does not record it (default: text); may be repeated",
    )
    parser.add_argument(
        "--precision",
        choices=["int8"],
        help="precision of the network; its effect is measured on --calibration (pictures) or --reference (texts) "
        "(default: float32)",
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="FOLDER",
        help="about a hundred typical pictures, with which --precision measures the range of each layer's outputs",
    )
    parser.add_argument(
        "--max-changed",
        type=float,
        metavar="SHARE",
        help="largest share of the measured predictions that --precision may change (default: 0.02)",
    )
    parser.add_argument(
        "--module",
        action="append",
        default=[],
        dest="modules",
        metavar="PACKAGE",
        help="package with layers of the network, which the export imports; may be repeated",
    )
    parser.add_argument("--force", action="store_true", help="replace an archive of another learner or version")


def _size(text: str) -> tuple[int, int]:
    """``28x28``: width and height in pixels."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 28x28")
    return int(width), int(height)


def run(args: argparse.Namespace) -> int:
    """Export, and print a summary."""
    from fastmar_export.exporter import Options, export_learner, next_step

    options = Options(
        name=args.name,
        version=args.version,
        output=args.output,
        activation=args.activation,
        ignored_callbacks=args.ignore_callback,
        reference=args.reference,
        ui=args.ui,
        force=args.force,
        exif_transpose=args.exif_transpose,
        picture_size=args.picture_size,
        max_pixels=args.max_pixels,
        tta=args.tta,
        tta_beta=args.tta_beta,
        tta_use_max=args.tta_use_max,
        with_samples=args.with_samples,
        text_column=args.text_column,
        precision=args.precision,
        max_changed=args.max_changed,
        calibration=args.calibration,
        modules=args.modules,
    )
    with stages() as on_stage:
        exported = export_learner(args.learner, options, on_stage, on_read=_report_contents)
    for note in exported.spec.notices:
        if note["code"] in _DETAILS:
            log.info("%s", note["message"])
        else:
            notice(note["message"])
    spec = exported.spec
    out.print(f"{exported.path}  ({exported.path.stat().st_size / 1024:,.0f} KB)", markup=False)
    out.print(f"  {spec.name} {spec.version}: {spec.kind}, {input_summary(spec)}", markup=False)
    difference = f"graph and network differ by {exported.difference:.1g}"
    out.print(f"  predicts {', '.join(spec.targets)}; {difference}", markup=False)
    if (about := _profile_summary(exported.path, spec)) is not None:
        out.print(f"  {about}", markup=False)
    out.print(f"Next: {next_step(exported.path, spec.version)}", markup=False)
    return 0


def _profile_summary(archive: Path, spec: Spec) -> str | None:
    """What the archive has for monitoring; None if a notice says why it has nothing."""
    from fastmar_export.reference import NO_PROFILE
    from fastmar_runtime.bundle import BundleFiles
    from fastmar_runtime.profiles.building import reference_in

    if any(notice["code"] == NO_PROFILE for notice in spec.notices):
        return None
    reference = reference_in(BundleFiles(archive), spec)
    if reference is None:
        return "no reference profile: monitoring detects fewer changes (--reference adds one)"
    return f"reference profile of {reference.profile.rows:,} rows, for monitoring"


def input_summary(spec: Spec) -> str:
    """The input of a model in a few words."""
    from fastmar_contract.values import DATE
    from fastmar_runtime.spec import IMAGE

    if not any(f.kind == IMAGE for f in spec.fields):
        dates = [f.name for f in spec.fields if f.kind == DATE]
        sent = [f.name for f in spec.fields if f.kind == DATE or not f.optional]
        text = f"{len(sent)} column{'s' * (len(sent) != 1)} ({', '.join(sent)})"
        computed = len(spec.fields) - len(sent)
        return f"{text}; {computed} more are computed from {', '.join(dates)}" if computed else text
    _, channels, height, width = spec.inputs[0].shape
    size = f"{width} x {height} px" if isinstance(width, int) else "any size"
    return f"{'grey ' if channels == 1 else ''}pictures, seen at {size}"


def _report_contents(source: LearnerFile) -> None:
    """Report code and training rows in the pickle, before the export can fail."""
    from fastmar_export.reader import Record, describe_call

    if source.functions:
        notice(f"the pickle {_contains(source.functions)}; load_learner would use them, fastmar does not.")
    calls = source.calls
    for call in calls[:MAX_CALLS_SHOWN]:
        warn(f"load_learner would run {describe_call(call)}. fastmar did not run it.")
    if (more := len(calls) - MAX_CALLS_SHOWN) > 0:
        warn(f"... and {more} more; `fastmar inspect` lists them.")
    for leak in source.leaks if isinstance(source.root, Record) else ():  # a file of weights has no rows of data
        warn(f"the pickle contains training data ({leak}). The archive will not.")


def _contains(functions: list[Record]) -> str:
    """The names of the first functions in the pickle."""
    from fastmar_export.reader import path_of

    names = list(dict.fromkeys(path_of(function) for function in functions))
    more = f" and {len(names) - MAX_NAMES_SHOWN} more (`fastmar inspect` lists them)" * (len(names) > MAX_NAMES_SHOWN)
    return f"contains functions as bytecode, {', '.join(names[:MAX_NAMES_SHOWN])}{more}"
