"""What `pip install 'fastmar[monitoring]'` adds, from the metadata of the installed packages."""

from __future__ import annotations

from importlib.metadata import requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def tree(package: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """The packages that a package with extras needs, directly or not."""
    found: set[str] = set()
    waiting = [(package, extras)]
    seen = set(waiting)
    while waiting:
        name, chosen = waiting.pop()
        for requirement in map(Requirement, requires(name) or []):
            marker = requirement.marker
            if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in (*chosen, "")):
                continue
            found.add(canonicalize_name(requirement.name))
            further = (requirement.name, frozenset(requirement.extras))
            if further not in seen:
                seen.add(further)
                waiting.append(further)
    return found


def test_the_extra_adds_three_packages() -> None:
    base = tree("fastmar")
    assert "numpy" in base
    assert tree("fastmar", frozenset({"monitoring"})) - base == {"scipy", "pyarrow", "fsspec"}
    assert {"requests", "urllib3"} <= tree("fastmar", frozenset({"client"})) - base
