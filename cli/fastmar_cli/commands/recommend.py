"""Recommend items to a user, with a collaborative filtering model.

TARGET is MODEL.mar, or a URL such as http://127.0.0.1:8080/predictions/NAME. USER and the items to leave out are read
like cells of the training table: 7 is a number if the users are numbers. With --like, the items that are most similar
to an item are listed instead: fastmar recommend films.mar --like 'Alien (1979)'.

Examples:
  fastmar recommend model_store/films.mar 7 -k 5
  fastmar recommend model_store/films.mar --like 'Alien (1979)'
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fastmar_cli.arguments import add_key_file, positive
from fastmar_cli.console import out

if TYPE_CHECKING:
    from fastmar_client import Schema

Answer = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("target", metavar="TARGET", help="MODEL.mar, or the URL of a served model")
    parser.add_argument("user", metavar="USER", nargs="?", help="the user to recommend items to")
    parser.add_argument("--like", metavar="ITEM", help="list the items that are similar to this one")
    parser.add_argument("-k", type=positive, default=10, metavar="N", help="number of items (default: 10)")
    parser.add_argument("--seen", nargs="+", default=[], metavar="ITEM", help="items to leave out")
    parser.add_argument("--json", action="store_true", help="print the answer as one line of JSON")
    add_key_file(parser)


def run(args: argparse.Namespace) -> int:
    """Print the list; exit status 1 if it was refused."""
    import orjson

    from fastmar_client import Schema
    from fastmar_contract.files import JSON
    from fastmar_serving.targets import open_target

    if (args.user is None) == (args.like is None):
        args.refuse("pass either USER or --like ITEM")
    if args.like is not None and args.seen:
        args.refuse("--seen applies to the recommendations of a USER")
    target = open_target(args.target, args.key_file)
    [answer] = target.records(orjson.dumps(_record(args, Schema(target.schema()))), JSON)
    if args.json:
        print(orjson.dumps(answer).decode())
    else:
        _show(answer)
    return 1 if "error" in answer else 0


def _record(args: argparse.Namespace, schema: Schema) -> Answer:
    """The record that requests the list."""
    from fastmar_client.item_lists import recommend_record, similar_record

    names = schema.described.get("recommender") or {"user": None, "item": None}

    def read(part: str, text: str) -> Any:
        column = schema.columns.get(names[part])
        return text if column is None else column.cell_reader()(text)

    if args.like is not None:
        return similar_record(schema.described, read("item", args.like), args.k)
    seen = [read("item", text) for text in args.seen]
    return recommend_record(schema.described, read("user", args.user), args.k, seen)


def _show(answer: Answer) -> None:
    """Print a table of the items, then the warnings; or the error."""
    from rich.table import Table
    from rich.text import Text

    from fastmar_contract.summary import listed_items

    if "error" in answer:
        out.print(f"Refused: {answer['error']['message']}\n  Fix: {answer['error']['fix']}", markup=False)
        return
    entries = listed_items(answer) or []
    table = Table("", "item", "prediction" if "user" in answer else "similarity")
    for place, entry in enumerate(entries, 1):
        *_, number = entry.values()
        table.add_row(str(place), Text(str(entry["item"])), f"{number:.6g}")
    out.print(table)
    for warning in answer["warnings"]:
        out.print(f"{warning['field']}: {warning['message']}", markup=False)
