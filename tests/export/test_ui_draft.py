"""`fastmar new` writes a ui.yaml that the export accepts, also with all its suggestions."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fastmar_cli.main import main
from fastmar_contract.values import NUMBER
from fastmar_export.presentation import check_ui
from fastmar_export.ui_draft import draft_ui
from fastmar_export.ui_file import read_ui
from fastmar_runtime.spec import Field, Spec
from tests.runtime import tiny, tiny_language, tiny_pictures

SPECS = {
    "table": tiny.spec(),
    "dates": tiny.date_spec(),
    "pictures": tiny_pictures.spec(),
    "texts": tiny_language.spec(),
    "number": tiny.spec(decode=tiny.ONE_NUMBER_DECODER, targets=("salary",)),
}


def with_suggestions(draft: str) -> str:
    return re.sub(r"^( *)# ?([a-z]+:|  - )", r"\1\2", draft, flags=re.MULTILINE)


@pytest.mark.parametrize("name", SPECS)
def test_the_export_accepts_a_draft(name: str) -> None:
    spec = SPECS[name]
    draft = draft_ui(spec)
    ui = check_ui(yaml.safe_load(draft), spec)
    assert set(ui.get("fields", {})) == {field.name for field in spec.fields}
    everything = with_suggestions(draft)
    assert everything != draft
    assert len(check_ui(yaml.safe_load(everything), spec)) > len(ui)


def test_units_are_left_to_the_user() -> None:
    """Neither the pickle nor the reference data has units, so the draft suggests none."""
    units = re.findall(r"unit: (.*)", draft_ui(SPECS["number"]))
    assert len(units) == 3  # two columns of numbers, and the prediction
    assert all(unit.startswith('""') for unit in units)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.lists(st.text(), min_size=1, unique=True))
def test_any_name_and_category(name: str, categories: list[str]) -> None:
    spec = _renamed(tiny.spec(), name, tuple(categories))
    for text in (draft_ui(spec), with_suggestions(draft_ui(spec))):
        assert name in check_ui(yaml.safe_load(text), spec)["fields"]


def _renamed(spec: Spec, name: str, categories: tuple[str, ...]) -> Spec:
    first, *others = spec.fields
    renamed = replace(first, name=name, kind="category", categories=categories, default=None)
    return replace(spec, fields=(renamed, *(field for field in others if field.name != name)))


def test_choices_are_complete_up_to_a_limit() -> None:
    few, many = (tuple(f"c{at}" for at in range(count)) for count in (4, 1030))
    draft = draft_ui(_renamed(tiny.spec(), "field", few))
    assert all(f'"{category}": "{category}"' in draft for category in few)
    assert "can be added" not in draft
    draft = draft_ui(_renamed(tiny.spec(), "field", many))
    assert "The first 20 categories; 1,010 more can be added." in draft
    assert '"c19"' in draft
    assert '"c20"' not in draft


@pytest.mark.parametrize(
    ("numbers", "step"),
    [({}, "1"), ({"default": 40.0, "minimum": 1, "maximum": 90}, "1"), ({"default": 40.0, "minimum": 1.25}, "0.01")],
)
def test_step_fits_the_known_numbers(numbers: dict[str, float], step: str) -> None:
    field = Field("price", NUMBER, **numbers)  # type: ignore[arg-type]
    draft = draft_ui(replace(tiny.spec(), fields=(field,)))
    assert f"    # step: {step}\n" in draft
    assert "miles" not in draft


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tiny.write_bundle(tmp_path / "tiny")
    path = tmp_path / "ui.yaml"
    assert main(["new", str(path), str(bundle)]) == 0
    assert "--ui" in capsys.readouterr().out
    read_ui(path, tiny.spec())
    text = path.read_text("utf-8")
    assert main(["new", str(path), str(bundle)]) == 1
    assert "already exists" in capsys.readouterr().err
    assert path.read_text("utf-8") == text
    assert main(["new", str(tmp_path / "absent" / "ui.yaml"), str(bundle)]) == 1
