"""Runs TorchServe's worker, `python worker.py .../model_service_worker.py [OPTIONS]`, without importing torch.

The module of TorchServe's protocol imports torch to recognise answers that are tensors, and our answers are bytes. The
import takes most of a worker's start and of its memory, so it is delayed until torch is used.
"""

import importlib
import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


class LazyModule(ModuleType):
    """Stands for a module that is imported when one of its attributes is read.

    `importlib.util.LazyLoader` does not help here: with it, the second `import` of a module executes the module.
    """

    def __getattr__(self, attribute: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), attribute)


if __name__ == "__main__":
    sys.modules["torch"] = LazyModule("torch")
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).parent)  # as if Python had started the script
    runpy.run_path(sys.argv[0], run_name="__main__")
