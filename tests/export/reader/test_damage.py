"""Damaged files: each must be read or refused, without any other error."""

from __future__ import annotations

import contextlib
import datetime as dt
import pickle
import pickletools
from collections import Counter, OrderedDict, defaultdict, deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.export.errors import raises
from tests.export.reader.conftest import COOKBOOK, torch_zip
from tests.export.reader.mutate import mutant, outcome

from fastmar_export.errors import NotALearner, UnreadableFile
from fastmar_export.reader import read_learner_file, read_torch_file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damage")


def test_mutants_of_a_learner_are_read_or_refused(learners: Path, folder: Path) -> None:
    source = COOKBOOK if COOKBOOK.exists() else learners / "tabular.pkl"
    data = source.read_bytes()
    failures = {}
    for seed in range(150):
        name, changed = mutant(data, seed)
        (folder / "mutant.pkl").write_bytes(changed)
        result = outcome(folder / "mutant.pkl")
        if result not in ("read", "refused"):
            failures[name] = result
    assert failures == {}


@given(st.binary(max_size=400))
def test_random_files_are_refused(folder: Path, content: bytes) -> None:
    path = folder / "random.pkl"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile):
        read_learner_file(path)


OPCODES = [opcode.code.encode("latin1") for opcode in pickletools.opcodes]


@given(st.lists(st.sampled_from(OPCODES) | st.binary(max_size=3), max_size=60))
def test_random_opcodes_are_read_or_refused(folder: Path, pieces: list[bytes]) -> None:
    path = folder / "opcodes.pkl"
    path.write_bytes(torch_zip(b"".join(pieces) + b"."))
    with contextlib.suppress(UnreadableFile, NotALearner):
        read_learner_file(path)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
keys = st.text() | st.integers(-(2**63), 2**63) | st.tuples(st.integers(0, 9), st.text())
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner) | st.sets(keys),
    max_leaves=20,
)


@given(plain, st.integers(0, 5))
def test_plain_data_is_read_unchanged(folder: Path, thing: Any, protocol: int) -> None:
    path = folder / "plain.pkl"
    path.write_bytes(torch_zip(pickle.dumps(thing, protocol)))
    assert read_torch_file(path).root == thing


VALUES = [
    OrderedDict(a=1), defaultdict(list, {"a": 1}), Counter("aab"), deque([1, 2]), slice(1, None, 2), range(3), 1 + 2j,
    bytearray(b"ab"), b"", frozenset({1, 2}), dt.date(2020, 1, 2), dt.time(3, 4), dt.datetime(2020, 1, 2, 3, 4, 5, 6),
    dt.datetime(2020, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))), dt.timedelta(1, 2, 3), np.float32(1.5),
    np.int64(-3), np.bool_(True), np.str_("ab"), np.datetime64("2020-01-02", "ns"), np.timedelta64(3, "25s"),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_values_that_pickles_write_as_calls(value: Any, protocol: int, folder: Path) -> None:
    path = folder / "value.pkl"
    path.write_bytes(torch_zip(pickle.dumps(value, protocol)))
    file = read_torch_file(path)
    assert file.root == (list(value) if isinstance(value, deque) else value)
    assert type(file.root) is {OrderedDict: dict, defaultdict: dict, Counter: dict, deque: list}.get(
        type(value), type(value)
    )
    assert file.calls == []


ARRAYS = [
    np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3)), np.array(["a", "bcd"]),
    np.array([b"a", b"bc"]), np.array([1, 2], dtype=">i4"), np.array(["a", 1, None, (2,)], dtype=object),
    np.array([True, False]), np.array(["2020-01-02"], dtype="M8[D]"), np.zeros((0, 3)), np.float16([1]), np.array(3.0),
]  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
@pytest.mark.parametrize("protocol", [2, 5])
def test_arrays(array: Any, protocol: int, folder: Path) -> None:
    path = folder / "array.pkl"
    pickled = pickle.dumps(array, protocol)
    path.write_bytes(torch_zip(pickled))
    read, loaded = read_torch_file(path).root, pickle.loads(pickled)
    assert read.dtype == loaded.dtype  # numpy may convert big-endian arrays
    assert read.shape == loaded.shape
    assert (read == loaded).all()


def test_arrays_with_fields_are_refused(folder: Path) -> None:
    path = folder / "fields.pkl"
    path.write_bytes(torch_zip(pickle.dumps(np.zeros(2, dtype=[("a", "f4")]), 2)))
    with raises(UnreadableFile, "unsupported_dtype"):
        read_torch_file(path)
