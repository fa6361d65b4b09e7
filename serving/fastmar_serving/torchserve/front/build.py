"""Compile the front into front.jar (`make front`). Needs JDK 17; other compilers produce other bytes.

The jar is in git, since users have no compiler. The build is reproducible.
"""

from __future__ import annotations

import io
import re
import subprocess
import tempfile
import zipfile
from pathlib import Path

from fastmar_serving.torchserve.java import find_torchserve

FOLDER = Path(__file__).parent
JAR = FOLDER / "front.jar"
COMPILER = 17  # major version of javac
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time in a zip file


def compiler_version() -> int | None:
    """Major version of the javac on PATH; None if there is none."""
    try:
        printed = subprocess.run(["javac", "-version"], capture_output=True, text=True, check=True)  # noqa: S607
    except (OSError, subprocess.CalledProcessError):
        return None
    match = re.search(r"javac (\d+)", printed.stdout + printed.stderr)
    return int(match.group(1)) if match else None


def build() -> bytes:
    """Compile the sources in this folder, and return the content of the jar."""
    sources = sorted(str(path) for path in FOLDER.glob("*.java"))
    with tempfile.TemporaryDirectory() as folder:
        options = ["--release", "17", "-g:source,lines", "-proc:none", "-encoding", "UTF-8"]
        command = ["javac", *options, "-cp", str(find_torchserve().jar), "-d", folder, *sources]
        subprocess.run(command, check=True)  # noqa: S603 - fixed arguments
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as jar:
            for path in sorted(Path(folder).rglob("*.class")):
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
                entry.compress_type = zipfile.ZIP_STORED  # compressed bytes depend on the version of zlib
                entry.external_attr = 0o644 << 16
                jar.writestr(entry, path.read_bytes())
        return content.getvalue()


if __name__ == "__main__":
    JAR.write_bytes(build())
