"""Tables of records: upload, checks, scoring in the background, and the page of the answers."""
