"""Checks of a deployment that a person may waive by name (`fastmar deploy --accept NAME`)."""

BREAKING_CHANGES, NEW_ERRORS = "breaking-changes", "new-errors"
ACCEPTABLE = (BREAKING_CHANGES, NEW_ERRORS)
