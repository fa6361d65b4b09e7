"""Lists of items from exported learners, compared with `learn.get_preds` of all pairs and with torch's similarities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Recommender
from tests.export.test_collab_parity import CASES, Case, exported, fastai_ratings, make_learner

TOLERANCE = 1e-5  # float32 sums in another order
LISTED = {
    "dot product, y_range": "network.i_weight.weight",
    "network": "network.embeds.1.weight",
    "integer column names": "network.i_weight.weight",
    "float ids": "network.i_weight.weight",
    "yes or no": "network.i_weight.weight",
}


@dataclass
class Films:
    learn: Any
    predictor: Predictor
    user: str
    item: str

    def items(self) -> list[Any]:
        [found] = [field.categories for field in self.predictor.spec.fields if field.name == self.item]
        return list(found)

    def recommend(self, user: Any, k: Any = 10, **options: Any) -> dict[str, Any]:
        [answer] = self.predictor.predict([{self.user: user, "recommend": k, **options}])
        return answer

    def similar(self, item: Any, k: Any = 10) -> dict[str, Any]:
        [answer] = self.predictor.predict([{self.item: item, "similar": k}])
        return answer


def make_films(case: Case, folder: Path) -> Films:
    learn, _ = make_learner(case)
    predictor = exported(learn, folder)
    assert predictor.spec.recommender is not None
    return Films(learn, predictor, predictor.spec.recommender.user, predictor.spec.recommender.item)


@pytest.fixture(scope="module", params=LISTED)
def each(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Films:
    """The films of each kind of learner."""
    films = make_films(CASES[request.param], tmp_path_factory.mktemp("films"))
    assert films.predictor.spec.recommender == Recommender(films.user, films.item, LISTED[request.param])
    return films


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Films:
    return make_films(CASES["dot product, y_range"], tmp_path_factory.mktemp("films"))


def fastai_scores(films: Films, user: Any) -> dict[Any, float]:
    """fastai's rating of each item by `user`."""
    names = list(films.learn.dls.cat_names)
    pairs = [dict(zip(names, (user, item), strict=True)) for item in films.items()]
    return dict(zip(films.items(), fastai_ratings(films.learn, pairs).tolist(), strict=True))


def assert_best_first(listed: list[dict[str, Any]], scores: dict[Any, float], name: str) -> None:
    """Check that the list has the highest scores in order, as far as the tolerance tells them apart."""
    assert len({entry["item"] for entry in listed}) == len(listed)
    ours = [entry[name] for entry in listed]
    assert ours == sorted(ours, reverse=True)
    assert ours == pytest.approx([scores[entry["item"]] for entry in listed], abs=TOLERANCE)
    assert ours == pytest.approx(sorted(scores.values(), reverse=True)[: len(listed)], abs=TOLERANCE)


@pytest.mark.parametrize("k", [1, 5, 1000])
def test_recommendations_equal_fastai_for_all_pairs(each: Films, k: int) -> None:
    [users] = [field.categories for field in each.predictor.spec.fields if field.name == each.user]
    answer = each.recommend(users[4], k)
    assert (answer["user"], answer["warnings"]) == (users[4], [])
    assert len(answer["recommendations"]) == min(k, len(each.items()))
    assert_best_first(answer["recommendations"], fastai_scores(each, users[4]), "prediction")


def test_recommendations_equal_answers_to_pairs(each: Films) -> None:
    [users] = [field.categories for field in each.predictor.spec.fields if field.name == each.user]
    listed = each.recommend(users[2])["recommendations"]
    answers = each.predictor.predict([{each.user: users[2], each.item: entry["item"]} for entry in listed])
    assert [entry["prediction"] for entry in listed] == pytest.approx([a["prediction"] for a in answers], abs=TOLERANCE)


def test_similarities_equal_torch(each: Films) -> None:
    model = each.learn.model
    factors = (model.i_weight if hasattr(model, "i_weight") else model.embeds[1]).weight.detach()[1:]
    cosines = torch.nn.CosineSimilarity(dim=1)(factors, factors[3][None]).tolist()
    items = each.items()
    scores = dict(zip(items, cosines, strict=True))
    assert scores.pop(items[3]) == pytest.approx(1)
    answer = each.similar(items[3], 6)
    assert (answer["item"], answer["warnings"], len(answer["similar"])) == (items[3], [], 6)
    assert_best_first(answer["similar"], scores, "similarity")


def test_seen_items_are_left_out(films: Films) -> None:
    complete = films.recommend(7, 1000)["recommendations"]
    seen = [entry["item"] for entry in complete[:3]] + [complete[-1]["item"]]
    assert films.recommend(7, 1000, seen=seen)["recommendations"] == complete[3:-1]
    assert films.recommend(7, 2, seen=seen)["recommendations"] == complete[3:5]
    assert films.recommend(7, 2, seen=films.items())["recommendations"] == []
    answer = films.recommend(7, 2, seen=["never seen", complete[0]["item"]])
    assert answer["recommendations"] == complete[1:3]
    assert [(w["field"], w["code"], w["value"]) for w in answer["warnings"]] == [
        ("title", "unknown_category", "never seen")
    ]


