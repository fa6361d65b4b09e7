"""Rollouts on a running server: deploy a version, roll back, unload and list versions."""
