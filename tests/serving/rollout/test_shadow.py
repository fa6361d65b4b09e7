from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from fastmar_cli.rollout_report import lines
from fastmar_serving.rollout.asking import Asked
from fastmar_serving.rollout.deploy import Deployed
from fastmar_serving.rollout.shadow import Shadow, compare_versions


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
    made = Shadow("1.0", "2.0", "rows.csv")
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
        made.add(f"record {number}", before, after)
    return made


def test_what_is_counted(shadow: Shadow) -> None:
    assert (shadow.answers, shadow.same, shadow.changed, shadow.broken, shadow.mended) == (9, 2, 3, 1, 1)
    assert shadow.predicted == 7  # those that the old version refuses can't change
    assert shadow.share_changed == pytest.approx(4 / 7)
    assert shadow.changes == {("yes", "no"): 2, ("no", "yes"): 1}
    assert shadow.errors == {("bad_value", "it is bad_value"): 1}
    assert shadow.warnings == {("color", "unknown_category"): 1}
    assert [where for where, _, _ in shadow.examples] == ["record 2", "record 3", "record 4"]
    assert shadow.examples[0] == ("record 2", "yes (60.0%)", "no (70.0%)")


def test_as_json(shadow: Shadow) -> None:
    told = json.loads(json.dumps(shadow.as_dict()))
    assert told["changes"][0] == {"from": "yes", "to": "no", "count": 2}
    assert told["difference"]["largest"] == pytest.approx(0.1)
    assert told["new_errors"] == [{"code": "bad_value", "message": "it is bad_value", "count": 1}]
    assert Shadow("1", "2", "-").as_dict()["difference"] is None


def test_as_a_table(shadow: Shadow) -> None:
    shadow.add("record 9", label("\x1b[2Jyes", 0.9), label("no[red]", 0.9))
    console = Console(file=io.StringIO(), width=200)
    for line in lines(Deployed("m", "2.0", "1.0", golden=4, shadow=shadow, default=True, unloaded=["0.9"])):
        console.print(line, markup=False)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for part in ("10 answers of 1.0 and 2.0: rows.csv", "yes -> no: 2", "bad_value: it is bad_value (1)", "no[red]"):
        assert part in text
    assert "color: unknown_category (1)" in text
    assert "Default: m 2.0 (before: 1.0)" in text
    assert "Unloaded: m 0.9" in text
    assert "\x1b" not in text


def test_a_list_that_one_version_refuses_as_a_whole() -> None:
    class Client:
        def predict_body(self, _name: str, _body: bytes, _type: str, version: str) -> Any:
            return [label("yes", 0.9)] * 2 if version == "1.0" else [error("bad_request")]

    made = compare_versions(
        Client(),  # type: ignore[arg-type]
        "m",
        Shadow("1.0", "2.0", "-"),
        [Asked("a list", b"[{}, {}]")],
        lambda _: None,
    )
    assert (made.answers, made.broken, made.changed) == (1, 1, 0)


def test_numbers_and_lists_of_labels() -> None:
    made = Shadow("1.0", "2.0", "-")
    made.add("a", {"prediction": 1.0, "warnings": []}, {"prediction": 3.0, "warnings": []})
    made.add("b", {"prediction": ["x"], "warnings": []}, {"prediction": ["x", "y"], "warnings": []})
    made.add("c", {"prediction": list("abcd"), "warnings": []}, {"prediction": [], "warnings": []})
    assert made.changed == 3
    assert made.changes == {("x", "x, y"): 1}  # numbers and long lists are no kinds of changes
    assert made.differences == [2.0]
