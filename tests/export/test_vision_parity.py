"""Compares answers of archives with `learn.predict`, for all kinds of picture learners."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import fastai.callback.progress  # noqa: F401 - gives learners `no_bar`
import numpy as np
import pytest

from fastmar_export.exporter import ExportResult, Options, export_learner
from fastmar_export.targets import MAX_PROBABILITIES, TOP_K
from fastmar_runtime.masks import read_png
from fastmar_runtime.predictor import Predictor
from tests.export.pictures import CASES, make_learner, odd_pictures

TOLERANCE = 1e-4  # float32 sums of a deep network in another order

PICTURES = ("portrait", "landscape", "grey", "rgba", "palette", "cmyk", "turned by EXIF", "16 bits")


def exported(name: str, folder: Path, **options: Any) -> tuple[Any, ExportResult, Predictor]:
    learn = make_learner(CASES[name], folder / "pictures")
    learn.export(folder / "learner.pkl")
    result = export_learner(folder / "learner.pkl", Options("model", output=folder, **options))
    return learn, result, Predictor.open(result.path)


def fastais(learn: Any, data: bytes) -> Any:
    with learn.no_bar(), learn.no_logging(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return learn.predict(data)


def compare(answer: dict[str, Any], theirs: Any, decoder: str) -> float:
    """Assert that labels are equal, and return the largest difference of numbers."""
    decoded, index, raw = theirs
    if decoder == "segmentation":
        ours, mask = read_png(answer["prediction"]["mask"]), index.numpy()
        assert ours.shape == mask.shape == (answer["prediction"]["height"], answer["prediction"]["width"])
        probabilities = np.take_along_axis(raw.numpy(), ours[None].astype(np.int64), axis=0)[0]
        # Where two classes are equally probable up to the tolerance, either is right.
        assert (raw.numpy().max(axis=0) - probabilities <= 2 * TOLERANCE).all()
        assert sum(c["pixels"] for c in answer["prediction"]["classes"]) == mask.size
        return 0.0
    if decoder == "points":
        points = np.asarray(decoded)
        return float(np.abs(np.asarray(answer["points_model"]) - points).max() / max(1.0, np.abs(points).max()))
    if decoder == "category":
        assert answer["prediction"] == str(decoded)
        assert answer["index"] == int(index)
        if len(raw) > MAX_PROBABILITIES:
            largest = sorted(raw.tolist(), reverse=True)[:TOP_K]
            assert next(iter(answer["probabilities"])) == answer["prediction"]
            return float(np.abs(np.subtract(list(answer["probabilities"].values()), largest)).max())
    if decoder == "multi_category":
        assert answer["prediction"] == list(decoded)
    if decoder in ("category", "multi_category"):
        return float(np.abs(np.subtract(list(answer["probabilities"].values()), raw.tolist())).max())
    ours, numbers = np.atleast_1d(answer["prediction"]), np.atleast_1d(raw.numpy())
    return float((np.abs(ours - numbers) / np.maximum(1.0, np.abs(numbers))).max())


@pytest.mark.parametrize("name", CASES)
def test_answers_equal_fastai(name: str, tmp_path: Path, record_property: Any) -> None:
    learn, result, predictor = exported(name, tmp_path)
    pictures = [odd_pictures()[kind] for kind in PICTURES]
    answers = predictor.predict(pictures)
    largest = 0.0
    for kind, data, answer in zip(PICTURES, pictures, answers, strict=True):
        assert "error" not in answer, (kind, answer)
        largest = max(largest, compare(answer, fastais(learn, data), result.spec.decode["decoder"]))
    assert largest <= TOLERANCE
    record_property("largest difference", largest)
