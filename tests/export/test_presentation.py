"""ui.yaml: valid and invalid files, and migration to a new version of a model."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fastmar_cli.main import main
from fastmar_contract.members import SPEC
from fastmar_contract.values import CATEGORY, DATE, NUMBER
from fastmar_export.migration import migrate_ui
from fastmar_export.presentation import UiRefused, check_ui
from fastmar_export.ui_file import UiFile, load_ui, read_ui
from fastmar_runtime import spec as spec_format
from fastmar_runtime.schema import describe
from fastmar_runtime.spec import Field
from tests.export.errors import raises
from tests.runtime import tiny, tiny_pictures

FULL: dict[str, Any] = {
    "title": "Income",
    "description": "What somebody earns.",
    "accent": "#0b6E80",
    "order": ["hours", "age"],
    "groups": [{"title": "Work", "fields": ["workclass", "hours"]}],
    "fields": {
        "workclass": {"label": "Employer", "help": "who pays", "choices": {" Private": "a company"}},
        "age": {"label": "Age", "unit": "years", "minimum": 17, "maximum": 90, "step": 1, "default": 30},
        "vip": {"hidden": True},
        "grade": {"hidden": True, "default": 7},
    },
    "labels": {"<50k": {"name": "less", "sentence": "{name}, {percent} sure"}},
    "sentence": "{prediction} {unit}",
    "unit": "dollars",
    "examples": [{"title": "A manager", "record": {"age": 44, "workclass": " Private"}}],
}


class TestChecking:
    def test_valid_file_is_read_unchanged(self, tmp_path: Path) -> None:
        (tmp_path / "ui.yaml").write_text(yaml.safe_dump(FULL), "utf-8")
        assert read_ui(tmp_path / "ui.yaml", tiny.spec()) == FULL

    @pytest.mark.parametrize(
        ("ui", "where", "code", "fact"),
        [
            (["a"], "the file", "wrong_type", ""),
            ({"titel": "x"}, "the file", "unknown_name", "'title'"),
            ({"title": 3}, "title", "wrong_type", "3"),
            ({"title": "x" * 3000}, "title", "wrong_type", "2000"),
            ({"accent": None}, "accent", "wrong_type", "in quotes"),
            ({"accent": "red"}, "accent", "wrong_type", "'red'"),
            ({"accent": "#0b6e80; x"}, "accent", "wrong_type", "six"),
            ({"logo": 3}, "logo", "wrong_type", "3"),
            ({"order": ["hour"]}, "order", "unknown_name", "'hours'"),
            ({"order": ["hours", "hours"]}, "order", "duplicate_field", ""),
            ({"groups": [{"title": "Work"}]}, "groups[0]", "missing_part", "fields"),
            ({"groups": [{"title": "Work", "fields": ["x"]}]}, "groups[0].fields", "unknown_name", "'x'"),
            ({"fields": {"agee": {}}}, "fields", "unknown_name", "'age'"),
            ({"fields": {"age": {"choices": {}}}}, "fields.age", "unknown_name", "'choices'"),
            ({"fields": {"age": {"minimum": "17"}}}, "fields.age.minimum", "wrong_type", "'17'"),
            ({"fields": {"age": {"minimum": True}}}, "fields.age.minimum", "wrong_type", "True"),
            ({"fields": {"workclass": {"default": "Privat"}}}, "fields.workclass.default", "unknown_name", " Private"),
            (
                {"fields": {"workclass": {"choices": {"Privat": "x"}}}},
                "fields.workclass.choices",
                "unknown_name",
                "' Private'",
            ),
            ({"fields": {"age": {"hidden": "yes"}}}, "fields.age.hidden", "wrong_type", "'yes'"),
            ({"labels": {"<51k": {}}}, "labels", "unknown_name", "'<50k'"),
            ({"labels": {"<50k": {"sentence": "{salary}"}}}, "labels.<50k.sentence", "invalid_placeholder", "{salary}"),
            ({"labels": {"<50k": {"name": "{name}"}}}, "labels.<50k.name", "invalid_placeholder", "{name}"),
            ({"sentence": "{prediction!r}"}, "sentence", "invalid_placeholder", "{prediction}"),
            ({"sentence": "{prediction.__class__}"}, "sentence", "invalid_placeholder", "{prediction.__class__}"),
            ({"sentence": "{"}, "sentence", "invalid_placeholder", ""),
            ({"examples": [{"title": "x", "record": {"agee": 3}}]}, "examples[0].record", "unknown_name", "'age'"),
            ({"examples": [{"title": "x", "record": {"age": [3]}}]}, "examples[0].record.age", "wrong_type", ""),
            (
                {"examples": [{"title": "x", "record": {"workclass": "Privat"}}]},
                "examples[0].record.workclass",
                "unknown_name",
                "' Private'",
            ),
            ({"examples": [{"title": "x", "record": {"grade": 4}}]}, "examples[0].record.grade", "unknown_name", "4"),
            ({"examples": [{"title": "x", "record": {"age": "old"}}]}, "examples[0].record.age", "wrong_type", "'old'"),
            ({"examples": [{"title": "x", "record": {"age": 1e39}}]}, "examples[0].record.age", "wrong_type", "1e+39"),
            ({"fields": {"age": {"default": 1e39}}}, "fields.age.default", "wrong_type", "1e+39"),
            ({"fields": {"age": {"default": float("nan")}}}, "fields.age.default", "wrong_type", "nan"),
            ({"fields": {"age": {"maximum": float("inf")}}}, "fields.age.maximum", "wrong_type", "inf"),
        ],
    )
    def test_invalid_part_is_refused(self, ui: Any, where: str, code: str, fact: str) -> None:
        with raises(UiRefused, code) as caught:
            check_ui(ui, tiny.spec())
        assert caught.value.where == where
        assert where in caught.value.message
        assert fact in f"{caught.value.message} {caught.value.fix}"

    def test_white_space_of_categories_may_be_omitted(self) -> None:
        ui = {
            "fields": {"workclass": {"default": "Private", "choices": {"State-gov": "the state", "NA": "none"}}},
            "examples": [{"title": "A clerk", "record": {"workclass": "State-gov", "age": None}}],
        }
        checked = check_ui(ui, tiny.spec())
        assert checked["fields"]["workclass"] == {
            "default": " Private",
            "choices": {" State-gov": "the state", "NA": "none"},
        }
        assert checked["examples"][0]["record"] == {"workclass": " State-gov", "age": None}
        assert ui["fields"]["workclass"]["default"] == "Private", "the argument is not changed"
        assert ui["examples"][0]["record"]["workclass"] == "State-gov"

    def test_error_names_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "forms.yaml").write_text("titel: x", "utf-8")
        with raises(UiRefused, "unknown_name", "forms.yaml", "'titel'") as caught:
            read_ui(tmp_path / "forms.yaml", tiny.spec())
        assert "'title'" in caught.value.fix
        with raises(UiRefused, "ui_file_not_found", "none.yaml"):
            read_ui(tmp_path / "none.yaml", tiny.spec())

    def test_hidden_field_needs_a_default(self) -> None:
        bare = tiny.spec(fields=(Field("a", NUMBER),))
        with raises(UiRefused, "missing_default", "fields.a"):
            check_ui({"fields": {"a": {"hidden": True}}}, bare)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*FULL, "age", "label"]), inner),
        )
    )
    def test_any_data_is_accepted_or_refused(self, ui: Any) -> None:
        with contextlib.suppress(UiRefused):
            check_ui(ui, tiny.spec())

    @pytest.mark.parametrize("text", ["a: [", "\x00", "!!python/object/apply:os.system ['true']"])
    def test_invalid_yaml_is_refused_without_running_code(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "ui.yaml").write_text(text, "utf-8")
        with raises(UiRefused, "ui_file_unreadable"):
            read_ui(tmp_path / "ui.yaml", tiny.spec())

    @pytest.mark.parametrize("value", [[1, 2], 17, True, "soon", "31.01.2024", ""])
    def test_invalid_date_is_refused(self, value: Any) -> None:
        for ui in (
            {"fields": {"saledate": {"default": value}}},
            {"examples": [{"title": "x", "record": {"saledate": value}}]},
        ):
            with raises(UiRefused, "wrong_type", "saledate"):
                check_ui(ui, tiny.date_spec())

    @pytest.mark.parametrize("value", ["2024-01-31", "2024-01-31T08:30:00", " 2024-01-31 08:30", None])
    def test_valid_dates(self, value: Any) -> None:
        ui = {
            "fields": {"saledate": {"default": value}},
            "examples": [{"title": "x", "record": {"saledate": value}}],
        }
        assert check_ui(ui, tiny.date_spec()) == ui


class TestInTheArchive:
    def test_presentation_is_in_spec_and_schema(self) -> None:
        spec = tiny.spec(ui=FULL)
        assert spec_format.from_dict(spec_format.to_dict(spec)) == spec
        assert describe(spec)["ui"] == FULL

    def test_spec_and_schema_without_presentation(self) -> None:
        assert "ui" not in spec_format.to_dict(tiny.spec())
        assert "ui" not in describe(tiny.spec())


def test_numeric_keys_are_text(tmp_path: Path) -> None:
    """The archive has JSON, whose keys are text."""
    path = tmp_path / "ui.yaml"
    path.write_text("fields: {level: {choices: {1: low, 2: high}}}")
    spec = tiny.spec(fields=(Field("level", CATEGORY, categories=(1, 2), default=1),))
    assert read_ui(path, spec) == {"fields": {"level": {"choices": {"1": "low", "2": "high"}}}}


AS_TEXT = """
fields:
  smoker: {default: no, choices: {yes: Smokes, no: Never, On: Now and then, 2024-01-31: Since January}}
  zip: {default: 02134, choices: {02134: Allston, 10:30: no place}}
  saledate: {default: 2024-01-31}
