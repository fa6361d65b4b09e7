"""Files of the request log: a new one by day and size, the oldest removed, and errors of the disk."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fastmar_runtime.request_log import files
from fastmar_runtime.request_log.files import SHARE, LogFiles

LINE = b"x" * 99 + b"\n"


def log_files(folder: Path, max_bytes: int = 1 << 20) -> LogFiles:
    return LogFiles(folder, ("tiny", "1.0"), max_bytes)


def content(folder: Path) -> list[bytes]:
    """The files' content, the first file first."""
    return [path.read_bytes() for path in sorted(folder.iterdir(), key=lambda path: int(path.stem.split("_")[-1]))]


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    log_files(tmp_path / "new").write(LINE)
    [path] = (tmp_path / "new").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.name.startswith("requests_tiny_1.0_")


def test_names_are_short_and_plain(tmp_path: Path) -> None:
    LogFiles(tmp_path, ("ä/b" * 85, "1" * 255), 1 << 20).write(LINE)
    [path] = tmp_path.iterdir()
    assert path.name.isascii()
    assert len(path.name) < 255


def test_a_file_of_an_earlier_process_is_not_continued(tmp_path: Path) -> None:
    log_files(tmp_path).write(LINE)
    log_files(tmp_path).write(LINE)
    assert content(tmp_path) == [LINE, LINE]


def test_a_new_file_each_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day = 1

    class Clock:
        @staticmethod
        def now(_: Any) -> datetime:
            return datetime(2026, 3, day, 23, 59, tzinfo=UTC)

    monkeypatch.setattr(files, "datetime", Clock)
    log = log_files(tmp_path)
    log.write(LINE)
    log.write(LINE)
    day = 2
    log.write(LINE)
    assert sorted(path.name.split("_")[3] for path in tmp_path.iterdir()) == ["20260301", "20260302"]
    assert sorted(path.stat().st_size for path in tmp_path.iterdir()) == [100, 200]


def test_a_new_file_at_the_maximum_size(tmp_path: Path) -> None:
    log = log_files(tmp_path, SHARE * 250)
    for _ in range(5):
        log.write(LINE)
    log.write(LINE * 10)  # more than a file may have: alone in one
    log.write(LINE)
    assert content(tmp_path) == [LINE * 2, LINE * 2, LINE, LINE * 10, LINE]


def test_the_oldest_are_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "notes.jsonl").write_bytes(LINE * 1000)  # somebody else's
    log = log_files(tmp_path, SHARE * 100)
    for number in range(100):
        log.write(b"%099d\n" % number)
        for path in tmp_path.iterdir():  # files of the same moment have no order
            if path.stat().st_mtime > 1e9:
                os.utime(path, (number, number))
    (tmp_path / "notes.jsonl").unlink()
    kept = content(tmp_path)
    assert kept == [b"%099d\n" % number for number in range(100 - SHARE, 100)]
    assert len(caplog.records) == 100 - SHARE


def test_a_removed_file_is_replaced(tmp_path: Path) -> None:
    log = log_files(tmp_path)
    log.write(LINE)
    next(tmp_path.iterdir()).unlink()
    log.write(LINE)
    assert content(tmp_path) == [LINE]


def test_a_half_written_line_is_not_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_files(tmp_path)
    write = os.write

    def full(file: int, data: Any) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return write(file, data[:50])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="space"):
            log.write(LINE)
    log.write(LINE)
    assert content(tmp_path) == [LINE[:50], LINE]


def test_a_write_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:30]))
    log_files(tmp_path).write(LINE)
    assert content(tmp_path) == [LINE]


def test_the_current_file_is_not_removed(tmp_path: Path) -> None:
    first = log_files(tmp_path, SHARE * 100)
    first.write(LINE * 100)  # more than all files may have
    [other] = tmp_path.iterdir()
    os.utime(other, (4e9, 4e9))  # of a clock that is ahead
    log_files(tmp_path, SHARE * 100).write(LINE)
    assert content(tmp_path) == [LINE]
