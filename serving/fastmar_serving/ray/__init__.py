"""Packages for Ray Serve."""
