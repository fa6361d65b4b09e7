"""Installed extensions that cannot be imported: the export is refused, and the error names the package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastmar_export import extensions
from fastmar_export.errors import ExportError
from fastmar_export.exporter import Options, export_learner
from fastmar_export.modalities import modalities
from fastmar_runtime import registry
from fastmar_runtime.errors import ExtensionBroken
from tests.export.tables import Case, make_learner

Install = Callable[..., None]


def clear_caches() -> None:
    for cached in (extensions.load_entry_points, modalities, registry.extensions, registry.package_of):
        cached.cache_clear()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """A function that installs the distribution "shop-fastmar" with one entry point and some modules."""
    site = tmp_path / "site"

    def add(group: str, value: str, **modules: str) -> None:
        metadata = site / "shop_fastmar-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-fastmar\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[{group}]\nshop = {value}\n")
        for name, source in modules.items():
            path = site / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        monkeypatch.syspath_prepend(site)
        clear_caches()

    yield add
    monkeypatch.undo()
    clear_caches()


BROKEN: dict[str, tuple[str, str, dict[str, str]]] = {
    "a missing dependency": (extensions.CONVERTERS, "broken_shop_a", {"broken_shop_a": "import not_installed_x"}),
    "a missing module": (extensions.MODALITIES, "broken_shop_b", {}),
    "a missing attribute": (extensions.CALLBACKS, "broken_shop_c:PATHS", {"broken_shop_c": "OTHER = []"}),
    "a syntax error": (extensions.CONVERTERS, "broken_shop_d", {"broken_shop_d": "def"}),
    "a missing runtime package": (registry.GROUP, "broken_shop_e", {}),
    "a step with a missing dependency": (
        registry.GROUP,
        "broken_shop_f",
        {"broken_shop_f__steps__clip": "import not_installed_x"},
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_export_is_refused(case: str, install: Install) -> None:
    group, value, modules = BROKEN[case]
    install(group, value, **modules)
    with pytest.raises(ExportError) as caught:
        extensions.check_extensions()
    assert caught.value.code == "extension_not_importable"
    for fact in ("shop-fastmar", f"shop = {value}", group):
        assert fact in caught.value.message
    assert "pip uninstall shop-fastmar" in caught.value.fix


@pytest.mark.parametrize(
    "modules",
    [{}, {"broken_shop_h__steps__clip": "import not_installed_x"}, {"broken_shop_h__steps__clip": "1 / 0"}],
    ids=["a missing package", "a missing dependency", "an exception"],
)
def test_model_is_refused_if_its_extension_is_broken(modules: dict[str, str], install: Install) -> None:
    install(registry.GROUP, "broken_shop_h", **modules)
    with pytest.raises(ExtensionBroken) as caught:
        registry.load("steps", "clip")
    assert caught.value.code == "extension_not_importable"
    assert "broken_shop_h" in caught.value.message
    registry.load("steps", "normalize")  # the runtime's own


def test_extensions_that_can_be_imported_are_accepted(install: Install) -> None:
    install(registry.GROUP, "whole_shop", whole_shop__steps__clip="")
    extensions.check_extensions()


def test_export_checks_extensions_before_it_converts(install: Install, tmp_path: Path) -> None:
    learn, _ = make_learner(Case())
    learn.export(tmp_path / "learner.pkl")
    install(registry.GROUP, "broken_shop_g", broken_shop_g__steps__clip="import not_installed_x")
    with pytest.raises(ExportError) as caught:
        export_learner(tmp_path / "learner.pkl", Options("model", output=tmp_path / "store"))
    assert caught.value.code == "extension_not_importable"
    assert not list((tmp_path / "store").glob("*.mar"))
