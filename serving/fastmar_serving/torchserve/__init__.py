"""The TorchServe launcher: check, configure, start, monitor and drain the server process."""
