"""The program that starts TorchServe's workers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fastmar_serving.torchserve.process import PROGRAMS

TORCH = """
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
    done = run(tmp_path, TORCH)
    assert done.stdout.splitlines() == ["Tensor True ['--an option']", "Module"], done.stderr


MESSAGE = """
import socket
import struct

from ts.protocol.otf_message_handler import retrieve_msg

class Counting(socket.socket):
    received = 0

    def recv_into(self, *arguments):
        self.received += 1
        return super().recv_into(*arguments)

def text(value):
    return struct.pack("!i", len(value)) + value

END = struct.pack("!i", -1)
ours, theirs = socket.socketpair()
ours = Counting(fileno=ours.detach())
body = bytes(300_000)
request = text(b"id") + text(b"accept") + text(b"*/*") + END + text(b"body") + text(b"image/png") + text(body) + END
for _ in range(2):
    small = request.replace(text(body), text(b"{}"))
    theirs.sendall(b"I" + small + END)
    command, (found,) = retrieve_msg(ours)
    assert (command, found["requestId"]) == (b"I", b"id")
    assert found["headers"] == [{"name": b"accept", "value": b"*/*"}]
    assert found["parameters"][0]["value"] == b"{}"
print(ours.received)
import threading
threading.Thread(target=theirs.sendall, args=(b"I" + request + END,)).start()
command, (found,) = retrieve_msg(ours)
print(found["parameters"][0]["value"] == body)
theirs.close()
retrieve_msg(ours)
print("not reached")
"""


def test_a_request_is_read_by_one_system_call(tmp_path: Path) -> None:
    done = run(tmp_path, MESSAGE)
    assert done.stdout.splitlines() == ["2", "True"], done.stderr
    assert done.returncode == 0  # TorchServe has closed the connection


def run(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    script = folder / "worker script.py"
    script.write_text(source)
    return subprocess.run(
        [PROGRAMS / "python", script, "--an option"],
        env={"FASTMAR_PYTHON": sys.executable, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
