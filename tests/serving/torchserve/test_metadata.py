"""The outputs in `/v2/models/NAME` are those of `/v2/models/NAME/infer`."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.runtime import tiny, tiny_pictures

from fastmar_contract.members import SPEC
from fastmar_runtime import protocol_v2
from fastmar_runtime import spec as spec_format
from fastmar_runtime.pictures import Picture
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Spec
from fastmar_serving.archives import MANIFEST
from fastmar_serving.torchserve.metadata import ArchiveFacts, read_facts

LABELS = [f"label {number}" for number in range(3)]
TOP = {**tiny_pictures.LABELS, "vocab": LABELS, "top": 2}
PICTURE = Picture(tiny_pictures.picture())
TABLES = {
    "category": tiny.CATEGORY_DECODER,
    "multi_category": tiny.MULTI_DECODER,
    "number": tiny.ONE_NUMBER_DECODER,
    "numbers": tiny.TWO_NUMBERS_DECODER,
    "raw": tiny.RAW_DECODER,
    "category, top 1": {**tiny.CATEGORY_DECODER, "top": 1},
    "category, top of more than there are": {**tiny.CATEGORY_DECODER, "top": 10},
}
PICTURES = {
    "picture": tiny_pictures.LABELS,
    "picture, top 2": TOP,
    "picture, several labels, top 2": {**tiny_pictures.SEVERAL, "vocab": LABELS, "top": 2},
    "points": tiny_pictures.POINTS,
    "segmentation": tiny_pictures.MASK,
}


def model(name: str) -> tuple[Predictor, Any]:
    """A model and a record that it answers."""
    if name in TABLES:
        return tiny.predictor(decode=TABLES[name]), tiny.record()
    decode = PICTURES[name]
    points = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    graphs = {"points": lambda: tiny_pictures.graph(points), "segmentation": tiny_pictures.mask_graph}
    return tiny_pictures.predictor(graphs.get(name, tiny_pictures.graph)(), decode=decode), PICTURE


def facts(folder: Path, spec: dict[str, Any]) -> ArchiveFacts:
    """The facts of an archive with this spec."""
    path = folder / "tiny.mar"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, b'{"model": {"modelName": "tiny"}}')
        archive.writestr(SPEC, orjson.dumps(spec))
    return read_facts(path)


def outputs_in_metadata(folder: Path, spec: Spec) -> list[dict[str, Any]]:
    tensors = facts(folder, spec_format.to_dict(spec)).tensors
    assert tensors is not None
    return list(tensors["outputs"])


@pytest.mark.parametrize("records", [0, 1, 3])
@pytest.mark.parametrize("name", [*TABLES, *PICTURES])
def test_metadata_describes_the_outputs_of_infer(tmp_path: Path, name: str, records: int) -> None:
    predictor, record = model(name)
    answers = predictor.predict([record] * records)
    answered = protocol_v2.write({}, answers, predictor.spec)["outputs"]
    described = outputs_in_metadata(tmp_path, predictor.spec)
    assert [(each["name"], each["datatype"]) for each in described] == [
        (each["name"], each["datatype"]) for each in answered
    ]
    for metadata, output in zip(described, answered, strict=True):
        assert len(metadata["shape"]) == len(output["shape"]), metadata["name"]
        assert metadata["shape"][0] == -1
        assert output["shape"][0] == records
        known = [(size, got) for size, got in zip(metadata["shape"], output["shape"], strict=True) if size != -1]
        assert all(size == got for size, got in known), metadata["name"]


def test_shape_of_points(tmp_path: Path) -> None:
    spec = tiny_pictures.spec(decode=tiny_pictures.POINTS)
    assert outputs_in_metadata(tmp_path, spec) == [{"name": "prediction", "datatype": "FP32", "shape": [-1, 2, 2]}]


def test_outputs_of_top_k(tmp_path: Path) -> None:
    assert outputs_in_metadata(tmp_path, tiny_pictures.spec(decode=TOP)) == [
        {"name": "prediction", "datatype": "BYTES", "shape": [-1]},
        {"name": "labels", "datatype": "BYTES", "shape": [-1, 2]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
    ]


def test_unknown_kind_of_answer_has_no_tensors(tmp_path: Path) -> None:
    spec = spec_format.to_dict(tiny.spec())
    assert facts(tmp_path, spec).tensors is not None
    assert facts(tmp_path, {**spec, "decode": {"decoder": "of a newer version"}}).tensors is None
