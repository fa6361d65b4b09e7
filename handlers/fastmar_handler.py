"""TorchServe's entry point of every archive."""

from fastmar_runtime.engines.torchserve import Handler


class FastmarHandler(Handler):
    """One class, no logic: TorchServe wants exactly one class in the handler's file."""
