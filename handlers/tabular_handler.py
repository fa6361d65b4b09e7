"""TorchServe's entry point for tabular models."""

from fastmar_runtime.torchserve import Handler


class TabularHandler(Handler):
    """One class, no logic: TorchServe wants exactly one class in the handler's file."""
