"""Runs servers and changes what they serve: TorchServe here, rollouts of versions, and clouds."""
