"""Show the contents of an archive or of a learner's pickle, without running any code in it.

Of an archive: its schema, steps, graph, provenance, reference profile (for monitoring) and golden records. Of a pickle:
the kind of learner, columns, transforms, network, code that load_learner would run, and training rows.

Examples:
  fastmar inspect learner.pkl
  fastmar inspect model_store/flights.mar
"""

from __future__ import annotations

import argparse
import zipfile
from itertools import groupby, islice, takewhile
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
    """Print the contents of the file."""
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
    from fastmar_serving.archive_facts import archive_facts

    return archive_facts(path)


def _pickle_facts(path: Path) -> dict[str, Any]:
    from fastmar_export.inspection import inspect_pickle

    return inspect_pickle(path)


def _show(facts: dict[str, Any]) -> None:
    from rich.tree import Tree

    tree = Tree(_text(facts.get("name") or facts.get("kind") or "not a learner"))
    for key, value in facts.items():
        if key == "network":
            _add_network(tree, value)
        elif key == "reference_profile" and value is None:
            tree.add(f"{key}: none (`fastmar export --reference` makes one, for monitoring)")
        elif key == "golden":
            _add(tree.add(f"golden: {len(value)} records, the first one"), value[0] if value else {})
        elif key != "schema" and value != _NO_COLUMNS:  # `fields` has the content of `schema`
            _add_entry(tree, key, value)
    out.print(tree)


def _add(node: Any, value: Any) -> None:
    if isinstance(value, dict):
        shown = len(value) if len(value) <= _MAX_ENTRIES else _MAX_ITEMS
        for key, item in islice(value.items(), shown):
            _add_entry(node, key if key.isprintable() else repr(key), item)
        if shown < len(value):
            node.add(f"... ({len(value):,} in all)")
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                _add_item(node, _title(item), {k: v for k, v in item.items() if k not in _TITLES})
            else:
                node.add(_text(item))
    else:
        node.add(_text(value))


_TITLES = ("name", "step", "layer", "where", "what")
_NO_COLUMNS: dict[str, list[str]] = {"categories": [], "numbers": []}  # a picture learner
_SENTENCES = ("runs_code", "functions", "leaks", "notices", "problems")
_MAX_ITEMS = 12
_MAX_ENTRIES = 100  # of an object; of a larger one, such as a tokenizer's special cases, `_MAX_ITEMS` are shown
_MAX_DEPTH = 3  # of a network; deeper layers are counted
_MAX_LENGTH = 120  # of a text


def _title(item: dict[str, Any]) -> Any:
    return next((item[key] for key in _TITLES if key in item), "-")


def _add_item(node: Any, title: Any, item: dict[str, Any]) -> None:
    """Add an item, on one line if it has no nested items; empty values and flags that are not set are omitted."""
    values = {
        key: value
        for key, value in item.items()
        if value is not None and (value is not False or key == "default") and value not in ([], {})
    }
    if any(_is_nested(value) for value in values.values()):
        _add(node.add(_text(title)), values)
    else:
        node.add(_text(f"{title}  " + "; ".join(_line(key, value) for key, value in values.items())))


def _add_entry(node: Any, key: str, value: Any) -> None:
    if key in _SENTENCES and value:
        branch = node.add(_text(key))
        for sentence in value:
            branch.add(_text(sentence["message"] if isinstance(sentence, dict) else sentence))
    elif _is_nested(value):
        _add(node.add(_text(key)), value)
    else:
        node.add(_text(_line(key, value)))


def _is_nested(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, dict) and "timestamp" not in item for item in value)
    return isinstance(value, dict) and bool(value)


def _line(key: str, value: Any) -> str:
    if _is_step_lists(value):
        return f"{key}: {_step_lists(value)}"
    if not isinstance(value, list):
        text = str(value)
        if len(text) > _MAX_LENGTH:
            text = f"{text[: _MAX_LENGTH // 2]}... ({len(text):,} characters)"
        return f"{key}: {text}"
    more = f", ... ({len(value)} in all)" if len(value) > _MAX_ITEMS else ""
    return f"{key}: {', '.join(map(repr, value[:_MAX_ITEMS])) or 'none'}{more}"


def _is_step_lists(value: Any) -> bool:
    """Whether a value has several lists of steps, such as those of the copies of test-time augmentation."""
    return (
        isinstance(value, list) and bool(value) and all(isinstance(item, list) and _is_nested(item) for item in value)
    )


def _step_lists(value: list[list[dict[str, Any]]]) -> str:
    """The names of the steps in each list; equal ones are counted."""
    names = (", ".join(str(_title(step)) for step in steps) for steps in value)
    return "; ".join(f"{sum(1 for _ in group)} x ({name})" for name, group in groupby(names))


def _add_network(tree: Any, layers: list[dict[str, Any]]) -> None:
    """A branch for each layer; deep layers are only counted, unless one of them is not supported."""
    nodes = [tree.add(f"network: {len(layers)} layers, {_parameters(layers):,} parameters")]
    position = 0
    while position < len(layers):
        layer = layers[position]
        inner_layers = _inside(layers, position)
        del nodes[layer["depth"] + 1 :]
        label = f"{layer['where'].rpartition('.')[2]}: {layer['class']}"
        label += "" if layer["served"] else "  (NOT SERVED)"
        folded = inner_layers if layer["depth"] >= _MAX_DEPTH and all(inner["served"] for inner in inner_layers) else []
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
