"""Real archives of the tiny model, small enough to be made for a single test."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from fastmar_export.archive import Bundle, write_archive
from fastmar_runtime.predictor import Predictor
from tests.runtime import tiny

# A handler that is TorchServe's alone: it checks nothing, and answers every record with what the archive says.
UNCHECKED = """
import json, pathlib

class Unchecked:
    def initialize(self, context):
        folder = pathlib.Path(context.system_properties["model_dir"])
        self.answer = (folder / "answer.json").read_text()

    def handle(self, data, context):
        for index in range(len(data)):
            context.set_response_content_type(index, "application/json")
        return [self.answer.encode()] * len(data)
"""

# Reproduces the golden records once, then refuses every record.
REFUSES_LATER = """
import json, pathlib

class RefusesLater:
    def initialize(self, context):
        folder = pathlib.Path(context.system_properties["model_dir"])
        self.answers = json.loads((folder / "golden/answers.json").read_text())

    def handle(self, data, context):
        bodies = []
        for index in range(len(data)):
            context.set_response_content_type(index, "application/json")
            if not self.answers:
                context.set_response_status(400, "Bad Request", index)
            error = {"error": {"code": "missing_column", "message": "no column", "fix": "-"}}
            bodies.append(json.dumps(self.answers.pop(0) if self.answers else error).encode())
        return bodies
"""

SLOW = UNCHECKED.replace("import json", "import json, time").replace(
    "        for index", "        time.sleep(1)\n        for index"
)

RAISES = """
class Raises:
    def initialize(self, context):
        raise RuntimeError("the weights are missing")

    def handle(self, data, context):
        return [b""] * len(data)
"""

HANGS = """
import time

class Hangs:
    def initialize(self, context):
        time.sleep(600)

    def handle(self, data, context):
        return [b""] * len(data)
"""


def tiny_archive(
    folder: Path, version: str = "1.0", *, name: str = "tiny", flipped: bool = False, file: str | None = None
) -> Path:
    """The tiny model; `flipped` predicts the other label to every record."""
    spec = tiny.spec(name=name, version=version)
    weights = tiny.weights_for(spec)
    graph = tiny.graph(-weights if flipped else weights)
    written = write_archive(Bundle(spec, graph, tiny.golden(Predictor(spec, graph))), folder / ".made")
    path = folder / (file or f"{name}-{version}.mar")
    written.rename(path)
    (folder / ".made").rmdir()
    return path


def changed(archive: Path, **members: Any) -> Path:
    """The archive with some members replaced or added: `changed(path, golden__answers=[...])`, as JSON unless text.

    Two underscores stand for a slash, `_py` and the like for endings; those without are JSON.
    """
    with zipfile.ZipFile(archive) as read:
        content = {name: read.read(name) for name in read.namelist()}
    for key, value in members.items():
        name = key.replace("__", "/")
        name = f"{name[:-3]}.py" if name.endswith("_py") else f"{name}.json"
        content[name] = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    with zipfile.ZipFile(archive, "w") as written:
        for name, data in content.items():
            written.writestr(name, data)
    return archive


def with_column_renamed(archive: Path, old: str, new: str) -> Path:
    """The archive with another name for a column: it works, and refuses every record of before."""
    names = ("spec.json", "golden/records.json")
    texts = {name: member(archive, name).decode().replace(json.dumps(old), json.dumps(new)) for name in names}
    return changed(archive, **{name.removesuffix(".json").replace("/", "__"): text for name, text in texts.items()})


def renamed(archive: Path, name: str, version: str) -> Path:
    """The archive under another model's name and version, as TorchServe knows them: any text."""
    manifest = json.loads(member(archive, "MAR-INF/MANIFEST.json"))
    manifest["model"] |= {"modelName": name, "modelVersion": version}
    return changed(archive, **{"MAR-INF__MANIFEST": manifest})


def member(archive: Path, name: str) -> bytes:
    """A part of an archive."""
    with zipfile.ZipFile(archive) as read:
        return read.read(name)


def golden(archive: Path) -> tuple[list[Any], list[Any]]:
    """Golden records and their answers."""
    return json.loads(member(archive, "golden/records.json")), json.loads(member(archive, "golden/answers.json"))
