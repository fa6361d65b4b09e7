"""TorchServe as a process: checked, configured, started, watched and stopped without losing a request."""
