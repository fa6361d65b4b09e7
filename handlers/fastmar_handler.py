"""The entry point of every archive for TorchServe."""

from fastmar_runtime.engines.torchserve import Handler


class FastmarHandler(Handler):
    """The only class of the file, which TorchServe requires; `Handler` has the logic."""
