"""The snapshot of all texts is that of the code."""

from __future__ import annotations

from tests.messages import FILE, snapshot, texts


def test_the_snapshot_is_up_to_date() -> None:
    assert FILE.read_text("utf-8") == snapshot(), "run python -m tests.messages, and read the difference in git"


def test_what_counts_as_a_text() -> None:
    source = '''
"""This docstring is no text."""
short = "two words"
message = f"the column {name!r} has no value."
fix = "send a value " "for the column."
html = "<p>not a single sentence</p>"
'''
    assert texts(source) == ["send a value for the column.", "the column {} has no value."]
