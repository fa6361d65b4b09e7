"""The program that starts TorchServe's workers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fastmar_serving.torchserve.process import PROGRAMS

SCRIPT = """
import sys
from pathlib import Path

import torch

assert "torch._C" not in sys.modules
assert sys.path[0] == str(Path(__file__).parent)
print(torch.Tensor.__name__, "torch._C" in sys.modules, sys.argv[1:])
import torch.nn

print(torch.nn.Module.__name__)
"""


def test_torch_is_imported_when_it_is_used(tmp_path: Path) -> None:
    script = tmp_path / "worker script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [PROGRAMS / "python", script, "--an option"],
        env={"FASTMAR_PYTHON": sys.executable, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["Tensor True ['--an option']", "Module"], done.stderr
