from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fastmar_cli.main import main


def test_exit_statuses_of_usage_errors_and_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as usage:
        main(["serve", "--workers", "0"])
    assert usage.value.code == 2
    assert main(["serve", "--model-store", str(tmp_path)]) == 1
    assert "StoreEmpty" in capsys.readouterr().err


def test_help_does_not_import_rich() -> None:
    script = """
import sys
from fastmar_cli.main import main
try:
    main(["serve", "--help"])
except SystemExit:
    print("rich" in sys.modules)
"""
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown.rstrip().endswith("False")
