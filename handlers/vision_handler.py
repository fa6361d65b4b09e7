"""TorchServe's entry point for models of pictures."""

from fastmar_runtime.torchserve import Handler


class VisionHandler(Handler):
    """One class, no logic: TorchServe wants exactly one class in the handler's file."""
