from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from fastmar_cli.rollout_report import lines
from fastmar_serving.rollout.deploy import DeployResult
from fastmar_serving.rollout.requests import Request
from fastmar_serving.rollout.shadow import Shadow, compare_versions
from fastmar_serving.rollout.summary import summary


def label(name: str, share: float, *warnings: str) -> dict[str, Any]:
    return {
        "prediction": name,
        "index": 0,
        "probabilities": {name: share, "other": 1 - share},
        "warnings": [{"field": field, "code": "unknown_category", "message": "-"} for field in warnings],
    }


def error(code: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": f"it is {code}", "fix": "-"}}


@pytest.fixture
def shadow() -> Shadow:
    comparison = Shadow("1.0", "2.0", "rows.csv")
    pairs = [
        (label("yes", 0.9), label("yes", 0.9)),
        (label("yes", 0.9), label("yes", 0.8)),
        (label("yes", 0.6), label("no", 0.7)),
        (label("yes", 0.6), label("no", 0.7)),
        (label("no", 0.6), label("yes", 0.7)),
        (label("yes", 0.6), error("bad_value")),
        (error("bad_value"), error("bad_value")),
        (error("bad_value"), label("yes", 0.9)),
        (label("yes", 0.9, "age"), label("yes", 0.9, "age", "color")),
    ]
    for number, (before, after) in enumerate(pairs):
        comparison.add(f"record {number}", before, after)
    return comparison


def test_counts(shadow: Shadow) -> None:
    assert (shadow.answers, shadow.same, shadow.changed, shadow.newly_failing, shadow.newly_answered) == (9, 2, 3, 1, 1)
    assert shadow.predicted == 7  # a record that the old version refuses has no prediction that can change
    assert shadow.share_changed == pytest.approx(4 / 7)
    assert shadow.changes == {("yes", "no"): 2, ("no", "yes"): 1}
    assert shadow.errors == {("bad_value", "it is bad_value"): 1}
    assert shadow.warnings == {("color", "unknown_category"): 1}
    assert [where for where, _, _ in shadow.examples] == ["record 2", "record 3", "record 4"]
    assert shadow.examples[0] == ("record 2", "yes (60.0%)", "no (70.0%)")


def test_as_json(shadow: Shadow) -> None:
    output = json.loads(json.dumps(shadow.as_dict()))
    assert output["changes"][0] == {"from": "yes", "to": "no", "count": 2}
    assert output["difference"]["largest"] == pytest.approx(0.1)
    assert output["new_errors"] == [{"code": "bad_value", "message": "it is bad_value", "count": 1}]
    assert Shadow("1", "2", "-").as_dict()["difference"] is None
    assert not shadow.has_numbers  # only probabilities


def test_as_a_table(shadow: Shadow) -> None:
    shadow.add("record 9", label("\x1b[2Jyes", 0.9), label("no[red]", 0.9))
    console = Console(file=io.StringIO(), width=200)
    for line in lines(DeployResult("m", "2.0", "1.0", golden=4, shadow=shadow, default=True, unloaded=["0.9"])):
        console.print(line, markup=False)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for part in ("10 answers of 1.0 and 2.0: rows.csv", "yes -> no: 2", "bad_value: it is bad_value (1)", "no[red]"):
        assert part in text
    assert "color: unknown_category (1)" in text
    assert "Default: m 2.0 (before: 1.0)" in text
    assert "Unloaded: m 0.9" in text
    assert "\x1b" not in text


def test_the_table_says_whose_errors_and_warnings_are_counted(shadow: Shadow) -> None:
    rows = {what: (number, remark) for what, number, remark in summary(shadow)}
    assert rows["refused by 1.0"] == ("2", "bad_value: 2")
    assert rows["refused by 2.0"] == ("2", "bad_value: 2")
    assert rows["refused by 2.0 only"] == ("1", "bad_value: it is bad_value (1)")
    assert rows["refused by 1.0 only"] == ("1", "")
    assert rows["warnings of 2.0 only"] == ("1", "color: unknown_category (1)")


def test_a_list_of_records_that_one_version_refuses() -> None:
    class Client:
        def predict_body(self, _name: str, _body: bytes, _type: str, version: str) -> Any:
            return [label("yes", 0.9)] * 2 if version == "1.0" else [error("bad_request")]

    shadow = compare_versions(
        Client(),  # type: ignore[arg-type]
        "m",
        Shadow("1.0", "2.0", "-"),
        [Request("a list", b"[{}, {}]")],
        lambda _: None,
    )
    assert (shadow.answers, shadow.newly_failing, shadow.changed) == (1, 1, 0)


def test_numbers_and_lists_of_labels() -> None:
    shadow = Shadow("1.0", "2.0", "-")
    shadow.add("a", {"prediction": 1.0, "warnings": []}, {"prediction": 3.0, "warnings": []})
    shadow.add("b", {"prediction": ["x"], "warnings": []}, {"prediction": ["x", "y"], "warnings": []})
    shadow.add("c", {"prediction": list("abcd"), "warnings": []}, {"prediction": [], "warnings": []})
    assert shadow.changed == 3
    assert shadow.changes == {("x", "x, y"): 1}  # changed numbers and long lists are not counted by value
    assert shadow.differences == [2.0]
    assert shadow.has_numbers


def test_tolerance_of_numbers() -> None:
    shadow = Shadow("1.0", "2.0", "-", tolerance=0.05)
    shadow.add("a", {"prediction": 100.0, "warnings": []}, {"prediction": 104.0, "warnings": []})
    shadow.add("b", {"prediction": 100.0, "warnings": []}, {"prediction": 106.0, "warnings": []})
    assert (shadow.same, shadow.changed, shadow.share_changed) == (0, 1, 0.5)
    assert shadow.as_dict()["tolerance"] == 0.05
