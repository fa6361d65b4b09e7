"""Compares texts and encodings of language models with fastai's `LMLearner.predict` and its encoder."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fastai.text.models.core import masked_concat_pool

from fastmar_export.exporter import Options, export_learner
from fastmar_runtime.operations.generator.sampling import choose
from fastmar_runtime.predictor import Predictor
from tests.conftest import MEASURED
from tests.export.texts import make_block, make_language_model, subwords

TOLERANCE = 1e-5
SEED = 7
TEXTS = ["The film was", "Sooooo GOOD!!! a a a a", "xxrep 3 it xxup was xxpad", "acting " * 90, ""]
SAMPLINGS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.5},
    {"temperature": 1.7, "min_p": 0.02},
    {"min_p": 0.9},
    {"no_unk": False},
]


CASES: dict[str, Callable[[], Any]] = {
    "spaCy": lambda: make_language_model(make_block(is_lm=True)),
    "untied": lambda: make_language_model(make_block(is_lm=True), tie_weights=False),
    "SentencePiece": lambda: make_language_model(subwords(is_lm=True)),
    "backwards": lambda: make_language_model(make_block(is_lm=True, backwards=True)),
}


@pytest.fixture(scope="module", params=CASES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Predictor]:
    """A learner, and its archive."""
    folder = tmp_path_factory.mktemp("learner")
    learn = CASES[request.param]()
    learn.export(folder / "learner.pkl")
    return learn, Predictor.open(export_learner(folder / "learner.pkl", Options("model", output=folder)).path)


@pytest.fixture
def drawn_by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fastai draw tokens with the generator and the function of the runtime."""
    random = np.random.default_rng(SEED)

    def multinomial(weights: torch.Tensor, _: int) -> torch.Tensor:
        return torch.tensor([choose(weights.double().numpy(), random)])

    monkeypatch.setattr(torch, "multinomial", multinomial)


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:12])
@pytest.mark.usefixtures("drawn_by_numpy")
def test_a_text_equals_fastai(pair: tuple[Any, Predictor], text: str, sampling: dict[str, Any]) -> None:
    learn, predictor = pair
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = learn.predict(text, 25, no_bar=True, **sampling)
    [ours] = predictor.predict([{"text": text, "generate": 25, "seed": SEED, **sampling}])
    assert ours["text"] == theirs
    assert ours["text"].endswith(ours["generated"])


def test_encodings_equal_fastai(pair: tuple[Any, Predictor], record_property: Any) -> None:
    learn, predictor = pair
    differences = []
    for text in TEXTS:
        ids = learn.dls.test_dl([text]).items[0]
        learn.model.reset()
        with torch.no_grad():
            outputs, _ = learn.model.eval()[0](ids[None]), None
        theirs = masked_concat_pool(outputs, torch.zeros(1, len(ids), dtype=torch.bool), 72)[0].numpy()
        [answer] = predictor.predict([{"text": text, "embed": True}])
        differences.append(float(np.abs(np.array(answer["embedding"]) - theirs).max()))
    assert max(differences) <= TOLERANCE
    record_property(MEASURED, max(differences))
