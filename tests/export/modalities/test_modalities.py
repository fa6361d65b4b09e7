"""Adding a modality takes one file: the export finds it, recognises its learners, and uses it in all stages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.export.errors import raises
from tests.export.records import record

import fastmar_export.converters
import fastmar_export.modalities
from fastmar_export.errors import ExportError, UnsupportedLearner
from fastmar_export.inspection import learner_facts, supported_table
from fastmar_export.learner import Learner, check_classes
from fastmar_export.modalities import check_options, converters, modalities, modality_of
from fastmar_export.options import Options

SERIES = '''
"""Learners of time series, which fastai itself does not have."""

from fastmar_export.conversion import Conversion
from fastmar_export.converters import Domain, convert, converter
from fastmar_export.learner import transforms
from fastmar_export.modalities import Modality, worker_configuration
from fastmar_export.networks.graph import DEEP

WINDOW = Domain("series")


@converter("series.Smooth", domain=WINDOW)
def smooth(record, where, shared):
    return {"step": "smooth", "width": record.get("width")}


class Series(Modality):
    name, reads, loaders, tolerance = "series", "time series", "SeriesDataLoaders", DEEP
    classes = ("series.SeriesDataLoaders",)
    domains = {"after_item": WINDOW}
    options = ("activation",)

    def matches(self, learner):
        return learner.dataset.path == "series.Windows"

    def convert(self, learner, options):
        found = transforms(learner.loader.get("after_item"))
        steps = tuple(convert(each, f"dls.after_item[{at}]", WINDOW, None) for at, each in enumerate(found))
        return Conversion((), steps, ("x",), [], ("next",), [], dynamic_axes={"x": {1: "time"}})

    def golden(self, conversion):
        return [{}]

    def decoder(self, conversion, learner, shape, requested):
        return {"decoder": "raw"}, []

    def workers(self):
        return worker_configuration(batch=4, seconds=9, threads=1)

    def summary(self, spec):
        return []


MODALITY = Series()
'''


@pytest.fixture(scope="module", autouse=True)
def _series(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder: Path = tmp_path_factory.mktemp("modalities")
    (folder / "series.py").write_text(SERIES)
    fastmar_export.modalities.__path__.append(str(folder))
    modalities.cache_clear()
    yield
    fastmar_export.modalities.__path__.remove(str(folder))
    modalities.cache_clear()
    for key in [key for key in converters() if key[1].name == "series"]:
        del fastmar_export.converters._REGISTRY[key]


def learner(dataset: str, *transforms: Any) -> Learner:
    loader = record("fastai.data.core.TfmdDL", after_item=record("fastcore.transform.Pipeline", fs=list(transforms)))
    whole = record("fastai.learner.Learner", dls=record("series.SeriesDataLoaders"))
    return Learner(whole, loader, record(dataset), record("torch.nn.Linear"), None)


SMOOTHED = learner("series.Windows", record("series.Smooth", width=3))


def test_each_modality_has_the_name_of_its_module() -> None:
    assert {"series", "tabular", "text", "vision"} == set(modalities())
    assert all(name == modality.name for name, modality in modalities().items())


def test_learners_and_converters_of_new_modality_are_found() -> None:
    modality = modality_of(SMOOTHED)
    assert modality.name == "series"
    conversion = modality.convert(SMOOTHED, Options("m"))
    assert conversion.steps == ({"step": "smooth", "width": 3},)
    assert ("series.Smooth", "series", "step `smooth`") in supported_table()
    assert {"series.Smooth"} == {path for path, domain in converters() if domain.name == "series"}


def test_inspection_lists_transforms_of_new_modality() -> None:
    facts = learner_facts(SMOOTHED)
    assert facts["kind"] == "series"
    [transform] = facts["transforms"]
    assert transform == {"where": "dls.after_item[0]", "class": "series.Smooth", "becomes": "step smooth"}
    assert not any("SeriesDataLoaders" in problem for problem in facts["problems"])


def test_loaders_of_new_modality_are_refused_by_other_modalities() -> None:
    check_classes(SMOOTHED, modality_of(SMOOTHED).classes)
    with raises(UnsupportedLearner, "custom_class", "learn.dls", "series.SeriesDataLoaders"):
        check_classes(SMOOTHED, modalities()["tabular"].classes)


def test_learner_of_unknown_modality_is_refused() -> None:
    unknown = learner("tsai.data.core.TSDatasets", record("fastai.data.transforms.ToTensor"))
    with raises(UnsupportedLearner, "unknown_modality", "tsai.data.core.TSDatasets", "time series") as caught:
        modality_of(unknown)
    for loaders in ("SeriesDataLoaders", "TabularDataLoaders", "ImageDataLoaders"):
        assert loaders in caught.value.fix
    facts = learner_facts(unknown)
    assert facts["kind"] == "tsai.data.core.TSDatasets"
    assert [transform["becomes"] for transform in facts["transforms"]] == [None]


def test_options_of_another_modality_are_refused() -> None:
    series, tabular, vision = (modalities()[name] for name in ("series", "tabular", "vision"))
    check_options(series, Options("m", activation="sigmoid"))
    with raises(ExportError, "option_not_applicable", "--activation"):
        check_options(tabular, Options("m", activation="sigmoid"))
    size, pixels = {"picture_size": (8, 8)}, {"max_pixels": 10_000}
    for given, text in (
        (size, "--picture-size applies"),
        (pixels, "--max-pixels applies"),
        ({**size, **pixels}, "--picture-size and --max-pixels apply"),
    ):
        options = Options("m", **given)
        check_options(vision, options)
        with raises(ExportError, "option_not_applicable", text):
            check_options(tabular, options)
