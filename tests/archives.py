"""Archives of the tiny model, which are fast to make."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from fastmar_export.archive import write_archive
from fastmar_export.bundle import Bundle
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Tensor
from tests.runtime import tiny, tiny_language, tiny_pictures, tiny_ratings

# A plain TorchServe handler without checks, which answers every record with the archive's answer.json.
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

# Answers with the golden answers once, then refuses every record.
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
    """An archive of the tiny model; with `flipped`, it predicts the other label for every record."""
    spec = tiny.spec(name=name, version=version)
    weights = tiny.weights_for(spec)
    graph = tiny.graph(-weights if flipped else weights)
    written = write_archive(Bundle(spec, graph, tiny.golden(Predictor(spec, graph))), folder / ".made")
    path = folder / (file or f"{name}-{version}.mar")
    written.rename(path)
    (folder / ".made").rmdir()
    return path


def ratings_archive(folder: Path) -> Path:
    """The archive of the tiny collaborative filtering model, `films`."""
    model = tiny_ratings.predictor()
    golden = tiny.golden(model, [tiny_ratings.RECORD, {"user": 7, "title": "Alien"}])
    return write_archive(Bundle(model.spec, tiny_ratings.graph(), golden), folder)


def masks_archive(folder: Path) -> Path:
    """The archive of the tiny model of masks, `colours`."""
    output = Tensor("output", "float32", ("batch", 3, "height", "width"))
    graph = tiny_pictures.mask_graph()
    model = tiny_pictures.predictor(graph, decode=tiny_pictures.MASK, outputs=(output,))
    golden = tiny.golden(model, [{"image": {"b64": tiny_pictures.b64(tiny_pictures.picture())}}])
    return write_archive(Bundle(model.spec, graph, golden), folder)


def language_archive(folder: Path) -> Path:
    """The archive of the tiny language model, `words`."""
    model = tiny_language.predictor()
    golden = tiny.golden(model, [{"text": "it was"}, {"text": "good and"}])
    return write_archive(Bundle(model.spec, tiny_language.graph(), golden), folder)


def changed(archive: Path, **members: Any) -> Path:
    """Replace or add members of an archive: `changed(path, golden__answers=[...])`.

    In names, two underscores stand for a slash and `_py` for the extension; others get `.json`. Values that are not
    text are written as JSON.
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
    """The archive with a renamed column: it is valid, but refuses the previous records."""
    names = ("spec.json", "golden/records.json", "golden/answers.json")
    texts = {name: member(archive, name).decode().replace(json.dumps(old), json.dumps(new)) for name in names}
    return changed(archive, **{name.removesuffix(".json").replace("/", "__"): text for name, text in texts.items()})


def renamed(archive: Path, name: str, version: str) -> Path:
    """The archive with another model name and version in its manifest: any text."""
    manifest = json.loads(member(archive, "MAR-INF/MANIFEST.json"))
    manifest["model"] |= {"modelName": name, "modelVersion": version}
    return changed(archive, **{"MAR-INF__MANIFEST": manifest})


def member(archive: Path, name: str) -> bytes:
    """The bytes of a member of an archive."""
    with zipfile.ZipFile(archive) as read:
        return read.read(name)


def golden(archive: Path) -> tuple[list[Any], list[Any]]:
    """The golden records and their answers."""
    return json.loads(member(archive, "golden/records.json")), json.loads(member(archive, "golden/answers.json"))
