"""Verdicts: an effect, significance, the noise floor and enough rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastmar_monitor import statistics
from fastmar_monitor.comparison import Comparer, Comparison
from fastmar_monitor.verdicts import DRIFT, MIN_ROWS, NONE, NOT_ENOUGH_DATA, WATCH, Effect, worst
from fastmar_runtime.profiles.building import build_reference
from fastmar_runtime.profiles.counting import Counter
from tests.monitor import samples
from tests.runtime import tiny

NUMBER, CATEGORY = samples.number(), samples.category()


def normal(rows: int, seed: int = 1, shift: float = 0.0) -> list[float]:
    return (np.random.default_rng(seed).standard_normal(rows) + shift).tolist()


def codes(rows: int, seed: int = 1, new: float = 0.0) -> list[int]:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(rows) < new, 99, rng.choice(5, rows, p=[0.4, 0.3, 0.15, 0.1, 0.05])).tolist()


@pytest.fixture(scope="module")
def comparer() -> Comparer:
    return Comparer(samples.reference({NUMBER: normal(20_000, 0), CATEGORY: codes(20_000, 0)}))


def compare(comparer: Comparer, rows: int, shift: float = 0.0, new: float = 0.0, seed: int = 1) -> dict[str, str]:
    live = samples.profile({NUMBER: normal(rows, seed, shift), CATEGORY: codes(rows, seed, new)})
    return {each.variable.name: each.verdict for each in comparer.compare(live).fields}


def test_levels() -> None:
    assert Effect(0.09, 0.09).level() == NONE
    assert Effect(0.11, 0.09).level() == WATCH
    assert Effect(0.09, 0.11).level() == WATCH
    assert Effect(0.11, 0.11).level() == DRIFT
    assert Effect(0.26, 0.09).level() == DRIFT


def test_the_worst_verdict() -> None:
    assert worst([NONE, DRIFT, WATCH]) == DRIFT
    assert worst([NOT_ENOUGH_DATA, NONE]) == NONE
    assert worst([]) == NOT_ENOUGH_DATA


@pytest.mark.parametrize("rows", [MIN_ROWS, 1000, 5000, 100_000, 1_000_000])
def test_no_change_is_no_drift_with_any_number_of_rows(comparer: Comparer, rows: int) -> None:
    assert compare(comparer, rows) == {"x": NONE, "c": NONE}


@pytest.mark.parametrize("rows", [5000, 1_000_000])
def test_a_small_change_is_no_drift_with_any_number_of_rows(comparer: Comparer, rows: int) -> None:
    """It is significant, but the effect is small."""
    assert compare(comparer, rows, shift=0.1, new=0.002) == {"x": NONE, "c": NONE}


@pytest.mark.parametrize("rows", [1000, 5000, 100_000])
def test_a_shift_and_a_new_category_are_drift(comparer: Comparer, rows: int) -> None:
    assert compare(comparer, rows, shift=0.5) == {"x": DRIFT, "c": NONE}
    assert compare(comparer, rows, new=0.05) == {"c": DRIFT, "x": NONE}


def test_a_change_of_one_measure_is_to_be_watched(comparer: Comparer) -> None:
    assert compare(comparer, 100_000, shift=0.28)["x"] == WATCH
    assert compare(comparer, 100_000, new=0.018)["c"] == WATCH


def test_the_effect_of_chance_is_subtracted(comparer: Comparer) -> None:
    live = samples.profile({NUMBER: normal(1000, shift=0.2), CATEGORY: codes(1000)})
    [field] = [each for each in comparer.compare(live).fields if each.variable is NUMBER]
    slots = len(statistics.table(field.reference, field.live).live)
    assert field.effect is not None
    assert field.excess is not None
    assert field.effect.psi - field.excess.psi == pytest.approx((slots - 1) * (1 / 20_000 + 1 / 1000))
    assert 0 < field.excess.js < field.effect.js


def test_few_rows_give_no_verdict(comparer: Comparer) -> None:
    assert set(compare(comparer, MIN_ROWS - 1, shift=3.0).values()) == {NOT_ENOUGH_DATA}
    assert comparer.compare(samples.profile({NUMBER: [], CATEGORY: []})).verdict == NOT_ENOUGH_DATA
    [field, _] = comparer.compare(samples.profile({NUMBER: normal(49), CATEGORY: [0] * 49})).fields
    assert field.reason == "too few records (49 of 200)"


def test_a_small_reference_gives_no_verdict() -> None:
    comparer = Comparer(samples.reference({NUMBER: normal(MIN_ROWS - 1)}, chunks=1))
    comparison = comparer.compare(samples.profile({NUMBER: normal(5000, shift=1.0)}))
    assert comparison.verdict == NOT_ENOUGH_DATA
    assert comparison.fields[0].reason == "too few records of the reference (199 of 200)"


def test_a_variable_without_values_does_not_hide_the_others(comparer: Comparer) -> None:
    live = samples.profile({NUMBER: normal(5000, shift=1.0), CATEGORY: []})
    comparison = comparer.compare(live)
    assert [each.verdict for each in comparison.fields] == [DRIFT, NOT_ENOUGH_DATA]
    assert comparison.verdict == DRIFT


def test_a_change_that_is_usual_among_parts_of_the_reference_is_no_drift() -> None:
    """The mean of each part of the training data differs, as with seasons."""
    shifts = np.repeat(np.random.default_rng(3).normal(0, 0.5, 20), 1000)
    training = (np.array(normal(20_000, 0)) + shifts).tolist()
    variable = samples.number(values=training)
    seasonal = Comparer(samples.reference({variable: training}))
    live = samples.profile({variable: normal(5000, shift=0.5)})
    assert seasonal.compare(live).verdict == NONE
    assert seasonal.compare(samples.profile({variable: normal(5000, shift=3.0)})).verdict == DRIFT
    shuffled = np.random.default_rng(0).permutation(training).tolist()
    assert Comparer(samples.reference({variable: shuffled})).compare(live).verdict == DRIFT


def test_many_variables_do_not_add_up_to_an_alarm() -> None:
    variables = [samples.number(f"x{at}") for at in range(200)]
    training = {variable: normal(2000, at) for at, variable in enumerate(variables)}
    live = {variable: normal(MIN_ROWS, 1000 + at) for at, variable in enumerate(variables)}
    assert Comparer(samples.reference(training)).compare(samples.profile(live)).verdict == NONE


def test_other_variables_are_refused(comparer: Comparer) -> None:
    with pytest.raises(ValueError, match="different variables"):
        comparer.compare(samples.profile({NUMBER: [1.0]}))


@pytest.fixture(scope="module")
def reference() -> Any:
    return build_reference(tiny.predictor(), [samples.records(samples.ROWS, 0)])


class TestModel:
    """With the answers of a model."""

    def compare(self, reference: Any, rows: list[Any]) -> tuple[Comparison, list[dict[str, Any]]]:
        counter, predictor = Counter(reference.profile.variables), tiny.predictor()
        answers = predictor.predict(rows, counter.prepared)
        counter.answered(answers)
        return Comparer(reference).compare(counter.take()), answers

    def test_fields_are_ranked(self, reference: Any) -> None:
        comparison, _ = self.compare(reference, samples.records(5000, 1, shift=0.5, new=0.05))
        assert {each.variable.name for each in comparison.fields[:2]} == {"age", "workclass"}
        assert [each.verdict for each in comparison.fields] == [DRIFT, DRIFT, NONE, NONE, NONE]
        assert comparison.verdict == DRIFT

    def test_the_effect_on_the_prediction(self, reference: Any) -> None:
        """The predicted change of the mean probability is about the real one, since the model is nearly linear."""
        comparison, answers = self.compare(reference, samples.records(5000, 1, shift=0.5))
        _, before = self.compare(reference, samples.records(5000, 1))
        [age] = [each for each in comparison.fields if each.variable.name == "age"]
        change = [np.mean([each["probabilities"][">=50k"] for each in found]) for found in (answers, before)]
        assert age.effect_on_prediction == pytest.approx(abs(change[0] - change[1]), rel=0.25)
        others = [each.effect_on_prediction for each in comparison.fields if each is not age]
        assert max(other or 0 for other in others) < (age.effect_on_prediction or 0) / 3

    def test_as_json(self, reference: Any) -> None:
        comparison, _ = self.compare(reference, samples.records(300, 1, new=0.5))
        found = comparison.as_dict()
        assert (found["verdict"], found["rows"], found["reference_rows"]) == (DRIFT, 300, samples.ROWS)
        first = found["fields"][0]
        assert (first["field"], first["kind"], first["verdict"], first["ks"]) == ("workclass", "category", DRIFT, None)
        assert first["unseen"]["live"] == pytest.approx(0.5, abs=0.1)
        assert found["prediction"]["field"] == "salary"
        assert found["prediction"]["effect_on_prediction"] is None
        assert found["confidence"]["kind"] == "number"
