"""Answer records with an archive in this process, or with a server.

TARGET is MODEL.mar, or a URL such as http://127.0.0.1:8080/predictions/NAME. INPUT is a .json file (a record or a list
of them), .jsonl, .csv with a header, or - for JSON, JSON lines or CSV on standard input.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastmar_cli.console import out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("target", metavar="TARGET", help="MODEL.mar, or the URL of a served model")
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="file of records, or -")
    parser.add_argument("--json", action="store_true", help="print one JSON answer a line, in input order")
    parser.add_argument("--key-file", type=Path, help="TorchServe's key_file.json, where the server wants a token")


def run(args: argparse.Namespace) -> int:
    """Print the answers; exit status 1 where a record was refused."""
    import orjson

    from fastmar_cli.targets import open_target

    target = open_target(args.target, args.key_file)
    answers = (answer for source in args.inputs for answer in _answers(target, source))
    refused = 0
    table = None if args.json else _Table()
    for answer in answers:
        refused += "error" in answer
        if table is None:
            print(orjson.dumps(answer).decode())
        else:
            table.add(answer)
    if table is not None:
        table.show()
    return 1 if refused else 0


def _answers(target: Any, source: str) -> Iterator[dict[str, Any]]:
    from fastmar_cli.inputs import read_input

    yield from target(*read_input(source))


class _Table:
    """Answers for people: a row a record, the likeliest labels first."""

    def __init__(self) -> None:
        from rich.table import Table

        self._table = Table("", "prediction", "probability", "remarks")
        self._rows = 0

    def add(self, answer: dict[str, Any]) -> None:
        from rich.text import Text

        number = str(self._rows)
        self._rows += 1
        if "error" in answer:
            error = answer["error"]
            remark = Text(f"{error['message']} Fix: {error['fix']}")
            self._table.add_row(number, Text("refused", style="red"), "", remark)
            return
        probabilities = sorted(answer.get("probabilities", {}).items(), key=lambda item: -item[1])[:3]
        likely = ", ".join(f"{label} {probability:.1%}" for label, probability in probabilities)
        remarks = "; ".join(f"{w['field']}: {w['message']}" for w in answer["warnings"])
        self._table.add_row(number, Text(str(answer["prediction"])), Text(likely), Text(remarks))

    def show(self) -> None:
        out.print(self._table)
