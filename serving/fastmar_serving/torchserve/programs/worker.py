"""Runs TorchServe's worker, `python worker.py .../model_service_worker.py [OPTIONS]`, with two improvements.

The module of TorchServe's protocol imports torch to recognise answers that are tensors, and our answers are bytes. The
import takes most of a worker's start and of its memory, so it is delayed until torch is used.

The same module reads each field of a request by a system call of its own. Here a buffer reads the socket.
"""

import importlib
import logging
import runpy
import socket
import sys
from io import BufferedReader
from pathlib import Path
from types import ModuleType
from typing import Any, cast


class LazyModule(ModuleType):
    """Stands for a module that is imported when one of its attributes is read.

    `importlib.util.LazyLoader` does not help here: with it, the second `import` of a module executes the module.
    """

    def __getattr__(self, attribute: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), attribute)


class BufferedReads:
    """Reads from TorchServe's connections through a buffer."""

    def __init__(self) -> None:
        self._files: dict[socket.socket, BufferedReader] = {}

    def read(self, connection: socket.socket, length: int) -> bytearray:
        """Read a number of bytes; end the process if TorchServe has closed the connection."""
        if connection not in self._files:
            self._files[connection] = cast(BufferedReader, connection.makefile("rb", 1 << 16))
        data = bytearray(length)
        if self._files[connection].readinto(data) < length:
            logging.info("TorchServe closed the connection.")
            sys.exit(0)
        return data


if __name__ == "__main__":
    sys.modules["torch"] = LazyModule("torch")
    protocol: Any = importlib.import_module("ts.protocol.otf_message_handler")
    protocol._retrieve_buffer = BufferedReads().read
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).parent)  # as if Python had started the script
    runpy.run_path(sys.argv[0], run_name="__main__")
