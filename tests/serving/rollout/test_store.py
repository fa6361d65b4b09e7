from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.archives import tiny_archive

from fastmar_serving.archives import read_archive
from fastmar_serving.rollout import store as stores
from fastmar_serving.rollout.errors import StoreRefused
from fastmar_serving.rollout.store import (
    file_name,
    find,
    find_anywhere,
    move_to_unloaded,
    put_in_store,
    restore_unloaded,
)


def test_copies_an_archive_and_leaves_no_temporary_file(store: Path, second: Path) -> None:
    path, is_copy = put_in_store(read_archive(second), store)
    assert is_copy
    assert path == store / "tiny-2.0.mar"
    assert path.read_bytes() == second.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o644
    assert [file.name for file in store.iterdir()] == ["tiny-2.0.mar"]
    assert put_in_store(read_archive(second), store) == (path, False)  # the same bytes are there now
    assert put_in_store(read_archive(path), store) == (path, False)


def test_never_overwrites_another_file(store: Path, second: Path) -> None:
    (store / "tiny-2.0.mar").write_text("notes")
    with pytest.raises(StoreRefused) as caught:
        put_in_store(read_archive(second), store)
    assert caught.value.code == "file_exists"
    assert (store / "tiny-2.0.mar").read_text() == "notes"


@pytest.mark.parametrize("links", [True, False])
def test_never_overwrites_a_file_that_appears_while_copying(
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
        put_in_store(read_archive(second), store)
    assert (store / "tiny-2.0.mar").read_text() == "notes"
    assert [file.name for file in store.iterdir()] == ["tiny-2.0.mar"]


def test_a_full_disk_leaves_nothing(store: Path, second: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stores.os, "fsync", full)
    with pytest.raises(StoreRefused) as caught:
        put_in_store(read_archive(second), store)
    assert caught.value.code == "copy_failed"
    assert "No space left on device" in caught.value.message
    assert list(store.iterdir()) == []


def test_file_systems_without_hard_links(store: Path, second: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(stores.os, "link", no_links)
    path, _ = put_in_store(read_archive(second), store)
    assert path.read_bytes() == second.read_bytes()
    aside = move_to_unloaded(path)
    assert aside == store / "unloaded" / "tiny-2.0.mar"
    assert restore_unloaded(store, aside) == path


def test_moves_to_unloaded_and_back(store: Path, second: Path) -> None:
    path, _ = put_in_store(read_archive(second), store)
    (store / "broken.mar").write_text("no archive")
    assert find(store, "tiny", "2.0") == path
    aside = move_to_unloaded(path)
    assert find(store, "tiny", "2.0") is None
    assert find_anywhere(store, "tiny", "2.0") == aside
    assert not path.exists()
    assert restore_unloaded(store, aside) == path
    assert not aside.exists()
    assert find_anywhere(store, "tiny", "3.0") is None


def test_restore_never_overwrites_a_file(store: Path, second: Path) -> None:
    path, _ = put_in_store(read_archive(second), store)
    aside = move_to_unloaded(path)
    path.write_text("notes")
    with pytest.raises(StoreRefused) as caught:
        restore_unloaded(store, aside)
    assert caught.value.code == "move_failed"
    assert "File exists" in caught.value.message
    assert path.read_text() == "notes"


names = st.text(min_size=1, max_size=40).filter(lambda text: text.encode("utf-8", "replace").decode() == text)


@given(names, names)
@example("tiny", "1.")
def test_torchserve_can_load_each_file_name(name: str, version: str) -> None:
    file = file_name(name, version)
    assert file.endswith(".mar")
    assert file.isascii()
    assert file.isprintable()
    assert not set(file) & set(",=/\\")
    assert ".." not in file
    assert not file.startswith(".")
    assert file.strip() == file


@given(st.lists(st.tuples(names, names), unique=True, min_size=2, max_size=2))
def test_file_names_of_unusual_names_are_unique(versions: list[tuple[str, str]]) -> None:
    one, other = (file_name(*each) for each in versions)
    # Names with a dash can collide, since a dash joins name and version: `put_in_store` refuses an existing file.
    if "-" not in "".join(map("".join, versions)):
        assert one != other


def test_file_names_of_simple_names(tmp_path: Path) -> None:
    assert file_name("flights", "2.0") == "flights-2.0.mar"
    assert file_name("my model", "1.10.3") == "my model-1.10.3.mar"
    assert file_name("a,b", "1") != file_name("a=b", "1")
    archive = read_archive(tiny_archive(tmp_path))
    assert put_in_store(archive, tmp_path) == (archive.path, False)
