"""Names of the checks that `fastmar deploy --accept NAME` waives."""

BREAKING_CHANGES, NEW_ERRORS = "breaking-changes", "new-errors"
WAIVABLE = (BREAKING_CHANGES, NEW_ERRORS)
