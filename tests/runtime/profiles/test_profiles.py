"""Profiles: each value has one slot, sums of parts are the whole, and JSON is read as written."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runtime import tiny, tiny_language, tiny_pictures

from fastmar_contract.errors import RecordError
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.profiles.building import build_reference, chunk_pairs, vocabularies
from fastmar_runtime.profiles.counting import PENDING, Counter
from fastmar_runtime.profiles.profile import Profile, empty, read_reference
from fastmar_runtime.profiles.reporting import MAX_SERIES, Reporter, label_names
from fastmar_runtime.profiles.variables import FIELD, RARE, Variable, category_variable, number_variable

NUMBERS = st.floats(-1e6, 1e6) | st.integers(-5, 5)


@given(st.lists(NUMBERS | st.none(), min_size=1, max_size=60), st.lists(NUMBERS | st.none(), max_size=30))
def test_each_number_is_in_the_bin_with_its_bounds(reference: list[Any], values: list[Any]) -> None:
    variable = number_variable("x", FIELD, reference)
    if variable is None:
        assert not any(value is not None for value in reference)
        return
    assert variable.count(reference)[[1, -1]].tolist() == [0, 0], "no value of the reference is outside of the bins"
    bounds = [-np.inf, *variable.edges, np.inf]
    for value, slot in zip(values, variable.slots(values).tolist(), strict=True):
        if value is None:
            assert slot == 0
        else:
            assert bounds[slot - 1] <= value < bounds[slot]
    assert len(variable.labels()) == variable.size


def test_bins_have_equal_counts_in_the_reference() -> None:
    values = np.random.default_rng(0).normal(size=5000).tolist()
    variable = number_variable("x", FIELD, values)
    assert variable is not None
    assert variable.count(values)[2:-1].tolist() == pytest.approx([500] * 10, abs=2)


def test_few_distinct_numbers_have_a_bin_each() -> None:
    variable = number_variable("x", FIELD, [1, 2, 2, 5] * 10)
    assert variable is not None
    assert variable.count([1, 2, 2, 5, 0, 6, None]).tolist() == [1, 1, 1, 2, 1, 1]


def test_rare_and_unknown_categories() -> None:
    values = ["a"] * 50 + ["b"] * (RARE - 1) + [None] * 3
    variable = category_variable("x", FIELD, values, ["b", "a", "c"])
    assert variable.categories == ("a",)
    assert dict(zip(variable.labels(), variable.count([*values, "c", "z"]).tolist(), strict=True)) == {
        "missing": 3, "unseen": 1, "other": RARE, "a": 50,
    }  # fmt: skip
    assert "b" not in json.dumps(variable.as_dict()), "a rare category may be personal"


AGES = [tiny.record(age=age) for age in range(500)]
RECORDS = [tiny.record(), tiny.record(age=None), tiny.record(workclass="Nobody"), *AGES]


def reference_of(records: Sequence[Any], model: Any = None) -> Any:
    predictor = model or tiny.predictor()
    return build_reference(predictor, [records[start : start + 70] for start in range(0, len(records), 70)])


def test_a_counter_counts_what_the_reference_counts() -> None:
    predictor = tiny.predictor()
    reference = reference_of(RECORDS)
    counter = Counter(reference.profile.variables)
    for start in range(0, len(RECORDS), 7):
        answers = predictor.predict(RECORDS[start : start + 7], counter.prepared)
        counter.answered(answers)
    profile = counter.take()
    assert profile.rows == reference.profile.rows == len(RECORDS)
    for variable, ours, theirs in zip(profile.variables, profile.counts, reference.profile.counts, strict=True):
        assert ours.tolist() == theirs.tolist(), variable
    assert counter.take().rows == 0
    assert sum(counts.sum() for counts in counter.take().counts) == 0


def test_values_that_wait_are_limited() -> None:
    predictor = tiny.predictor()
    counter = Counter(reference_of(RECORDS).profile.variables)
    for _ in range(3 * PENDING // 100):
        counter.answered(predictor.predict(RECORDS[:100], counter.prepared))
        assert len(counter._answered) < PENDING
        assert sum(len(batch["age"]) for batch in counter._batches) < PENDING


def test_refused_records_are_not_counted() -> None:
    predictor = tiny.predictor()
    counter = Counter(reference_of(RECORDS).profile.variables)
    counter.answered(predictor.predict([tiny.record(), {}, tiny.record()], counter.prepared))
    profile = counter.take()
    assert profile.rows == 2
    assert {counts.sum() for counts in profile.counts} == {2}


def test_profiles_add_up() -> None:
    reference = reference_of(RECORDS)
    total = empty(reference.profile.variables)
    for chunk in reference.chunks:
        total = total + chunk
    assert total.rows == reference.profile.rows
    assert all((ours == theirs).all() for ours, theirs in zip(total.counts, reference.profile.counts, strict=True))
    for chunk, rest in chunk_pairs(reference):
        assert (chunk + rest).rows == total.rows
    with pytest.raises(ValueError, match="variables"):
        total + Profile(total.variables[1:], 1, total.counts[1:])


MODELS: dict[str, tuple[Any, list[Any]]] = {
    "a table": (tiny.predictor(), RECORDS),
    "pictures": (tiny_pictures.predictor(), [{"image": {"b64": tiny_pictures.b64(tiny_pictures.picture())}}] * 5),
    "texts": (tiny_language.predictor(), ["it was good", "was", "unknown it"] * 40),
}


@pytest.mark.parametrize("name", MODELS)
def test_json_is_read_as_written(name: str) -> None:
    predictor, records = MODELS[name]
    reference = reference_of(records, predictor)
    written = json.loads(json.dumps(reference.as_dict()))
    again = read_reference(written, vocabularies(predictor.spec))
    assert again.as_dict() == reference.as_dict()
    assert again.digest == reference.digest
    assert again.profile.variables == reference.profile.variables
    assert [variable.source for variable in again.profile.variables].count("prediction") <= 1


def test_measures_of_texts_and_pictures() -> None:
    texts = {v.name: v for v in reference_of(*reversed(MODELS["texts"])).profile.variables}
    assert {"tokens", "share of unknown tokens", "token", "confidence"} <= texts.keys()
    pictures = {v.name for v in reference_of(*reversed(MODELS["pictures"])).profile.variables}
    assert {"width", "height", "aspect ratio", "brightness", "contrast", "sharpness"} <= pictures


def test_means_are_those_of_the_answers() -> None:
    predictor = tiny.predictor()
    reference = reference_of(RECORDS)
    at = next(at for at, variable in enumerate(reference.profile.variables) if variable.name == "age")
    answers = predictor.predict(RECORDS)
    missing = [answer for answer, record in zip(answers, RECORDS, strict=True) if record["age"] is None]
    [first] = missing
    expected = list(first["probabilities"].values()) if "probabilities" in first else [first["prediction"]]
    assert reference.means[at][0].tolist() == pytest.approx(expected)
    assert len(reference.deviations) == len(reference.outcomes)


def test_without_answers_there_is_no_reference() -> None:
    assert reference_of([{}, RecordError("x", "y", fix="z")]) is None


REFERENCE = json.loads(json.dumps(reference_of(RECORDS).as_dict()))
BROKEN: dict[str, dict[str, Any]] = {
    "no object": {"format": None},
    "another format": {"format": 2},
    "no variables": {"variables": None},
    "a repeated variable": {"variables": REFERENCE["variables"] * 2},
    "decreasing edges": {"variables": [{"name": "x", "source": "field", "kind": "number", "edges": [2, 1]}]},
    "infinite edges": {"variables": [{"name": "x", "source": "field", "kind": "number", "edges": [1, 1e999]}]},
    "an unknown source": {"variables": [{"name": "x", "source": "file", "kind": "category", "categories": []}]},
    "an unknown kind": {"variables": [{"name": "x", "source": "field", "kind": "date", "categories": []}]},
    "lists as categories": {"variables": [{"name": "x", "source": "field", "kind": "category", "categories": [[]]}]},
    "too few counts": {"counts": REFERENCE["counts"][1:]},
    "negative counts": {"counts": [[-1] * len(counts) for counts in REFERENCE["counts"]]},
    "texts as counts": {"counts": "abc"},
    "other means": {"means": REFERENCE["means"][:-1]},
    "uneven means": {"means": [[[1.0], [1.0, 2.0]]]},
    "broken chunks": {"chunks": [{"rows": 1, "counts": []}]},
}


@pytest.mark.parametrize("name", BROKEN)
def test_damaged_profiles_are_refused(name: str) -> None:
    read_reference(REFERENCE, vocabularies(tiny.spec()))
    with pytest.raises(BundleUnreadable):
        read_reference({**REFERENCE, **BROKEN[name]}, vocabularies(tiny.spec()))


class Metric:
    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], float] = {}

    def add_or_update(self, value: float, dimension_values: list[str]) -> None:
        key = tuple(dimension_values)
        self.values[key] = self.values.get(key, 0) + value


KILLED: list[str] = []  # models whose previous worker was killed


def reporter(folder: Path | None = None, **changes: Any) -> tuple[Reporter, Metric, Metric]:
    rows, values, shares = Metric(), Metric(), Metric()
    reference = reference_of(RECORDS)
    if changes:
        reference = replace(reference, **changes)
    declared: Any = {"fastmar_profile_rows_total": rows, "fastmar_profile_values_total": values}
    declared["fastmar_profile_reference_share"] = shares
    return Reporter(reference, ("a model", "1.0"), declared, "0", folder, 3600.0, KILLED.append), rows, values


def test_reports(tmp_path: Path) -> None:
    reports, rows, values = reporter(tmp_path / "profiles")
    predictor = tiny.predictor()
    for _ in range(2):
        reports.answered(predictor.predict(RECORDS, reports.prepared))
        reports.report()
    reports.report()  # nothing new
    reports.answered(predictor.predict(RECORDS[:3], reports.prepared))
    reports.close()
    reports.close()
    [path] = (tmp_path / "profiles").iterdir()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["rows"] for line in lines] == [len(RECORDS), len(RECORDS), 3]
    assert [line.get("last") for line in lines] == [None, None, True]
    assert not any("after_kill" in line for line in lines)
    assert lines[0]["end"] <= lines[1]["start"]
    assert (lines[0]["model"], lines[0]["version"], lines[0]["worker"]) == ("a model", "1.0", "0")
    assert rows.values == {("a_model", "1.0"): 2 * len(RECORDS) + 3}
    ages = {key[3]: value for key, value in values.values.items() if key[2] == "field.age"}
    variables = reference_of(RECORDS).profile.variables
    at = next(at for at, variable in enumerate(variables) if variable.name == "age")
    assert "missing" in ages
    assert ages == {
        key: sum(line["counts"][at][slot] for line in lines) for slot, key in enumerate(variables[at].keys())
    }


@pytest.mark.parametrize(
    ("process", "content", "is_reported"),
    [
        ("4194305", b'{"rows":3}\n', True),  # above the largest process number of Linux
        ("4194305", b'{"rows":3}\n{"rows":1,"la', True),
        ("4194305", b'{"rows":3}\n{"rows":0,"last":true}\n', False),
        (str(os.getppid()), b'{"rows":3}\n', False),  # another server that runs
    ],
    ids=["killed", "killed while it wrote", "stopped", "running"],
)
def test_a_killed_worker_is_reported_by_the_next(
    tmp_path: Path, process: str, content: bytes, is_reported: bool
) -> None:
    KILLED.clear()
    (tmp_path / f"a_model_1.0_20260301_{socket.gethostname()}_0_{process}.jsonl").write_bytes(content)
    (tmp_path / f"a_model_1.0_20260301_{socket.gethostname()}_1_4194305.jsonl").write_bytes(b"{}")  # another worker's
    reports, *_ = reporter(tmp_path)
    reports.answered(tiny.predictor().predict(RECORDS[:3], reports.prepared))
    reports.report()
    reports.close()
    [path] = tmp_path.glob(f"*_{os.getpid()}.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["rows"] for line in lines] == [3, 0]
    assert [line.get("after_kill") for line in lines] == [is_reported or None, None]
    assert ["a model 1.0"] * is_reported == KILLED


def test_a_folder_that_is_not_writable_fails_no_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    reports, rows, _ = reporter(tmp_path / "file")
    reports.answered(tiny.predictor().predict(RECORDS[:3], reports.prepared))
    reports.close()
    assert "can't be written" in caplog.text
    assert list(rows.values.values()) == [3]


def test_names_of_metrics_are_distinct_and_limited() -> None:
    variables = [Variable(name, FIELD, "category") for name in ("a b", "a/b", "a_b", "c")]
    names = label_names(variables)
    assert len(set(names)) == 4
    assert names[-1] == "field.c"
    assert all(" " not in name and "/" not in name for name in names)
    assert MAX_SERIES >= 1000


def test_values_belong_to_their_answers() -> None:
    """Texts of different lengths go through the graph in other groups, the longest ones first."""
    decode = {name: value for name, value in tiny_language.spec().decode.items() if name != "top"}
    predictor = tiny_language.predictor(decode=decode)
    short, long = "it", " ".join(["was"] * 30)
    reference = reference_of([short, long] * 20, predictor)
    at = next(at for at, variable in enumerate(reference.profile.variables) if variable.name == "tokens")
    slots = reference.profile.variables[at].slots([1, 30]).tolist()
    for slot, text in zip(slots, (short, long), strict=True):
        [output] = predictor.run(predictor.preprocess([text])[0])
        probabilities = np.exp(output) / np.exp(output).sum()
        assert reference.means[at][slot].tolist() == pytest.approx(probabilities.tolist(), abs=1e-5)
