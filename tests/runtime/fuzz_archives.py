"""Fuzzing of the commands that open archives.

    python -m tests.runtime.fuzz_archives --count 10000

Runs `inspect`, `predict`, `verify`, `diff` and `doctor` on mutated archives in this process. Each command must succeed
or raise an error with a code and a fix; any other exception is a failure.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import random
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**18, 0.5, -1e308, 1e-320, "", "x", "age", "../x", "a" * 5000, [], {},
    [[]], [1], ["x"], [None], {"x": 1}, {"timestamp": "x"}, [1, 2, 3], [[1, 2], [3]], {"a": {"b": []}},
)  # fmt: skip
JSON_PARTS = ("spec.json", "spec.json", "golden/records.json", "golden/answers.json", "MAR-INF/MANIFEST.json")
COMMANDS = ("inspect", "predict", "verify", "diff", "doctor")

Parts = list[tuple[str, bytes]]


def mutate(parts: Parts, rng: random.Random) -> tuple[str, bytes]:
    """A description of a random change, and the bytes of the changed archive."""
    kind = rng.choice((_json, _json, _json, _json, _graph, _array, _members, _bytes))
    return kind(list(parts), rng)


def _json(parts: Parts, rng: random.Random) -> tuple[str, bytes]:
    names = [name for name, _ in parts]
    name = rng.choice([part for part in JSON_PARTS if part in names])
    at = names.index(name)
    value = json.loads(parts[at][1])
    changes = []
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        value, what = _changed(value, rng)
        changes.append(what)
    try:
        content = json.dumps(value).encode()
    except (ValueError, TypeError):
        content = b"{"
    if rng.random() < 0.02:
        content = b"[" * 900 + b"]" * 900
    parts[at] = (name, content)
    return f"{name}: {'; '.join(changes)}", _zip(parts)


def _changed(value: Any, rng: random.Random) -> tuple[Any, str]:
    places = list(_places(value, ()))
    path = rng.choice(places)
    if not path:
        return copy.deepcopy(rng.choice(VALUES)), "everything"
    holder = value
    for step in path[:-1]:
        holder = holder[step]
    last = path[-1]
    action = rng.choice(("replace", "replace", "replace", "delete", "copy", "rename"))
    if action == "delete":
        del holder[last]
    elif action == "copy":
        source: Any = value
        for step in rng.choice(places):
            source = source[step]
        holder[last] = json.loads(json.dumps(source))
    elif action == "rename" and isinstance(holder, dict):
        holder[rng.choice(("x", "step", "kind", "name", last + "_"))] = holder.pop(last)
    else:
        action = "replace"
        holder[last] = copy.deepcopy(rng.choice(VALUES))
    return value, f"{action} {path}"


def _places(value: Any, path: tuple[Any, ...]) -> Any:
    yield path
    if len(path) > 12:
        return
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items)[:40]:
        yield from _places(item, (*path, key))


def _graph(parts: Parts, rng: random.Random) -> tuple[str, bytes]:
    import onnx
    from onnx import helper

    names = [name for name, _ in parts]
    at = names.index("model.onnx")
    content = parts[at][1]
    if rng.random() < 0.6:
        changed = bytearray(content)
        for _ in range(rng.choice((1, 1, 3, 20))):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        if rng.random() < 0.3:
            del changed[rng.randrange(len(changed)) :]
        parts[at] = ("model.onnx", bytes(changed))
        return "graph bytes", _zip(parts)
    model = onnx.load_from_string(content)
    node = rng.choice(model.graph.node)
    what = rng.choice(("operator", "domain", "input", "attributes", "output name", "dims", "type", "drop", "loop"))
    if what == "operator":
        node.op_type = rng.choice(("Loop", "Scan", "If", "Relu", "Shape", "NonZero", "Tile", "Expand", "TopK", "Cast"))
    elif what == "domain":
        node.domain = rng.choice(("com.microsoft", "ai.onnx.ml", "x"))
    elif what == "input" and node.input:
        node.input[0] = rng.choice([*model.graph.node[0].output, "nothing", model.graph.input[0].name])
    elif what == "attributes":
        del node.attribute[:]
    elif what == "output name":
        model.graph.output[0].name = "other"
    elif what == "dims" and model.graph.initializer:
        weights = rng.choice(model.graph.initializer)
        if weights.dims:
            weights.dims[0] = rng.choice((0, 1, 2**40, -1))
    elif what == "type":
        model.graph.input[0].type.tensor_type.elem_type = rng.choice((1, 6, 7, 8, 11))
    elif what == "drop":
        model.graph.node.remove(node)
    else:
        body = helper.make_graph([], "body", [], [])
        node.attribute.append(helper.make_attribute("body", body))
    parts[at] = ("model.onnx", model.SerializeToString())
    return f"graph {what}", _zip(parts)


def _array(parts: Parts, rng: random.Random) -> tuple[str, bytes]:
    at = rng.choice([at for at, (name, _) in enumerate(parts) if name.endswith(".npy")])
    name, content = parts[at]
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2, 10))):
        changed[rng.randrange(min(len(changed), rng.choice((128, len(changed)))))] = rng.randrange(256)
    if rng.random() < 0.2:
        changed = bytearray(content.replace(b"'shape': (", b"'shape': (99999999999,", 1))
    parts[at] = (name, bytes(changed))
    return name, _zip(parts)


def _members(parts: Parts, rng: random.Random) -> tuple[str, bytes]:
    at = rng.randrange(len(parts))
    name = parts[at][0]
    what = rng.choice(("drop", "twice", "empty", "outside", "swap", "bomb"))
    if what == "drop":
        del parts[at]
    elif what == "twice":
        parts.append(parts[at])
    elif what == "empty":
        parts[at] = (name, b"")
    elif what == "outside":
        parts.append((rng.choice(("../x", "/x", "a/../../x", "a\\..\\x")), b"x"))
    elif what == "swap":
        other = rng.randrange(len(parts))
        parts[at], parts[other] = (name, parts[other][1]), (parts[other][0], parts[at][1])
    else:
        parts[at] = (name, bytes(8 << 20))
    return f"{what} {name}", _zip(parts)


def _bytes(parts: Parts, rng: random.Random) -> tuple[str, bytes]:
    changed = bytearray(_zip(parts))
    tail = len(changed) - 1200
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(rng.choice((0, tail)), len(changed))] = rng.randrange(256)
    if rng.random() < 0.2:
        del changed[rng.randrange(len(changed)) :]
    return "bytes of the zip", bytes(changed)


def _zip(parts: Parts) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some mutants have repeated members
        for name, content in parts:
            archive.writestr(name, content)
    return out.getvalue()


def read_parts(path: Path) -> Parts:
    """The members of an archive, with only one source of the runtime, because commands only compare digests."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.startswith("fastmar_runtime/")]
        return [(name, archive.read(name)) for name in [*names, "fastmar_runtime/__init__.py"]]


