"""Serving models: the TorchServe launcher, rollouts of new versions, and deployments to clouds."""
