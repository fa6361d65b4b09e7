"""Profiles: counts of values in fixed bins, to compare the data of a model's requests with its training data.

A profile has no records and no values, only counts. Profiles with the same variables are added, so that those of
several workers, servers and hours give one profile of all records.
"""

ROWS = "fastmar_profile_rows_total"
COUNTS = "fastmar_profile_values_total"
SHARES = "fastmar_profile_reference_share"
"""Names of the metrics: counted records; values by variable and slot; and shares of the values in the reference."""

PERIOD = 30.0
"""Default seconds between two reports of a worker."""