def outcomes(path: Path, original: Path, inputs: Path) -> dict[str, str]:
    """The outcome of each command for the archive at `path`: ``ok``, ``refused``, or the failure."""
    return {command: _outcome(command, path, original, inputs) for command in COMMANDS}


def _outcome(command: str, path: Path, original: Path, inputs: Path) -> str:
    if command == "doctor":
        return _doctor(path)
    arguments = {
        "inspect": ["inspect", str(path), "--json"],
        "predict": ["predict", str(path), str(inputs), "--json"],
        "verify": ["verify", str(path)],
        "diff": ["diff", str(original), str(path)],
    }[command]
    return _outcome_of(lambda: _main(arguments))


def _doctor(path: Path) -> str:
    # The command catches all exceptions of its checks, so the checks are called one by one.
    from fastmar_cli.commands.doctor import checks_of

    found = "ok"
    for _, check in checks_of(path):
        result = _outcome_of(lambda check=check: check() and None)  # type: ignore[misc]
        if result == "refused":
            found = "refused"
        elif result != "ok":
            return result
    return found


def _main(arguments: list[str]) -> None:
    from fastmar_cli.parser import build_parser

    args = build_parser([arguments[0]]).parse_args(arguments)
    args.run(args)


def _outcome_of(run: Callable[[], Any]) -> str:
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            run()
    except Exception as error:
        if getattr(error, "code", None) and getattr(error, "fix", None):
            return "refused"
        import traceback

        at = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error!s:.150} ({Path(at.filename).name}:{at.lineno})"
    return "ok"


def run(archive: Path, inputs: Path, count: int, first: int) -> int:
    """Try `count` mutants of an archive and print a summary. Returns the number of failures."""
    parts = read_parts(archive)
    tally: dict[str, Counter[str]] = {command: Counter() for command in COMMANDS}
    failures: Counter[str] = Counter()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutant.mar"
        for seed in range(first, first + count):
            rng = random.Random(seed)
            what, content = mutate(parts, rng)
            path.write_bytes(content)
            found = outcomes(path, archive, inputs)
            for command, result in found.items():
                tally[command][result if result in ("ok", "refused") else "failed"] += 1
                if result not in ("ok", "refused"):
                    failures[f"{command}: {result}"] += 1
                    if failures[f"{command}: {result}"] == 1:
                        print(f"seed {seed}, {what:.200}\n  {command}: {result}", flush=True)
            if (seed + 1 - first) % 250 == 0:
                print(f"{seed + 1 - first:,} of {count:,}, {failed} failed", flush=True)
            failed += any(result not in ("ok", "refused") for result in found.values())
    for command, counts in tally.items():
        print(f"{command}: {counts['ok']:,} ok, {counts['refused']:,} refused, {counts['failed']:,} failed")
    print(f"{count:,} mutants of {archive.name} (checksum {zlib.crc32(archive.read_bytes()):08x}): {failed} failed")
    return failed


def main() -> None:
    """Parse the arguments, and fuzz the archives of a table model and of a picture model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="number of mutants, half of them of a table model")
    parser.add_argument("--first", type=int, default=0, help="seed of the first mutant")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        failed = 0
        for archive, inputs in make_archives(Path(folder)):
            failed += run(archive, inputs, options.count // 2, options.first)
    sys.exit(min(1, failed))


def make_archives(folder: Path) -> list[tuple[Path, Path]]:
    """Archives of a table model and of a picture model, each with an input."""
    from fastmar_export.archive import write_archive
    from fastmar_export.bundle import Bundle
    from fastmar_runtime.golden import OUTPUT, GoldenRecords
    from tests.archives import tiny_archive
    from tests.runtime import tiny, tiny_pictures

    table = tiny_archive(folder)
    record = folder / "record.json"
    record.write_text(json.dumps(tiny.record()))
    picture = folder / "picture.png"
    picture.write_bytes(tiny_pictures.picture())
    predictor = tiny_pictures.predictor()
    records = [{"image": tiny_pictures.b64(tiny_pictures.encoded(tiny_pictures.noise(seed=seed)))} for seed in (0, 1)]
    inputs, _ = predictor.preprocess(records)
    golden = GoldenRecords(records, predictor.predict(records), {**inputs, OUTPUT: predictor.run(inputs)})
    pictures = write_archive(Bundle(predictor.spec, tiny_pictures.graph(), golden), folder / "pictures")
    return [(table, record), (pictures, picture)]


if __name__ == "__main__":
    main()
