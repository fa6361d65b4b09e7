"""`fastmar diff`: what a caller of the old version will meet."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastmar_cli.changes import BREAKING, INSIDE, NOTICED, Change, changes
from fastmar_cli.main import main
from fastmar_runtime.spec import CATEGORY, NUMBER, Field, Spec
from tests.runtime import tiny


def with_field(spec: Spec, name: str, **changed: Any) -> Spec:
    return replace(spec, fields=tuple(replace(f, **changed) if f.name == name else f for f in spec.fields))


def only(old: Spec, new: Spec) -> Change:
    [change] = changes(old, new)
    return change


OLD = tiny.spec()


class TestFields:
    def test_nothing(self) -> None:
        assert changes(OLD, OLD) == []

    def test_a_new_category_is_noticed(self) -> None:
        new = with_field(OLD, "workclass", categories=(" Private", " State-gov", "NA", " United-Kingdom"))
        change = only(OLD, new)
        assert (change.level, change.where) == (NOTICED, "workclass")
        assert "' United-Kingdom'" in change.what

    def test_a_vanished_category_is_noticed(self) -> None:
        change = only(OLD, with_field(OLD, "workclass", categories=(" Private", "NA")))
        assert change.level == NOTICED
        assert "warning" in change.caller

    def test_a_new_column_breaks_unless_it_may_be_left_out(self) -> None:
        fields = (*OLD.fields, Field("years-in-job", NUMBER, default=5.0))
        change = only(OLD, replace(OLD, fields=fields))
        assert (change.level, change.where) == (BREAKING, "years-in-job")
        assert "refused" in change.caller
        optional = replace(fields[-1], optional=True)
        assert only(OLD, replace(OLD, fields=(*OLD.fields, optional))).level == INSIDE

    def test_a_vanished_column_is_noticed(self) -> None:
        assert only(OLD, replace(OLD, fields=OLD.fields[1:])).level == NOTICED

    def test_another_kind_breaks(self) -> None:
        assert only(OLD, with_field(OLD, "age", kind=CATEGORY)).level == BREAKING

    def test_null_that_is_no_longer_filled_breaks(self) -> None:
        assert only(OLD, with_field(OLD, "age", nullable=False)).level == BREAKING
        assert only(with_field(OLD, "age", nullable=False), OLD).level == INSIDE

    def test_a_median_is_inside(self) -> None:
        change = only(OLD, with_field(OLD, "age", default=41.0))
        assert (change.level, change.what) == (INSIDE, "the usual value was 40, and is 41")

    def test_scaling_is_inside(self) -> None:
        steps = tuple(
            {**s, "means": {"age": 41.5, "hours": 38.0}} if s["step"] == "normalize" else s for s in OLD.steps
        )
        change = only(OLD, replace(OLD, steps=steps))
        assert (change.level, change.where, change.what) == (INSIDE, "age", "the mean was 40, and is 41.5")

    def test_a_range_that_is_new(self) -> None:
        change = only(OLD, with_field(OLD, "age", minimum=17.0, maximum=90.0))
        assert change.what == "the range was not known, and is 17 to 90"

    def test_a_form_that_lost_its_words_is_noticed(self) -> None:
        worded = replace(OLD, ui={"title": "Income"})
        assert only(worded, OLD).level == NOTICED
        assert only(OLD, worded).level == INSIDE
        assert only(worded, replace(OLD, ui={"title": "Pay"})).what == "its title changed"


class TestAnswers:
    @pytest.mark.parametrize("vocab", [["<50k"], ["<50k", ">=50k", "?"], [">=50k", "<50k"], ["low", "high"]])
    def test_other_labels_break(self, vocab: list[str]) -> None:
        found = changes(OLD, replace(OLD, decode={**OLD.decode, "vocab": vocab}))
        assert {change.level for change in found} == {BREAKING}

    def test_another_target_breaks(self) -> None:
        assert only(OLD, replace(OLD, targets=("age",))).level == BREAKING

    def test_another_threshold_is_noticed(self) -> None:
        old = replace(OLD, decode=tiny.MULTI_DECODER)
        assert only(old, replace(old, decode={**tiny.MULTI_DECODER, "threshold": 0.7})).level == NOTICED


class TestCommand:
    def bundle(self, folder: Path, spec: Spec, weights: Any = None) -> str:
        folder.mkdir()
        return str(tiny.write_bundle(folder, spec, None if weights is None else tiny.graph(weights)))

    def test_the_same_is_compatible(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["diff", self.bundle(tmp_path / "a", OLD), self.bundle(tmp_path / "b", OLD)]) == 0
        assert "Compatible" in capsys.readouterr().out

    def test_breaking_has_a_status_of_its_own_and_answers_are_compared(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        new = replace(OLD, version="2.0", decode={**OLD.decode, "vocab": [">=50k", "<50k"]})
        paths = [self.bundle(tmp_path / "a", OLD), self.bundle(tmp_path / "b", new)]
        assert main(["diff", *paths, "--json"]) == 3
        told = json.loads(capsys.readouterr().out)
        assert told["compatible"] is False
        assert told["answers"]["changed"] == told["answers"]["answers"] > 0
        assert main(["diff", *paths]) == 3
        printed = capsys.readouterr().out
        assert "Breaking" in printed
        assert "stand in another order" in printed

    def test_what_is_no_archive_is_refused(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "x.mar").write_bytes(b"no")
        assert main(["diff", str(tmp_path / "x.mar"), str(tmp_path / "x.mar")]) == 1
        assert "Fix:" in capsys.readouterr().err
