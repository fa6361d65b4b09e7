"""Predict for records, pictures and texts, with an archive in this process or with a server.

TARGET is MODEL.mar, or a URL such as http://127.0.0.1:8080/predictions/NAME. INPUT is a .json file (a record or a list
of them), .jsonl, .csv with a header, a picture (.jpg, .png, .bmp, .gif, .webp, .tif), a text (.txt), or - for JSON, CSV
or a picture on standard input. A model with one column of text also takes the text itself, such as "I loved it".

Answers are printed in the order of the inputs; the answer to a picture has its file's name, or its path if files in
several folders have the same name. An archive that does not reproduce its golden records is refused.

Examples:
  fastmar predict model_store/flights.mar rows.csv
  fastmar predict model_store/textures.mar *.jpg --save drawings
  fastmar predict model_store/reviews.mar "I loved it"
  fastmar predict http://127.0.0.1:8080/predictions/flights rows.jsonl --json
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastmar_cli.arguments import add_key_file, refuse_swapped
from fastmar_cli.console import TEXT_WIDTH, out, stages

if TYPE_CHECKING:
    from fastmar_contract.masks import MaskSize
    from fastmar_serving.targets import Target

Answer = dict[str, Any]
TOP_LABELS = 3  # in a row of the table
PROGRESS = 100  # answers between two reports of progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("target", metavar="TARGET", help="MODEL.mar, or the URL of a served model")
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="file of records, picture, text, or -")
    parser.add_argument("--json", action="store_true", help="print one JSON answer a line, in input order")
    add_key_file(parser)
    parser.add_argument(
        "--encoding",
        help="encoding of records, such as cp1252 (default: UTF-8, or UTF-16 with a byte order mark)",
    )
    parser.add_argument(
        "--save",
        type=Path,
        metavar="DIR",
        help="write drawings of the answers: masks and points over each input, labels on contact sheets",
    )
    parser.add_argument(
        "--mask-size",
        choices=["model", "original"],
        help="size of masks: the network's (default), or the picture's (default with --save)",
    )


def run(args: argparse.Namespace) -> int:
    """Print the answers; exit status 1 if a record or picture was refused."""
    import orjson

    from fastmar_serving.targets import open_target

    refuse_swapped(args, args.target, args.inputs)
    mask_size: MaskSize | None = args.mask_size or ("original" if args.save else None)
    target = open_target(args.target, args.key_file, mask_size)
    gallery = _gallery(args.save, target) if args.save else None
    table = None if args.json else _Table()
    refusals = 0
    drawings: list[Path] = []
    try:
        with stages() as on_stage:
            for number, (answer, path) in enumerate(_answers(target, args.inputs, args.encoding), start=1):
                refusals += "error" in answer
                if gallery and path:
                    gallery.add(path, answer)
                if table is None:
                    print(orjson.dumps(answer).decode())
                else:
                    table.add(answer)
                    if number % PROGRESS == 0:
                        on_stage(f"{number:,} answered")
            drawings = gallery.finish() if gallery else []
    finally:  # answers before an input that can't be read are printed, too
        if table is not None:
            table.show()
            for path in drawings:
                out.print(f"Written: {path}", markup=False)
    return 1 if refusals else 0


def _answers(target: Target, sources: Sequence[str], encoding: str | None) -> Iterator[tuple[Answer, Path | None]]:
    """Each answer, with the path of its picture."""
    from fastmar_contract.files import PLAIN, errors_naming, is_picture, names_file, read_input

    for are_pictures, group in groupby(sources, key=is_picture):
        if are_pictures:
            paths = [Path(source) for source in group]
            yield from zip(target.pictures(paths), paths, strict=True)
        else:
            for source in group:
                if not names_file(source) and _reads_text(target):
                    yield from ((answer, None) for answer in target.records(source.encode(), PLAIN))
                    continue
                with errors_naming(source):
                    for answer in target.records(*read_input(source, encoding)):
                        yield answer, None


def _reads_text(target: Target) -> bool:
    """Whether a text alone is a record of the model."""
    return "string" in target.schema()["record"].get("type", ())


def _gallery(folder: Path, target: Target) -> Any:
    from fastmar.gallery import Gallery

    return Gallery(folder, apply_exif=target.applies_exif())


class _Table:
    """A table with a row for each answer, the most probable labels first."""

    def __init__(self) -> None:
        from rich.table import Table

        self._table = Table("", "prediction", "most probable")
        self._table.add_column("warnings, errors", max_width=TEXT_WIDTH, overflow="fold")
        self._rows = 0

    def add(self, answer: Answer) -> None:
        from rich.text import Text

        from fastmar_contract.summary import describe_prediction, top_labels

        name = Text(str(answer.get("name", self._rows)))
        self._rows += 1
        if "error" in answer:
            error = answer["error"]
            self._table.add_row(name, Text("refused", style="red"), "", Text(f"{error['message']} Fix: {error['fix']}"))
            return
        likely = ", ".join(f"{label} {probability:.1%}" for label, probability in top_labels(answer, TOP_LABELS))
        remarks = "; ".join(f"{w['field']}: {w['message']}" for w in answer["warnings"])
        self._table.add_row(name, Text(describe_prediction(answer)), Text(likely), Text(remarks))

    def show(self) -> None:
        if self._rows:
            out.print(self._table)
