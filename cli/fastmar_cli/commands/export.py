"""Turn a learner's pickle into a TorchServe archive.

LEARNER.pkl is what `learn.export()` of any fastai 2 wrote, on any operating system. It is read as data: nothing in it
is run, and fastai is not needed. The answers of the archive are proved to be the network's before it is written.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fastmar_cli.console import alarm, notice, out, stages

if TYPE_CHECKING:
    from fastmar_export.reader import LearnerFile, Record
    from fastmar_runtime.spec import Spec

MAX_CALLS_SHOWN = 5
MAX_NAMES_SHOWN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("learner", metavar="LEARNER.pkl", type=Path)
    parser.add_argument("--name", required=True, help="what the model is called in URLs")
    parser.add_argument("--version", default="1.0", help="version of the model (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("model_store"), help="folder (default: %(default)s)")
    parser.add_argument(
        "--reference", type=Path, metavar="DATA.csv", help="rows that tell defaults and ranges; none of them is stored"
    )
    parser.add_argument(
        "--ui", type=Path, metavar="UI.yaml", help="how forms show the model: titles, labels, sentences, examples"
    )
    parser.add_argument(
        "--activation",
        choices=["softmax", "sigmoid", "identity"],
        help="how outputs become predictions, where the learner's loss does not tell",
    )
    parser.add_argument(
        "--ignore-callback",
        action="append",
        default=[],
        metavar="NAME",
        help="a callback of yours that changes no answer; may be given several times",
    )
    parser.add_argument(
        "--exif-transpose", action="store_true", help="turn photos as their cameras say, which fastai does not"
    )
    parser.add_argument(
        "--picture-size",
        type=_size,
        metavar="WIDTHxHEIGHT",
        help="of all pictures: for a learner without Resize whose network takes no other size",
    )
    parser.add_argument(
        "--max-pixels",
        type=int,
        metavar="N",
        help="that the network may be given, for a learner without Resize (default: 4,000,000)",
    )
    parser.add_argument(
        "--module",
        action="append",
        default=[],
        dest="modules",
        metavar="PACKAGE",
        help="a package of yours that layers of the network come from: it is imported; may be given several times",
    )
    parser.add_argument("--force", action="store_true", help="replace an archive of another learner or version")


def _size(text: str) -> tuple[int, int]:
    """``28x28``: width and height in pixels."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 28x28")
    return int(width), int(height)


def run(args: argparse.Namespace) -> int:
    """Export, and say what came of it."""
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
        modules=args.modules,
    )
    with stages() as on_stage:
        exported = export_learner(args.learner, options, on_stage, on_read=_say_what_is_inside)
    for said in exported.spec.notices:
        notice(said["message"])
    spec = exported.spec
    out.print(f"{exported.path}  ({exported.path.stat().st_size / 1024:,.0f} KB)", markup=False)
    out.print(f"  {spec.name} {spec.version}: {spec.kind}, {_takes(spec)}", markup=False)
    differ = f"graph and network differ by {exported.difference:.1g}"
    out.print(f"  predicts {', '.join(spec.targets)}; {differ}", markup=False)
    out.print(f"Next: {next_step(exported.path, spec.version)}", markup=False)
    return 0


def _takes(spec: Spec) -> str:
    """What a record is."""
    from fastmar_runtime.spec import IMAGE

    if not any(f.kind == IMAGE for f in spec.fields):
        return f"{len(spec.fields)} columns ({', '.join(f.name for f in spec.fields)})"
    _, channels, height, width = spec.inputs[0].shape
    size = f"{width} x {height} px" if isinstance(width, int) else "any size"
    return f"{'grey ' if channels == 1 else ''}pictures, seen at {size}"


def _say_what_is_inside(source: LearnerFile) -> None:
    """Name the code and the rows that travel in the pickle, before anything else can go wrong."""
    from fastmar_export.reader import Record, describe_call

    if source.functions:
        notice(f"the pickle {_contains(source.functions)}; load_learner would use them, and fastmar does not.")
    calls = source.calls
    for call in calls[:MAX_CALLS_SHOWN]:
        alarm(f"loading the pickle normally would run {describe_call(call)}. fastmar did not.")
    if (more := len(calls) - MAX_CALLS_SHOWN) > 0:
        alarm(f"... and {more} more: `fastmar inspect` lists them.")
    for leak in source.leaks if isinstance(source.root, Record) else ():  # in a file of weights, rows are weights
        alarm(f"the pickle holds training data ({leak}). The archive will not.")


def _contains(functions: list[Record]) -> str:
    """Functions in the pickle, by name; of many, the first."""
    from fastmar_export.reader import path_of

    names = list(dict.fromkeys(path_of(function) for function in functions))
    more = f" and {len(names) - MAX_NAMES_SHOWN} more (`fastmar inspect` lists them)" * (len(names) > MAX_NAMES_SHOWN)
    return f"contains functions as bytecode, {', '.join(names[:MAX_NAMES_SHOWN])}{more}"