labels:
  yes: {name: Buys}
  n: {name: Does not}
examples:
  - {title: A, record: {smoker: yes, zip: 10:30, saledate: 2024-01-31T08:30:00}}
"""
"""Values that YAML 1.1 reads as booleans, dates, minutes and octal numbers."""


def as_text_spec() -> Any:
    fields = (
        Field("smoker", CATEGORY, categories=("yes", "no", "On", "2024-01-31")),
        Field("zip", CATEGORY, categories=("02134", "10:30")),
        Field("saledate", DATE),
        Field("vip", CATEGORY, categories=(True, False)),
        Field("age", NUMBER),
    )
    return tiny.spec(fields=fields, decode={**tiny.CATEGORY_DECODER, "vocab": ["yes", "n"]})


def test_categories_labels_and_dates_need_no_quotes(tmp_path: Path) -> None:
    path = tmp_path / "ui.yaml"
    path.write_text(AS_TEXT)
    assert read_ui(path, as_text_spec()) == {
        "fields": {
            "smoker": {
                "default": "no",
                "choices": {"yes": "Smokes", "no": "Never", "On": "Now and then", "2024-01-31": "Since January"},
            },
            "zip": {"default": "02134", "choices": {"02134": "Allston", "10:30": "no place"}},
            "saledate": {"default": "2024-01-31"},
        },
        "labels": {"yes": {"name": "Buys"}, "n": {"name": "Does not"}},
        "examples": [
            {"title": "A", "record": {"smoker": "yes", "zip": "10:30", "saledate": "2024-01-31T08:30:00"}},
        ],
    }
    assert yaml.safe_load("yes") is True, "PyYAML's loader is not changed"


def test_booleans_numbers_and_null_keep_their_types(tmp_path: Path) -> None:
    path = tmp_path / "ui.yaml"
    path.write_text(
        "fields:\n"
        "  vip: {hidden: TRUE, default: false, choices: {true: a, False: b}}\n"
        "  age: {default: -7, maximum: 1.5}\n"
        "examples: [{title: A, record: {vip: True, age: 0, saledate: null, smoker: ~}}]"
    )
    assert read_ui(path, as_text_spec()) == {
        "fields": {
            "vip": {"hidden": True, "default": False, "choices": {"True": "a", "False": "b"}},
            "age": {"default": -7, "maximum": 1.5},
        },
        "examples": [{"title": "A", "record": {"vip": True, "age": 0, "saledate": None, "smoker": None}}],
    }


class TestMigration:
    def test_written_file_is_read_unchanged(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        old, written = tmp_path / "old.yaml", tmp_path / "new.yaml"
        old.write_text(AS_TEXT)
        (tmp_path / SPEC).write_text(json.dumps(spec_format.to_dict(as_text_spec())))
        assert main(["migrate-ui", str(old), str(tmp_path), "--output", str(written)]) == 0
        assert "comments of" not in capsys.readouterr().err
        old.write_text(f"# of the team\n{old.read_text('utf-8')}", "utf-8")
        assert main(["migrate-ui", str(old), str(tmp_path)]) == 0
        assert "comments of" in capsys.readouterr().err
        assert load_ui(written).content == read_ui(old, as_text_spec())

    @pytest.mark.parametrize(
        ("text", "has_comments"),
        [
            ("", False),
            ("title: a#b", False),
            ("title: 'Room #4' ", False),
            ('title: "a\n  # b"', False),
            ("description: |\n  # a heading\n  of the text\n", False),
            ("title: a # b", True),
            ("# a\ntitle: b", True),
            ("title: b\n#", True),
            ("description: | # c\n  a text\n", True),
            ("description: >\n  a text\n# c\n", True),
            ("labels: {a: 'b #', # c\n  d: e}", True),
        ],
    )
    def test_quoted_number_signs_are_no_comments(self, text: str, has_comments: bool, tmp_path: Path) -> None:
        (tmp_path / "ui.yaml").write_text(text, "utf-8")
        assert load_ui(tmp_path / "ui.yaml").has_comments == has_comments

    @given(st.dictionaries(st.text(max_size=5), st.text("#\n '\"|>:", max_size=20), max_size=4))
    def test_written_files_have_no_comments(self, content: dict[str, str]) -> None:
        written = yaml.safe_dump(content, allow_unicode=True, width=10)
        assert not UiFile(content, written).has_comments
        assert UiFile(content, f"{written}# a comment\n").has_comments

    def test_migration_to_the_same_model_changes_nothing(self) -> None:
        migrated = migrate_ui(FULL, tiny.spec())
        assert migrated.ui == FULL
        assert migrated.dropped == []
        assert migrated.unnamed == ["choices of workclass: ' State-gov' and 'NA'", "field hours", "label >=50k"]

    def test_entries_of_removed_fields_and_labels_are_dropped(self) -> None:
        fields = (
            Field("workclass", CATEGORY, categories=(" State-gov",), default=" State-gov"),
            Field("age", CATEGORY, categories=("young", "old"), default="old"),
            Field("years-in-job", NUMBER, default=5.0),
        )
        new = tiny.spec(fields=fields, decode={**tiny.CATEGORY_DECODER, "vocab": ["low", "high"]})
        migrated = migrate_ui(FULL, new)
        assert migrated.ui["order"] == ["age"]
        assert migrated.ui["fields"]["age"] == {"label": "Age", "unit": "years"}
        assert migrated.ui["fields"]["workclass"] == {"label": "Employer", "help": "who pays", "choices": {}}
        assert "examples" not in migrated.ui
        assert "labels" not in migrated.ui
        assert {"fields.vip", "labels.<50k", "order: hours", "fields.age.minimum", "fields.age.default: 30"} <= set(
            migrated.dropped
        )
        assert {"examples[0].record.age: 44", "examples[0].record.workclass: ' Private'"} <= set(migrated.dropped)
        assert "field years-in-job" in migrated.unnamed

    def test_examples_keep_valid_values(self) -> None:
        ui = {"examples": [{"title": "A clerk", "record": {"workclass": "State-gov", "grade": 8, "age": 44, "x": 1}}]}
        migrated = migrate_ui(ui, tiny.spec())
        assert migrated.ui["examples"] == [{"title": "A clerk", "record": {"workclass": " State-gov", "age": 44}}]
        assert migrated.dropped == ["examples[0].record.x", "examples[0].record.grade: 8"]

    def test_white_space_of_categories_may_be_omitted(self) -> None:
        entry = {"default": "Private", "choices": {"Private": "a company", "State-gov": "the state", "Gone": "x"}}
        migrated = migrate_ui({"fields": {"workclass": entry}}, tiny.spec())
        choices = {" Private": "a company", " State-gov": "the state"}
        assert migrated.ui == {"fields": {"workclass": {"default": " Private", "choices": choices}}}
        assert migrated.dropped == ["fields.workclass.choices.Gone"]

    def test_choices_of_a_new_number_field_are_dropped(self) -> None:
        migrated = migrate_ui({"fields": {"age": {"choices": {"old": "over 60"}, "unit": "years"}}}, tiny.spec())
        assert migrated.ui == {"fields": {"age": {"unit": "years"}}}
        assert migrated.dropped == ["fields.age.choices"]

    @pytest.mark.parametrize("default", [None, True, "old"])
    def test_default_of_another_type_is_dropped(self, default: Any) -> None:
        migrated = migrate_ui({"fields": {"age": {"label": "Age", "default": default}}}, tiny.spec())
        assert migrated.ui == {"fields": {"age": {"label": "Age"}}}
        assert migrated.dropped == [f"fields.age.default: {default!r}"]

    @pytest.mark.parametrize("entry", [{"hidden": True, "default": "a"}, {"hidden": True}])
    def test_hidden_field_without_default_becomes_visible(self, entry: dict[str, Any]) -> None:
        spec = tiny.spec(fields=(Field("age", NUMBER),))
        migrated = migrate_ui({"fields": {"age": {"label": "Age", **entry}}}, spec)
        assert migrated.ui == {"fields": {"age": {"label": "Age"}}}
        defaults = ["fields.age.default: 'a'"] if "default" in entry else []
        assert migrated.dropped == [*defaults, "fields.age.hidden"]

    def test_hidden_field_with_default_stays_hidden(self) -> None:
        entry = {"hidden": True, "default": "a"}
        assert migrate_ui({"fields": {"age": entry}}, tiny.spec()).ui == {"fields": {"age": {"hidden": True}}}

    def test_range_of_a_new_date_field_is_dropped(self) -> None:
        entry = {"label": "Sold", "minimum": 1, "maximum": 9, "step": 2, "choices": {"1": "first"}}
        migrated = migrate_ui({"fields": {"saledate": entry}}, tiny.date_spec())
        assert migrated.ui == {"fields": {"saledate": {"label": "Sold"}}}
        assert migrated.dropped == [f"fields.saledate.{name}" for name in ("minimum", "maximum", "step", "choices")]

    @pytest.mark.parametrize(
        "ui",
        [
            None,
            [],
            {"groups": 3},
            {"fields": []},
            {"fields": {"age": "x"}},
            {"examples": [{}]},
            {"examples": [{"title": "x", "record": "abc"}]},
            {"labels": 3},
        ],
    )
    def test_invalid_file_is_refused(self, ui: Any) -> None:
        with pytest.raises(UiRefused):
            migrate_ui(ui, tiny.spec())


@pytest.mark.parametrize(
    ("decode", "names", "unknown"),
    [
        ({"decoder": "points", "size": 4}, ["1", "2"], "3"),
        ({"decoder": "segmentation", "activation": "identity", "classes": ["sky", "road"]}, ["sky", "road"], "rode"),
    ],
)
def test_points_and_classes_of_masks_have_names(decode: Any, names: list[str], unknown: str) -> None:
    spec = tiny_pictures.spec(decode=decode)
    ui = {"labels": {name: {"name": f"the {name}"} for name in names}}
    assert check_ui(ui, spec) == ui
    with pytest.raises(UiRefused) as caught:
        check_ui({"labels": {unknown: {"name": "other"}}}, spec)
    assert caught.value.code == "unknown_name"