def test_warnings_of_seen_items_are_limited(films: Films) -> None:
    assert len(films.recommend(7, 2, seen=list(range(1000)))["warnings"]) == 20


def test_an_unknown_user_is_answered_as_fastai_does(films: Films) -> None:
    answer = films.recommend(999, 5)
    assert [(w["field"], w["code"], w["value"]) for w in answer["warnings"]] == [("user", "unknown_category", 999)]
    assert_best_first(answer["recommendations"], fastai_scores(films, 999), "prediction")
    assert films.recommend(None, 5) == {"user": None, "recommendations": answer["recommendations"], "warnings": []}


def test_equal_items_are_in_the_order_of_the_categories(tmp_path: Path) -> None:
    case = CASES["dot product, y_range"]
    learn, _ = make_learner(case)
    with torch.no_grad():
        for layer in (learn.model.i_weight, learn.model.i_bias):
            layer.weight[4:] = layer.weight[4]
    same = Films(learn, exported(learn, tmp_path), "user", "title")
    items = same.items()
    place = {item: at for at, item in enumerate(items)}
    for k in (2, 5, 1000):
        listed = [entry["item"] for entry in same.recommend(7, k)["recommendations"]]
        equal = [place[item] for item in listed if place[item] >= 3]
        assert equal == list(range(3, 3 + len(equal)))
        assert same.recommend(7, k)["recommendations"] == same.recommend(7, 1000)["recommendations"][:k]
    assert [entry["item"] for entry in same.similar(items[5], 3)["similar"]] == items[3:5] + items[6:7]


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no items": ({"user": 7, "recommend": 0}, "k_out_of_range", "recommend"),
    "too many items": ({"user": 7, "recommend": 1001}, "k_out_of_range", "recommend"),
    "a fraction": ({"user": 7, "recommend": 1.5}, "k_out_of_range", "recommend"),
    "true": ({"user": 7, "recommend": True}, "k_out_of_range", "recommend"),
    "text": ({"title": "Film 3 (1963)", "similar": "10"}, "k_out_of_range", "similar"),
    "one seen item": ({"user": 7, "recommend": 3, "seen": "Film 3 (1963)"}, "seen_not_a_list", "seen"),
    "a list as seen item": ({"user": 7, "recommend": 3, "seen": [[]]}, "not_a_value", "title"),
    "no user": ({"recommend": 3}, "missing_column", "user"),
    "no item": ({"similar": 3}, "missing_column", "title"),
    "an unknown item": ({"title": "Film 99", "similar": 3}, "unknown_item", "title"),
    "null as item": ({"title": None, "similar": 3}, "unknown_item", "title"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(films: Films, name: str) -> None:
    record, code, field = REFUSED[name]
    [answer] = films.predictor.predict([record])
    assert (answer["error"]["code"], answer["error"]["field"]) == (code, field)


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"user": 7, "recommend": 2, "age": 3}, "age"),
        ({"user": 7, "recommend": 2, "similar": 2}, "similar"),
        ({"title": "Film 3 (1963)", "similar": 2, "seen": []}, "seen"),
        ({"user": 7, "title": "Film 3 (1963)", "recommend": 2}, "recommend"),
    ],
)
def test_other_columns_get_a_warning(films: Films, record: dict[str, Any], field: str) -> None:
    [answer] = films.predictor.predict([record])
    assert [(w["field"], w["code"]) for w in answer["warnings"]] == [(field, "extra_column")]


def test_infinite_outputs_are_refused(films: Films, monkeypatch: pytest.MonkeyPatch) -> None:
    model = replace(films.predictor.operations._model, run=lambda inputs: np.full((len(inputs["x_cat"]), 1), np.nan))
    monkeypatch.setattr(films.predictor.operations, "_model", model)
    assert films.recommend(7)["error"]["code"] == "not_finite"


def test_other_models_have_no_lists(tmp_path: Path) -> None:
    """Neither do archives that were exported before there were lists."""
    learn, _ = make_learner(CASES["dot product, y_range"])
    learn.model = torch.nn.Sequential(learn.model)
    predictor = exported(learn, tmp_path)
    assert predictor.spec.recommender == Recommender("user", "title", None), "the layer's weights have another name"
    [answer] = predictor.predict([{"title": "Film 3 (1963)", "similar": 2}])
    assert answer["error"]["code"] == "missing_column"


def test_a_column_named_like_an_option(tmp_path: Path) -> None:
    names = {"user_name": "seen", "item_name": "recommend", "rating_name": "rating"}
    case = Case(
        change=lambda df: df.rename(columns={"user": "seen", "title": "recommend"}),
        loaders=names,
        learner={"n_factors": 4},
    )
    learn, _ = make_learner(case)
    predictor = exported(learn, tmp_path)
    [pair, similar] = predictor.predict(
        [{"seen": 7, "recommend": "Film 3 (1963)"}, {"recommend": "Film 3 (1963)", "similar": 2}]
    )
    assert pair.keys() == {"prediction", "warnings"}
    assert len(similar["similar"]) == 2
