"""`fastmar diff`: changes for callers of the old version."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_cli.main import main
from fastmar_contract.members import RECORDS
from fastmar_contract.values import CATEGORY, DATE, NUMBER
from fastmar_runtime.golden import GoldenRecords
from fastmar_runtime.modalities import modality
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.schema import json_value
from fastmar_runtime.spec import Field, Recommender, Spec, Tensor
from fastmar_serving.rollout.changes import BREAKING, INSIDE, NOTICED, Change, changes
from tests.runtime import tiny, tiny_pictures, tiny_ratings


def with_field(spec: Spec, name: str, **changed: Any) -> Spec:
    return replace(spec, fields=tuple(replace(f, **changed) if f.name == name else f for f in spec.fields))


def only(old: Spec, new: Spec) -> Change:
    [change] = changes(old, new)
    return change


OLD = tiny.spec()


class TestOperations:
    def test_operations_that_are_gone_are_breaking(self) -> None:
        lists, without = tiny_ratings.spec(), tiny_ratings.spec(recommender=None)
        assert [(change.level, change.where) for change in changes(lists, without)] == [
            (BREAKING, "recommend"),
            (BREAKING, "similar"),
        ]
        assert [(change.level, change.where) for change in changes(without, lists)] == [(BREAKING, "explain")]
        no_factors = tiny_ratings.spec(recommender=Recommender("user", "title"))
        assert only(lists, no_factors).where == "similar"


class TestFields:
    def test_no_changes(self) -> None:
        assert changes(OLD, OLD) == []

    def test_new_category_is_noticed(self) -> None:
        new = with_field(OLD, "workclass", categories=(" Private", " State-gov", "NA", " United-Kingdom"))
        change = only(OLD, new)
        assert (change.level, change.where) == (NOTICED, "workclass")
        assert "' United-Kingdom'" in change.what

    def test_removed_category_is_noticed(self) -> None:
        change = only(OLD, with_field(OLD, "workclass", categories=(" Private", "NA")))
        assert change.level == NOTICED
        assert "warning" in change.caller

    @pytest.mark.parametrize(
        ("old", "new", "gone", "added"),
        [
            ((False, True), (0, 1), [False, True], []),
            ((0, 1), (False, True), [], [False, True]),
            ((0, 1), (0.0, 1.0), [], []),
            ((1, 2), ("1", "2"), [1, 2], ["1", "2"]),
            (({"timestamp": "2024-01-31T00:00:00"},), ("2024-01-31",), ["2024-01-31T00:00:00"], []),
            (("a", True), ("a", 1), [], []),
        ],
    )
    def test_categories_are_equal_if_the_model_matches_them(
        self, old: tuple[Any, ...], new: tuple[Any, ...], gone: list[Any], added: list[Any]
    ) -> None:
        """The reported categories are those for which answers have warnings."""
        specs = []
        for values in (old, new):
            vocabularies = {**OLD.steps[1]["vocabularies"], "vip": list(values)}
            steps = (OLD.steps[0], {**OLD.steps[1], "vocabularies": vocabularies}, *OLD.steps[2:])
            specs.append(with_field(replace(OLD, steps=steps), "vip", categories=values))
        for (spec, values), unknown in zip(((specs[1], old), (specs[0], new)), (gone, added), strict=True):
            records = [tiny.record(vip=json_value(value)) for value in values]
            answers = Predictor(spec, tiny.graph()).predict(records)
            assert [r["vip"] for r, answer in zip(records, answers, strict=True) if answer["warnings"]] == unknown
        found = [change for change in changes(*specs) if change.where == "vip"]
        expected = [f"also knows {', '.join(map(repr, added))}"] if added else []
        expected += [f"no longer knows {', '.join(map(repr, gone))}"] if gone else []
        assert [change.what for change in found] == expected
        assert all(change.level == NOTICED for change in found)

    def test_many_categories_take_linear_time(self) -> None:
        """A comparison of all pairs would take an hour."""
        many = [f"category {number}" for number in range(200_000)]
        old, new = (with_field(OLD, "workclass", categories=tuple(some)) for some in (many, [*many[1:], "another"]))
        assert [change.what for change in changes(old, new)] == ["also knows 'another'", "no longer knows 'category 0'"]

    def test_many_columns_take_linear_time(self) -> None:
        """A comparison of all pairs would take hours."""
        fields = tuple(Field(f"column {number}", NUMBER) for number in range(5000))
        old, new = replace(OLD, fields=fields), replace(OLD, fields=(*fields, Field("another", NUMBER)))
        assert only(old, new).where == "another"

    def test_new_column_is_breaking_unless_it_is_optional(self) -> None:
        fields = (*OLD.fields, Field("years-in-job", NUMBER, default=5.0))
        change = only(OLD, replace(OLD, fields=fields))
        assert (change.level, change.where) == (BREAKING, "years-in-job")
        assert "refused" in change.caller
        optional = replace(fields[-1], optional=True)
        assert only(OLD, replace(OLD, fields=(*OLD.fields, optional))).level == INSIDE

    def test_removed_column_is_noticed(self) -> None:
        assert only(OLD, replace(OLD, fields=OLD.fields[1:])).level == NOTICED

    def test_another_kind_is_breaking(self) -> None:
        assert only(OLD, with_field(OLD, "age", kind=CATEGORY)).level == BREAKING

    def test_null_that_is_no_longer_filled_is_breaking(self) -> None:
        assert only(OLD, with_field(OLD, "age", nullable=False)).level == BREAKING
        assert only(with_field(OLD, "age", nullable=False), OLD).level == INSIDE

    def test_changed_median_is_internal(self) -> None:
        change = only(OLD, with_field(OLD, "age", default=41.0))
        assert (change.level, change.what) == (INSIDE, "the default changed from 40 to 41")
        change = only(with_field(OLD, "age", default=1735080.0), with_field(OLD, "age", default=1735000.0))
        assert change.what == "the default changed from 1735080 to 1735000"

    def test_changed_scaling_is_internal(self) -> None:
        steps = tuple(
            {**s, "means": {"age": 41.5, "hours": 38.0}} if s["step"] == "normalize" else s for s in OLD.steps
        )
        change = only(OLD, replace(OLD, steps=steps))
        assert (change.level, change.where, change.what) == (INSIDE, "age", "the mean changed from 40 to 41.5")

    def test_new_range(self) -> None:
        change = only(OLD, with_field(OLD, "age", minimum=17.0, maximum=90.0))
        assert change.what == "the range changed: unknown before, 17 to 90 now"

    def test_removed_texts_of_a_form_are_noticed(self) -> None:
        with_title = replace(OLD, ui={"title": "Income"})
        assert only(with_title, OLD).level == NOTICED
        assert only(OLD, with_title).level == INSIDE
        assert only(with_title, replace(OLD, ui={"title": "Pay"})).what == "title changed"

    def test_changes_have_the_order_of_the_columns(self) -> None:
        names = [f"column {number}" for number in range(12)]
        old = replace(OLD, fields=tuple(Field(name, NUMBER, default=1.0) for name in names))
        new = replace(OLD, fields=tuple(Field(name, NUMBER, default=2.0) for name in names))
        assert [change.where for change in changes(old, new)] == names
        assert [change.where for change in changes(replace(OLD, fields=()), new)] == names
        assert [change.where for change in changes(old, replace(OLD, fields=()))] == names

    def test_changed_list_in_a_layer(self) -> None:
        old = replace(OLD, kind="vision", fields=(), steps=(), layers=({"layer": "normalize", "mean": [0.1, 0.2]},))
        new = replace(old, layers=({"layer": "normalize", "mean": [0.1, 0.3]},))
        change = only(old, new)
        assert (change.level, change.where, change.what) == (INSIDE, "step normalize", "mean changed")

    def test_steps_of_several_dates(self) -> None:
        def dates(divisor: int) -> Spec:
            step = {"step": "add_datepart", "prefix": "sale", "parts": ["Year"]}
            first, second = {**step, "date": "a", "elapsed_divisor": divisor}, {**step, "date": "b"}
            return replace(
                OLD, fields=(Field("a", DATE, optional=True), Field("b", DATE, optional=True)), steps=(first, second)
            )

        assert only(dates(1), dates(1000)).where == "step add_datepart a"


PARTS = ("saleYear", "saleMonth", "saleElapsed")


def table(
    plain: frozenset[str] = frozenset(),
    date: tuple[str, ...] = (),
    parts: tuple[str, ...] = PARTS,
    filled: frozenset[str] = frozenset(),
) -> Spec:
    """A model of numbers and of a date, which a record has as one of `date` or as all of `parts`."""
    parts = tuple(part for part in parts if date and part not in plain)
    date = tuple(name for name in date if name not in plain) if parts else ()
    parts = parts if date else ()
    numbers = [*sorted(plain), *parts]
    steps: list[dict[str, Any]] = [
        {"step": "fill_missing", "fills": dict.fromkeys(filled & {*numbers}, 1.0), "add_col": False}
    ]
    fields = [Field(name, NUMBER, name in filled, name in parts) for name in numbers]
    if date:
        cut = [part.removeprefix("sale") for part in parts]
        steps.insert(0, {"step": "add_datepart", "date": date[0], "prefix": "sale", "parts": cut, "elapsed_divisor": 1})
        fields.append(Field(date[0], DATE, filled.issuperset(parts), optional=True, aliases=date[1:]))
    steps.append({"step": "read_tab_batch", "cats": [], "conts": numbers})
    return replace(tiny.date_spec(), fields=tuple(fields), steps=tuple(steps))


def minimal_records(spec: Spec) -> list[dict[str, Any]]:
    """Records with only the required columns, with values and with nulls."""
    fields = [field for field in spec.fields if not field.optional]
    dates = [field for field in spec.fields if field.kind == DATE]
    ways = [{name: date} for date in dates for name in (date.name, *date.aliases)]
    ways += [{field.name: field for field in spec.fields if field.optional and field.kind == NUMBER}]
    found = []
    for way in ways:
        record = {field.name: field for field in fields} | way
        for null in (False, True):
            value = {NUMBER: 2000, DATE: "2024-01-31"}
            found.append({n: None if null and f.nullable else value[f.kind] for n, f in record.items()})
    return found


SALE = ("saledate", "saleDate", "sale")


class TestDates:
    @pytest.mark.parametrize(
        ("old", "new", "where", "caller"),
        [
            pytest.param(table(), table(date=SALE), "saledate", "records without it are refused", id="new"),
            pytest.param(
                table(date=SALE),
                table(frozenset(PARTS)),
                "saleElapsed",
                "only 'saledate'",
                id="removed, its parts kept",
            ),
            pytest.param(
                table(date=SALE), table(date=SALE[:2]), "saledate", "only 'sale' are refused", id="a name removed"
            ),
            pytest.param(
                table(date=SALE, parts=PARTS[:2]),
                table(date=SALE),
                "saledate",
                "only 'saleYear', 'saleMonth' are refused",
                id="a part added",
            ),
            pytest.param(
                table(frozenset({"sale"})), table(date=SALE), "saledate", "without it", id="its alias was a number's"
            ),
            pytest.param(
                replace(table(), fields=(Field("saledate", NUMBER),)),
                table(date=SALE),
                "saledate",
                "of the old kind",
                id="its name was a number's",
            ),
        ],
    )
    def test_changes_that_refuse_old_records(self, old: Spec, new: Spec, where: str, caller: str) -> None:
        breaking = [change for change in changes(old, new) if change.level == BREAKING]
        assert breaking[0].where == where
        assert caller in breaking[0].caller

    def test_removed_number_with_the_name_of_an_alias(self) -> None:
        found = changes(table(frozenset({"sale", *PARTS})), table(date=SALE))
        [gone] = [change for change in found if change.level != INSIDE]
        assert (gone.level, gone.where, gone.what) == (NOTICED, "sale", "the number was removed")

    def test_added_alias_and_optional_parts_are_internal(self) -> None:
        change = only(table(date=SALE[:2]), table(date=SALE))
        assert (change.level, change.what) == (INSIDE, "may also be sent as 'sale'")
        found = changes(table(frozenset(PARTS)), table(date=SALE))
        assert {change.level for change in found} == {INSIDE}
        assert "was required, and is optional" in {change.what for change in found}

    models = st.builds(
        table,
        st.frozensets(st.sampled_from(["age", "sale", *PARTS])),
        st.sampled_from([(), SALE, SALE[:2], SALE[1:]]),
        st.sampled_from([PARTS, PARTS[:2], PARTS[1:]]),
        st.frozensets(st.sampled_from(["age", *PARTS])),
    )

    @given(models, models)
    def test_breaking_changes_are_those_that_refuse_records(self, old: Spec, new: Spec) -> None:
        for sent, spec in ((old, old), (new, new), (old, new)):
            _, report = modality(spec.kind).preprocessor(spec)(minimal_records(sent))
            found = changes(sent, spec)
            assert bool(report.errors) == any(change.level == BREAKING for change in found), (report.errors, found)


class TestAnswers:
    @pytest.mark.parametrize("vocab", [["<50k"], ["<50k", ">=50k", "?"], [">=50k", "<50k"], ["low", "high"]])
    def test_changed_labels_are_breaking(self, vocab: list[str]) -> None:
        found = changes(OLD, replace(OLD, decode={**OLD.decode, "vocab": vocab}))
        assert {change.level for change in found} == {BREAKING}

    def test_changed_classes_of_masks_are_breaking(self) -> None:
        decode = {"decoder": "segmentation", "activation": "softmax", "classes": ["sky", "road"]}
        old = replace(OLD, decode=decode)
        for classes in (["sky"], ["sky", "road", "car"], ["road", "sky"]):
            assert only(old, replace(old, decode={**decode, "classes": classes})).level == BREAKING

    @pytest.mark.parametrize("decode", [tiny.RAW_DECODER, tiny.TWO_NUMBERS_DECODER, tiny_pictures.POINTS])
    @pytest.mark.parametrize("size", [1, 4])
    def test_another_number_of_outputs_is_breaking(self, decode: dict[str, Any], size: int) -> None:
        def model(size: int) -> Spec:
            sized = {"size": size} if "size" in decode else {}
            return replace(OLD, decode=decode | sized, outputs=(Tensor("output", "float32", ("batch", size)),))

        [change, *others] = changes(model(2), model(size))
        assert (change.level, change.where, change.what) == (
            BREAKING,
            "answer",
            f"the size of an answer changed from 2 to {size}",
        )
        assert {change.level for change in others} == {INSIDE}

    def test_another_target_is_breaking(self) -> None:
        assert only(OLD, replace(OLD, targets=("age",))).level == BREAKING

    def test_another_threshold_is_noticed(self) -> None:
        old = replace(OLD, decode=tiny.MULTI_DECODER)
        assert only(old, replace(old, decode={**tiny.MULTI_DECODER, "threshold": 0.7})).level == NOTICED

    def test_top_k_labels_are_breaking(self) -> None:
        """A caller may read the probability of a label that the new version omits."""
        new = replace(OLD, decode={**OLD.decode, "top": 1})
        for old, other in ((OLD, new), (new, OLD)):
            change = only(old, other)
            assert (change.level, change.where) == (BREAKING, "answer")
        assert "1 most probable" in only(OLD, new).what


class TestCommand:
    def bundle(self, folder: Path, spec: Spec, weights: Any = None) -> str:
        folder.mkdir()
        return str(tiny.write_bundle(folder, spec, None if weights is None else tiny.graph(weights)))

    def test_equal_archives_are_compatible(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["diff", self.bundle(tmp_path / "a", OLD), self.bundle(tmp_path / "b", OLD)]) == 0
        assert "Compatible" in capsys.readouterr().out

    def test_breaking_changes_have_exit_status_3_and_answers_are_compared(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        new = replace(OLD, version="2.0", decode={**OLD.decode, "vocab": [">=50k", "<50k"]})
        paths = [self.bundle(tmp_path / "a", OLD), self.bundle(tmp_path / "b", new)]
        assert main(["diff", *paths, "--json"]) == 3
        report = json.loads(capsys.readouterr().out)
        assert report["compatible"] is False
        assert ("breaking", "labels") in {(change["level"], change["where"]) for change in report["changes"]}
        assert report["answers"]["changed"] == report["answers"]["answers"] > 0
        assert main(["diff", *paths]) == 3
        printed = capsys.readouterr().out
        assert "refused by the new archive only" in printed
        assert "Breaking" in printed
        assert "order" in printed

    @pytest.mark.parametrize("compatible", [True, False])
    def test_compatible_archive_answers_the_old_golden_records(
        self, tmp_path: Path, compatible: bool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def archive(name: str, spec: Spec, records: list[Any]) -> str:
            folder = tmp_path / name
            model = Predictor(spec, tiny.date_graph())
            samples = GoldenRecords(records, model.predict(records), {})
            return str(tiny.write_files(folder, spec, tiny.date_graph(), samples))

        date = tiny.date_spec()
        narrow = replace(date, fields=(replace(date.fields[0], aliases=("saleDate",)), *date.fields[1:]))
        old, new = (narrow, date) if compatible else (date, narrow)
        names = [old.fields[0].name, *old.fields[0].aliases]
        paths = [
            archive("old", old, [{name: "2024-01-31"} for name in names]),
            archive("new", new, [{"saledate": "2024-01-31"}]),
        ]
        status = main(["diff", *paths, "--json"])
        report = json.loads(capsys.readouterr().out)
        old_files = Predictor.open(paths[0]).files
        assert old_files is not None
        answers = Predictor.open(paths[1]).predict(old_files.json(RECORDS))
        assert all("error" not in answer for answer in answers) == report["compatible"] == compatible
        assert status == (0 if compatible else 3)

    def test_refuses_a_file_that_is_not_an_archive(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "x.mar").write_bytes(b"no")
        assert main(["diff", str(tmp_path / "x.mar"), str(tmp_path / "x.mar")]) == 1
        assert "Fix:" in capsys.readouterr().err
