"""Show what an archive or a learner's pickle holds, without running any of it.

Of an archive: its schema, steps, graph, provenance and golden records. Of a pickle: the kind of learner, columns,
transforms, network, what would run code if somebody loaded it normally, and any training rows in it.
"""

from __future__ import annotations

import argparse
import zipfile
from itertools import takewhile
from pathlib import Path
from typing import Any

from fastmar_cli.console import out
from fastmar_contract.display import printable
from fastmar_contract.members import SPEC


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("file", metavar="MODEL.mar|LEARNER.pkl", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print what the file holds."""
    facts = _archive_facts(args.file) if _is_archive(args.file) else _pickle_facts(args.file)
    if args.json:
        import orjson

        print(orjson.dumps(facts, option=orjson.OPT_INDENT_2).decode())
        return 0
    _show(facts)
    return 0


def _is_archive(path: Path) -> bool:
    if path.suffix == ".mar":
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return SPEC in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _archive_facts(path: Path) -> dict[str, Any]:
    from fastmar_runtime import spec as spec_format
    from fastmar_runtime.bundle import BundleFiles
    from fastmar_runtime.checks import read_spec
    from fastmar_runtime.golden import read_records
    from fastmar_runtime.schema import describe

    files = BundleFiles(path)
    spec = read_spec(files)
    golden = [{"record": record, "answer": answer} for record, answer in zip(*read_records(files), strict=False)]
    return spec_format.to_dict(spec) | {"schema": describe(spec), "golden": golden}


def _pickle_facts(path: Path) -> dict[str, Any]:
    from fastmar_export.inspection import inspect_pickle

    return inspect_pickle(path)


def _show(facts: dict[str, Any]) -> None:
    from rich.tree import Tree

    tree = Tree(_text(facts.get("name") or facts.get("kind") or "not a learner"))
    for key, value in facts.items():
        if key == "network":
            _add_network(tree, value)
        elif key == "golden":
            _add(tree.add(f"golden: {len(value)} records, the first of them"), value[0] if value else {})
        elif key != "schema" and value != _NO_COLUMNS:  # the fields say the same as the schema, for people
            _add_entry(tree, key, value)
    out.print(tree)


def _add(node: Any, value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _add_entry(node, key, item)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                _add_item(node, _title(item), {k: v for k, v in item.items() if k not in _TITLES})
            else:
                node.add(_text(item))
    else:
        node.add(_text(value))


_TITLES = ("name", "step", "layer", "where", "what")
_NO_COLUMNS: dict[str, list[str]] = {"categories": [], "numbers": []}  # of a learner that reads pictures
_SENTENCES = ("runs_code", "functions", "leaks", "notices", "problems")
_MAX_ITEMS = 12
_SHOWN_DEPTH = 3  # of a network; what lies deeper is counted, and listed by --json
_MAX_LETTERS = 120  # of a picture in base64


def _title(item: dict[str, Any]) -> Any:
    return next((item[key] for key in _TITLES if key in item), "-")


def _add_item(node: Any, title: Any, item: dict[str, Any]) -> None:
    """On one line what has no branches of its own; what is not there is left out."""
    told = {
        key: value for key, value in item.items() if value is not None and value is not False and value not in ([], {})
    }
    if any(_branches(value) for value in told.values()):
        _add(node.add(_text(title)), told)
    else:
        node.add(_text(f"{title}  " + "; ".join(_line(key, value) for key, value in told.items())))


def _add_entry(node: Any, key: str, value: Any) -> None:
    if key in _SENTENCES and value:
        branch = node.add(_text(key))
        for sentence in value:
            branch.add(_text(sentence["message"] if isinstance(sentence, dict) else sentence))
    elif _branches(value):
        _add(node.add(_text(key)), value)
    else:
        node.add(_text(_line(key, value)))


def _branches(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, dict) and "timestamp" not in item for item in value)
    return isinstance(value, dict) and bool(value)


def _line(key: str, value: Any) -> str:
    if not isinstance(value, list):
        text = str(value)
        return (
            f"{key}: {text if len(text) <= _MAX_LETTERS else f'{text[: _MAX_LETTERS // 2]}... ({len(text):,} letters)'}"
        )
    more = f", ... ({len(value)} in all)" if len(value) > _MAX_ITEMS else ""
    return f"{key}: {', '.join(map(repr, value[:_MAX_ITEMS])) or 'none'}{more}"


def _add_network(tree: Any, layers: list[dict[str, Any]]) -> None:
    """A branch a layer; below a few levels, and where all of them are served, a line for the layers inside of one."""
    nodes = [tree.add(f"network: {len(layers)} layers, {_parameters(layers):,} parameters")]
    position = 0
    while position < len(layers):
        layer = layers[position]
        within = _inside(layers, position)
        del nodes[layer["depth"] + 1 :]
        label = f"{layer['where'].rpartition('.')[2]}: {layer['class']}"
        label += "" if layer["served"] else "  (NOT SERVED)"
        folded = within if layer["depth"] >= _SHOWN_DEPTH and all(inner["served"] for inner in within) else []
        if folded:
            label += f", {len(folded)} layers inside"
        if count := _parameters([layer, *folded]):
            label += f", {count:,} parameters"
        nodes.append(nodes[-1].add(_text(label)))
        position += 1 + len(folded)


def _inside(layers: list[dict[str, Any]], position: int) -> list[dict[str, Any]]:
    depth = layers[position]["depth"]
    return list(takewhile(lambda layer: layer["depth"] > depth, layers[position + 1 :]))


def _parameters(layers: list[dict[str, Any]]) -> int:
    return sum(layer["parameters"] for layer in layers)


def _text(value: Any) -> Any:
    from rich.text import Text

    return Text(printable(str(value)))
