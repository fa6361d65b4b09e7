"""The Java in front of TorchServe: its sources, the jar that they are compiled to, and how that is done."""
