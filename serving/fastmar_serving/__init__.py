"""Serving models: two engines and what they share, rollouts of new versions, and deployments to clouds."""
