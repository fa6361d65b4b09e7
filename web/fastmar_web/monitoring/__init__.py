"""The monitoring page of a model: its traffic, the drift of its records, unknown categories, and deployments."""
