"""Names and defaults of the profiles that workers report."""

from __future__ import annotations

ROWS = "fastmar_profile_rows_total"
COUNTS = "fastmar_profile_values_total"
SHARES = "fastmar_profile_reference_share"
"""Names of the metrics: counted records; values by variable and slot; and shares of the values in the reference."""

PERIOD = 30.0
"""Default seconds between two reports of a worker."""
