"""The options of the request log are checked before the server starts."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from fastmar_contract.request_log import SALT
from fastmar_serving.archives import find_archives
from fastmar_serving.errors import ConfigRefused
from fastmar_serving.request_log import log_options
from fastmar_serving.settings import Settings
from tests.archives import language_archive, tiny_archive


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tabular and a text model."""
    folder = tmp_path_factory.mktemp("models")
    tiny_archive(folder)
    language_archive(folder)
    return folder


def code(store: Path, **options: Any) -> str:
    with pytest.raises(ConfigRefused) as caught:
        log_options(Settings(**options), find_archives(store, []))
    return caught.value.code


def test_fields_are_hidden_by_model(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SALT, "0123456789abcdef")
    folder = tmp_path / "new" / "log"
    settings = Settings(request_log=folder, request_log_drop=["text", "age"], request_log_hash=["vip"])
    found = log_options(settings, find_archives(store, []))
    assert found is not None
    assert found.hidden == {"tiny": ["age", "vip"], "words": ["text"]}
    assert (found.folder, found.max_bytes) == (str(folder), 1 << 30)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_no_log_by_default(store: Path) -> None:
    assert log_options(Settings(request_log_drop=["absent"]), find_archives(store, [])) is None


def test_options_that_can_not_be_met(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, file = tmp_path / "log", tmp_path / "file"
    file.touch()
    assert code(store, request_log=log, request_log_drop=["age", "ssn"]) == "unknown_field"
    assert code(store, request_log=log, request_log_hash=["ssn"]) == "unknown_field"
    assert code(store, request_log=log, request_log_hash=["age"]) == "salt_missing"
    monkeypatch.setenv(SALT, "short")
    assert code(store, request_log=log, request_log_hash=["age"]) == "salt_missing"
    assert code(store, request_log=file) == "folder_not_writable"
    assert not log.exists()


def test_archives_of_other_tools_have_no_fields(tmp_path: Path) -> None:
    archive = tiny_archive(tmp_path)
    with zipfile.ZipFile(archive) as read:
        content = {name: read.read(name) for name in read.namelist() if name != "spec.json"}
    with zipfile.ZipFile(archive, "w") as written:
        for name, data in content.items():
            written.writestr(name, data)
    assert log_options(Settings(request_log=tmp_path / "log"), find_archives(tmp_path, [])) is not None
    assert code(tmp_path, request_log=tmp_path / "log", request_log_drop=["age"]) == "unknown_field"
