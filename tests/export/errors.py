"""An assertion on errors: their class, their code, and facts in their message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fastmar_contract.errors import FastmarError


@contextmanager
def raises(kind: type[FastmarError], code: str | None = None, *facts: str) -> Iterator[Any]:
    """Expect an error of `kind` with `code` (by default that of the class), `facts` in its message, and a fix."""
    with pytest.raises(kind) as caught:
        yield caught
    error = caught.value
    assert error.code == (code or kind.code), error
    assert error.fix, error
    for fact in facts:
        assert fact in error.message, error
