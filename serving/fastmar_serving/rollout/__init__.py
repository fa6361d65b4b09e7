"""Changing what a running server answers: deploy a version, roll back, look at what is loaded."""
