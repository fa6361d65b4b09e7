"""Deployments to managed cloud services."""
