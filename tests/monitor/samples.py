"""A small model with a reference profile, its records, and profiles that are made from slot counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from fastmar_contract.members import PROFILE
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.profiles.building import build_reference
from fastmar_runtime.profiles.counting import Counter
from fastmar_runtime.profiles.profile import Profile, Reference
from fastmar_runtime.profiles.variables import CATEGORY, FIELD, Variable, number_variable
from tests.runtime import tiny, tiny_pictures

ROWS = 4000


def records(rows: int, seed: int, shift: float = 0.0, new: float = 0.0) -> list[dict[str, Any]]:
    """Records of the tiny model; `shift` in deviations of age, `new` is the share of a new workclass."""
    rng = np.random.default_rng(seed)
    ages, hours = 40 + 10 * (rng.standard_normal(rows) + shift), 38 + 8 * rng.standard_normal(rows)
    classes = np.where(rng.random(rows) < new, "moon", rng.choice([" Private", " State-gov"], rows, p=[0.8, 0.2]))
    grades, vips = rng.choice([3, 7, 11], rows, p=[0.5, 0.3, 0.2]), rng.random(rows) < 0.3
    columns = [column.tolist() for column in (classes, grades, vips, ages, hours)]
    return [
        dict(zip(("workclass", "grade", "vip", "age", "hours"), row, strict=True)) for row in zip(*columns, strict=True)
    ]


def archive(folder: Path) -> Path:
    """A bundle with a profile."""
    path = tiny.write_bundle(folder)
    add_profile(path, Predictor.open(path), records(ROWS, 0))
    return path


def picture_archive(folder: Path) -> Path:
    """A bundle that knows nothing about its training data."""
    tiny.write_files(folder, tiny_pictures.spec(), tiny_pictures.graph(), tiny.golden(tiny.predictor()))
    return folder


def add_profile(path: Path, predictor: Predictor, training: Sequence[Any]) -> None:
    """Write the profile of `training` into a bundle."""
    found = build_reference(predictor, [training])
    assert found is not None
    (path / PROFILE).write_bytes(orjson.dumps(found.as_dict()))


def number(name: str = "x", values: Any = None) -> Variable:
    """A variable of normal numbers."""
    found = number_variable(name, FIELD, np.random.default_rng(0).standard_normal(20_000) if values is None else values)
    assert found is not None
    return found


def category(name: str = "c", size: int = 5) -> Variable:
    """A variable with categories 0, 1, ..."""
    return Variable(name, FIELD, CATEGORY, categories=tuple(range(size)), known=tuple(range(size)))


def profile(columns: dict[Variable, Any]) -> Profile:
    """The profile of values by variable."""
    rows = len(next(iter(columns.values())))
    return Profile(tuple(columns), rows, tuple(variable.count(values) for variable, values in columns.items()))


def reference(columns: dict[Variable, Any], chunks: int = 20) -> Reference:
    """The reference of values by variable, in consecutive chunks."""
    parts = {variable: np.array_split(np.asarray(values), chunks) for variable, values in columns.items()}
    found = tuple(profile({variable: split[at].tolist() for variable, split in parts.items()}) for at in range(chunks))
    return Reference(profile(columns), found)


def profile_line(rows: int, seed: int, start: str, **changes: Any) -> bytes:
    """A line of a profile file of the tiny model; `changes` are members of the line, or options of `records`."""
    options = {name: changes.pop(name) for name in ("shift", "new") if name in changes}
    predictor = tiny.predictor()
    found = build_reference(predictor, [records(ROWS, 0)])
    assert found is not None
    counter = Counter(found.profile.variables)
    counter.answered(predictor.predict(records(rows, seed, **options), counter.prepared))
    line = {
        "format": 1,
        "model": "tiny",
        "version": "1.0",
        "digest": found.digest,
        "host": "one",
        "worker": "1",
        "start": start,
        "end": start,
        **counter.take().as_dict(),
    }
    return orjson.dumps(line | changes) + b"\n"
