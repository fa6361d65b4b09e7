"""Views of answers: sentences, charts and remarks; formats of numbers and shares."""

from __future__ import annotations

from typing import Any

import pytest

from fastmar_contract.display import humanize
from fastmar_web.answers import answer_view
from fastmar_web.pictures.answers import facets, table_cells
from fastmar_web.presentation import Presentation, display_text, fill_template, format_number, format_percent
from tests.web.fake import HOSTILE


def sentence(answer: Any, ui: Any = None, targets: Any = ("price",)) -> str:
    schema = {"targets": list(targets), "ui": ui}
    return answer_view({"warnings": [], **answer}, schema, Presentation(schema)).sentence


LABEL = {"prediction": ">=50k", "probabilities": {"<50k": 0.06, ">=50k": 0.94}}


@pytest.mark.parametrize(
    ("answer", "ui", "expected"),
    [
        (LABEL, None, "Prediction: >=50k, 94% sure"),
        (
            LABEL,
            {"labels": {">=50k": {"name": "income of 50k or more"}}},
            "Prediction: income of 50k or more, 94% sure",
        ),
        (LABEL, {"labels": {">=50k": {"sentence": "Earns a lot ({percent}) {{{name}}}"}}}, "Earns a lot (94%) {>=50k}"),
        (
            LABEL,
            {"labels": {">=50k": {"sentence": "{percent} % {0.__class__} {name.x}"}}},
            "94% {0.__class__} {name.x}",
        ),
        ({"prediction": 3.14159}, None, "Prediction: 3.142"),
        ({"prediction": 1234567.0}, {"unit": "EUR"}, "Prediction: 1,234,567 EUR"),
        ({"prediction": 12.0}, {"sentence": "It costs {prediction} {unit}.", "unit": "EUR"}, "It costs 12 EUR."),
        (
            {"prediction": ["a", "b"], "probabilities": {"a": 0.9, "b": 0.6}},
            None,
            "Prediction: a (90% sure) and b (60% sure)",
        ),
        ({"prediction": [], "probabilities": {"a": 0.1}}, None, "Prediction: none of the labels"),
        ({"prediction": [[1.0, 2.0]], "points_model": [[1.0, 2.0]]}, None, "Prediction: 1 point"),
    ],
)
def test_sentences(answer: Any, ui: Any, expected: str) -> None:
    assert sentence(answer, ui) == expected


def test_several_numbers_are_labelled_with_their_targets() -> None:
    assert (
        sentence({"prediction": [3.0, -1.5]}, None, ("price", "total_cost")) == "Prediction: Price 3, Total cost -1.5"
    )


def test_the_chart_has_the_ten_most_likely_labels() -> None:
    shares = {f"l{n}": n / 1000 for n in range(40)}
    found = answer_view({"prediction": "l39", "probabilities": shares, "warnings": []}, {}, Presentation({}))
    assert [bar.name for bar in found.bars] == [f"l{n}" for n in range(39, 29, -1)]
    assert [bar.chosen for bar in found.bars] == [True, *[False] * 9]
    assert found.left_out == 30


def test_shares_of_a_mask_leave_out_what_the_model_did_not_see() -> None:
    classes = [
        {"index": 0, "name": "sky", "pixels": 75},
        {"index": 1, "name": "road", "pixels": 25},
        {"index": 255, "name": None, "pixels": 900},
    ]
    prediction = {"mask": "AAAA", "width": 10, "height": 100, "classes": classes}
    found = answer_view({"prediction": prediction, "warnings": []}, {}, Presentation({}))
    assert found.sentence == "Prediction: sky 75%, road 25%"
    assert found.overlay == {
        "mask": "AAAA", "width": 10, "height": 100, "unseen": 255, "raw": True,
        "classes": [{"index": 0, "name": "sky", "share": "75%"}, {"index": 1, "name": "road", "share": "25%"}],
    }  # fmt: skip
    assert table_cells({"prediction": prediction}) == {"prediction": "sky 75; road 25", "probability": ""}


def test_remarks_have_the_field_code_and_value_of_their_warning() -> None:
    warnings = [
        {"field": "work-class", "code": "unknown_category", "value": HOSTILE * 9, "message": "m"},
        {"field": "age", "code": "odd", "value": 1, "message": "what is odd."},
        {"field": "x", "code": "unknown_category", "value": None, "message": "m"},
    ]
    found = answer_view({**LABEL, "warnings": warnings}, {}, Presentation({})).remarks
    assert [(remark.field, remark.title, remark.code) for remark in found] == [
        ("work-class", "Work class", "unknown_category"),
        ("age", "Age", "odd"),
        ("x", "X", "unknown_category"),
    ]
    assert HOSTILE in found[0].text
    assert len(found[0].text) < 120
    assert found[1].text == "What is odd."
    assert "None" not in found[2].text


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100%"), (0.9999, "over 99%"), (0.994, "99%"), (0.5, "50%"), (0.004, "under 1%"), (0.0, "0%")],
)
def test_only_exact_shares_are_0_or_100_percent(share: float, text: str) -> None:
    assert format_percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (180600.0, "180,600"), (0.00123456, "0.001235"), (0.5, "0.5"), (-12.3456, "-12.35"),
     (99999.5, "100,000"), (1e20, "1.000e+20"), (float("nan"), "nan"), (float("-inf"), "-inf"), (0.012345, "0.01235")],
)  # fmt: skip
def test_numbers_have_four_significant_digits(value: float, text: str) -> None:
    assert format_number(value) == text


def test_display_texts_of_names_and_values() -> None:
    assert [humanize(name) for name in ("marital-status", "plane_year", "saleYear", "x", "GDP", " ", "-")] == [
        "Marital status", "Plane year", "Sale Year", "X", "GDP", " ", "-",
    ]  # fmt: skip
    dates = ("2015-02-05T00:00:00", "2015-02-05T08:00:00")
    assert [display_text(value) for value in (" a  b ", 3.0, 2.5, True, None, *dates)] == [
        "a b", "3", "2.5", "yes", "", "2015-02-05", "2015-02-05T08:00:00",
    ]  # fmt: skip
    assert fill_template("{name}", {"name": "{percent}", "percent": "9%"}) == "{percent}"


def test_facets_of_each_kind_of_answer() -> None:
    texts = Presentation({"ui": {"labels": {"a": {"name": "A thing"}}}})
    several = {"prediction": ["a", "b"], "probabilities": {"a": 0.9, "b": 0.6}}
    classes = [{"index": 0, "name": "a", "pixels": 1}, {"index": 255, "name": None, "pixels": 1}]
    assert facets(LABEL, texts) == {"labels": [">=50k"], "confidence": 0.94}
    assert facets(several, texts) == {"labels": ["A thing", "b"], "confidence": None}
    assert facets({"prediction": {"mask": "", "classes": classes}}, texts) == {
        "labels": ["A thing"],
        "confidence": None,
    }
    assert facets({"prediction": 3.5}, texts) == {"labels": [], "confidence": None}
    assert facets({"prediction": [[1.0, 2.0]], "points_model": []}, texts) == {"labels": [], "confidence": None}
