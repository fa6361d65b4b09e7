from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.archives import tiny_archive

from fastmar_serving.rollout import store as stores
from fastmar_serving.rollout.errors import StoreRefused
from fastmar_serving.rollout.store import bring_back, file_name, find, find_anywhere, place, set_aside
from fastmar_serving.torchserve.archives import read_archive


def test_a_copy_is_whole_readable_and_leaves_no_draft(store: Path, second: Path) -> None:
    path, is_copy = place(read_archive(second), store)
    assert is_copy
    assert path == store / "tiny-2.0.mar"
    assert path.read_bytes() == second.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o644
    assert [file.name for file in store.iterdir()] == ["tiny-2.0.mar"]
    assert place(read_archive(second), store) == (path, False)  # the same bytes are there now
    assert place(read_archive(path), store) == (path, False)


def test_another_file_is_never_written_over(store: Path, second: Path) -> None:
    (store / "tiny-2.0.mar").write_text("notes")
    with pytest.raises(StoreRefused, match=r"tiny-2\.0\.mar is there already"):
        place(read_archive(second), store)
    assert (store / "tiny-2.0.mar").read_text() == "notes"


@pytest.mark.parametrize("links", [True, False])
def test_not_even_one_that_comes_in_between(
    store: Path, second: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr(stores.os, "link", no_links)

    def in_between(descriptor: int) -> None:
        (store / "tiny-2.0.mar").write_text("notes")

    monkeypatch.setattr(stores.os, "fsync", in_between)
    with pytest.raises(StoreRefused):
        place(read_archive(second), store)
    assert (store / "tiny-2.0.mar").read_text() == "notes"
    assert [file.name for file in store.iterdir()] == ["tiny-2.0.mar"]


def test_a_full_disk_leaves_nothing(store: Path, second: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stores.os, "fsync", full)
    with pytest.raises(StoreRefused, match=r"No space left on device\.\n  Fix: .*room"):
        place(read_archive(second), store)
    assert list(store.iterdir()) == []


def test_file_systems_without_links(store: Path, second: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(stores.os, "link", no_links)
    path, _ = place(read_archive(second), store)
    assert path.read_bytes() == second.read_bytes()
    aside = set_aside(path)
    assert aside == store / "unloaded" / "tiny-2.0.mar"
    assert bring_back(store, aside) == path


def test_aside_and_back(store: Path, second: Path) -> None:
    path, _ = place(read_archive(second), store)
    (store / "broken.mar").write_text("no archive")
    assert find(store, "tiny", "2.0") == path
    aside = set_aside(path)
    assert find(store, "tiny", "2.0") is None
    assert find_anywhere(store, "tiny", "2.0") == aside
    assert not path.exists()
    assert bring_back(store, aside) == path
    assert not aside.exists()
    assert find_anywhere(store, "tiny", "3.0") is None


def test_a_place_that_is_taken_is_told(store: Path, second: Path) -> None:
    path, _ = place(read_archive(second), store)
    aside = set_aside(path)
    path.write_text("notes")
    with pytest.raises(StoreRefused, match="File exists"):
        bring_back(store, aside)
    assert path.read_text() == "notes"


names = st.text(min_size=1, max_size=40).filter(lambda text: text.encode("utf-8", "replace").decode() == text)


@given(names, names)
@example("tiny", "1.")
def test_a_files_name_is_what_torchserve_can_load(name: str, version: str) -> None:
    made = file_name(name, version)
    assert made.endswith(".mar")
    assert made.isascii()
    assert made.isprintable()
    assert not set(made) & set(",=/\\")
    assert ".." not in made
    assert not made.startswith(".")
    assert made.strip() == made


@given(st.lists(st.tuples(names, names), unique=True, min_size=2, max_size=2))
def test_odd_names_do_not_fall_together(versions: list[tuple[str, str]]) -> None:
    one, other = (file_name(*each) for each in versions)
    # Plain names are joined by the dash that may be in them: a file that is there already is found out by `place`.
    if "-" not in "".join(map("".join, versions)):
        assert one != other


def test_plain_names_are_plain(tmp_path: Path) -> None:
    assert file_name("flights", "2.0") == "flights-2.0.mar"
    assert file_name("my model", "1.10.3") == "my model-1.10.3.mar"
    assert file_name("a,b", "1") != file_name("a=b", "1")
    archive = read_archive(tiny_archive(tmp_path))
    assert place(archive, tmp_path) == (archive.path, False)
