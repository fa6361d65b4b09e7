"""Counts false alarms and missed changes of `fastmar drift` on simulated data, and its verdicts by number of rows.

    python -m benchmarks.drift                # prints the tables, and writes docs/images/drift.svg
    python -m benchmarks.drift --runs 20      # fewer runs

Three kinds of data: wide (120 numbers and 80 categories, correlated), narrow (5 numbers and 3 categories) and
categorical (20 columns of up to 400 categories). Numbers are normal, skewed, with many zeros, integers, heavy-tailed,
or have two peaks; some have missing values. A run has its own seed, which draws the data, the rows of the reference and
the live rows. The model is a logistic regression of the columns.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from fastmar_monitor.comparison import Comparer, Comparison, VariableComparison
from fastmar_monitor.verdicts import DRIFT, WATCH
from fastmar_runtime.profiles.building import CHUNKS
from fastmar_runtime.profiles.profile import Profile, Reference
from fastmar_runtime.profiles.variables import CATEGORY, CONFIDENCE, FIELD, PREDICTION, Variable, number_variable

PLOT = Path(__file__).resolve().parents[1] / "docs" / "images" / "drift.svg"
REFERENCE, LIVE = 20_000, 5_000  # rows by default
SHIFT, NEW = 0.5, 0.05  # standard deviations; share of the rows
SIZES = (200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
KINDS = {"wide": (120, 80, 40), "narrow": (5, 3, 40), "categorical": (0, 20, 400)}  # numbers, categories, vocabulary
UNSEEN = -1  # code of a new category
LABELS = ("no", "yes")

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of simulated data: numbers of a shape, or codes of categories with Zipf's frequencies."""

    name: str
    shape: str
    size: int  # of the vocabulary
    missing: float
    loading: float  # correlation with what the columns have in common
    weight: float  # in the model

    def draw(self, common: Values, rng: np.random.Generator) -> Values:
        """Values, with NaN for a missing one."""
        normal = self.loading * common + np.sqrt(1 - self.loading**2) * rng.standard_normal(len(common))
        values = _SHAPES[self.shape](normal, rng) if self.shape != CATEGORY else self._codes(normal)
        values[rng.random(len(values)) < self.missing] = np.nan
        return values

    def _codes(self, normal: Values) -> Values:
        frequencies = 1 / np.arange(1, self.size + 1)
        bounds = np.cumsum(frequencies / frequencies.sum())[:-1]
        return np.searchsorted(bounds, ndtr(normal)).astype(np.float64)  # of the ranks, shares would not vary by chance

    def variable(self, values: Values) -> Variable:
        """Its variable, as `build_reference` makes it."""
        if self.shape != CATEGORY:
            found = number_variable(self.name, FIELD, values)  # type: ignore[arg-type]
            assert found is not None
            return found
        codes, counts = np.unique(values[~np.isnan(values)], return_counts=True)
        frequent = codes[np.argsort(-counts)][:100]
        kept = sorted(code for code in frequent.tolist() if counts[codes == code][0] >= 5)
        return Variable(self.name, FIELD, CATEGORY, categories=tuple(kept), known=tuple(map(float, range(self.size))))


_SHAPES: dict[str, Callable[[Values, np.random.Generator], Values]] = {
    "normal": lambda normal, _: normal.copy(),
    "skewed": lambda normal, _: np.exp(normal),
    "zeros": lambda normal, rng: np.where(rng.random(len(normal)) < 0.9, 0.0, np.exp(normal + 7)),
    "integers": lambda normal, _: np.round(38 + 13 * normal),
    "counts": lambda normal, rng: rng.poisson(np.exp(0.5 * normal + 1)).astype(np.float64),
    "heavy": lambda normal, rng: normal / np.sqrt(rng.chisquare(3, len(normal)) / 3),
    "peaks": lambda normal, rng: normal + 4 * (rng.random(len(normal)) < 0.3),
}


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of simulated data and the answers of the model."""

    columns: dict[str, Values]
    probabilities: Values


class Data:
    """Simulated data of one seed."""

    def __init__(self, kind: str, seed: int, rows: int) -> None:
        self.rng = np.random.default_rng([seed, *kind.encode()])
        numbers, categories, vocabulary = KINDS[kind]
        shapes = [*([*_SHAPES] * numbers)[:numbers], *[CATEGORY] * categories]
        self.columns = [self._column(at, shape, vocabulary) for at, shape in enumerate(shapes)]
        columns = self._columns(rows)
        self._scale = {name: (np.nanmean(values), np.nanstd(values) or 1) for name, values in columns.items()}
        training = Rows(columns, self._answers(columns))
        fields = [column.variable(columns[column.name]) for column in self.columns]
        confidence = number_variable(CONFIDENCE, CONFIDENCE, _confidence(training.probabilities).tolist())
        assert confidence is not None
        label = Variable("label", PREDICTION, CATEGORY, categories=LABELS, known=LABELS)
        self.variables = (*fields, label, confidence)
        self.reference = self._reference(training)

    def _column(self, at: int, shape: str, vocabulary: int) -> Column:
        rng = self.rng
        missing = rng.choice([0.0, 0.0, 0.02, 0.2])
        size = int(rng.integers(2, vocabulary + 1))
        return Column(f"{shape}_{at}", shape, size, missing, rng.uniform(0, 0.8), rng.normal() / 2)

    def draw(self, rows: int) -> Rows:
        """New rows."""
        columns = self._columns(rows)
        return Rows(columns, self._answers(columns))

    def _columns(self, rows: int) -> dict[str, Values]:
        common = self.rng.standard_normal(rows)
        return {column.name: column.draw(common, self.rng) for column in self.columns}

    def change(self, rows: Rows) -> tuple[Rows, set[str]]:
        """`rows` with one column shifted and one with a new category, and the names of the columns."""
        numbers = [column.name for column in self.columns if column.shape != CATEGORY]
        categories = [column.name for column in self.columns if column.shape == CATEGORY]
        columns, changed = dict(rows.columns), set()
        if numbers:
            name = str(self.rng.choice(numbers))
            step = SHIFT * np.nanstd(columns[name])
            is_whole = name.startswith(("integers", "counts"))
            columns[name] = columns[name] + (np.ceil(step) if is_whole else step)
            changed.add(name)
        name = str(self.rng.choice(categories))
        is_new = self.rng.random(len(columns[name])) < NEW
        columns[name] = np.where(is_new, UNSEEN, columns[name])
        return Rows(columns, self._answers(columns)), changed | {name}

    def profile(self, rows: Rows, part: slice = slice(None)) -> Profile:
        """The profile of rows."""
        answers = rows.probabilities[part]
        counts = [np.bincount(slots, minlength=variable.size) for variable, slots in self._slots(rows, part)]
        return Profile(self.variables, len(answers), tuple(counts))

    def _slots(self, rows: Rows, part: slice = slice(None)) -> Iterator[tuple[Variable, npt.NDArray[np.intp]]]:
        answers = rows.probabilities[part]
        for variable in self.variables:
            if variable.source == PREDICTION:
                yield variable, 3 + (answers > 0.5).astype(np.intp)
            elif variable.source == CONFIDENCE:
                yield variable, variable.slots(_confidence(answers))  # type: ignore[arg-type]
            elif variable.kind == CATEGORY:
                yield variable, _category_slots(variable, rows.columns[variable.name][part])
            else:
                yield variable, variable.slots(rows.columns[variable.name][part])  # type: ignore[arg-type]

    def _reference(self, rows: Rows) -> Reference:
        means = []
        for variable, slots in self._slots(rows):
            with np.errstate(invalid="ignore"):
                mean = np.bincount(slots, rows.probabilities, variable.size) / np.bincount(slots, None, variable.size)
            mean = mean if variable.source == FIELD else np.full(variable.size, np.nan)
            means.append(np.column_stack([1 - mean, mean]))
        bounds = np.linspace(0, len(rows.probabilities), CHUNKS + 1).astype(int).tolist()
        chunks = tuple(self.profile(rows, slice(*pair)) for pair in pairwise(bounds))
        return Reference(self.profile(rows), chunks, LABELS, tuple(means), (float(rows.probabilities.std()),) * 2)

    def _answers(self, columns: dict[str, Values]) -> Values:
        total = np.zeros(len(next(iter(columns.values()))))
        for column in self.columns:
            mean, deviation = self._scale[column.name]
            values = np.where(columns[column.name] == UNSEEN, np.nan, columns[column.name])
            total += column.weight * np.nan_to_num((values - mean) / deviation)
        return 1 / (1 + np.exp(-total / np.sqrt(len(self.columns))))


def _category_slots(variable: Variable, values: Values) -> npt.NDArray[np.intp]:
    """`Variable.slots` for an array."""
    size = len(variable.known)
    slots = np.full(size + 2, 2)  # of each code; the last two are for unseen and missing values
    slots[np.array(variable.categories, int)] = np.arange(3, variable.size)
    slots[size:] = 1, 0
    codes = np.where(values == UNSEEN, size, np.nan_to_num(values, nan=size + 1))
    return slots[codes.astype(int)]


def _confidence(probabilities: Values) -> Values:
    return np.maximum(probabilities, 1 - probabilities)


def _named(comparisons: Sequence[VariableComparison]) -> list[str]:
    """What the report names, in its order."""
    return [each.variable.name for each in comparisons if each.verdict in (WATCH, DRIFT)]


def unchanged(task: tuple[str, int, int, int]) -> list[str]:
    """The false alarms of one run: kind, seed, rows of the reference, live rows."""
    *simulated, live = task
    data = Data(*simulated)
    comparison = Comparer(data.reference).compare(data.profile(data.draw(live)))
    return _named((*comparison.fields, *comparison.answers))


def changed(task: tuple[str, int, int, int]) -> tuple[bool, bool, bool]:
    """Of one run: whether all changes are named first, whether no other field is named, whether the verdict is drift.

    The prediction may be named, since it really changes.
    """
    *simulated, live = task
    data = Data(*simulated)
    rows, names = data.change(data.draw(live))
    comparison = Comparer(data.reference).compare(data.profile(rows))
    named = _named(comparison.fields)
    return set(named[: len(names)]) == names, set(named) <= names, comparison.verdict == DRIFT


def by_size(task: tuple[int, int]) -> list[tuple[str, int, str, float]]:
    """Verdicts and PSI of one seed and one number of rows: (case, rows, verdict, PSI beyond chance)."""
    seed, size = task
    rng = np.random.default_rng([seed, size])
    training = rng.standard_normal(REFERENCE)
    variable = number_variable("x", FIELD, training)  # type: ignore[arg-type]
    assert variable is not None
    codes = rng.choice(20, REFERENCE, p=_zipf(20)).astype(float)
    known = tuple(map(float, range(20)))
    category = Variable("c", FIELD, CATEGORY, categories=known, known=known)
    found = []
    for case, (shift, new) in CASES.items():
        if new:
            live = rng.choice(20, size, p=_zipf(20)).astype(float)
            live[rng.random(size) < new] = UNSEEN
            slots = lambda values: _category_slots(category, values)  # noqa: E731
            comparison = _single(category, slots, codes, live)
        else:
            comparison = _single(variable, variable.slots, training, rng.standard_normal(size) + shift)
        [field] = comparison.fields
        found.append((case, size, field.verdict, field.excess.psi if field.excess else 0.0))
    return found


CASES = {
    "no change": (0.0, 0.0),
    "shift of 0.1 deviations": (0.1, 0.0),
    "shift of 0.25 deviations": (0.25, 0.0),
    "shift of 0.5 deviations": (0.5, 0.0),
    "new category, 1% of rows": (0.0, 0.01),
    "new category, 5% of rows": (0.0, 0.05),
}


def _zipf(size: int) -> Values:
    frequencies = 1 / np.arange(1, size + 1)
    return frequencies / frequencies.sum()


def _single(variable: Variable, slots: Callable[[Any], Any], training: Values, live: Values) -> Comparison:
    def profile(values: Values) -> Profile:
        return Profile((variable,), len(values), (np.bincount(slots(values), minlength=variable.size),))

    chunks = tuple(map(profile, np.array_split(training, CHUNKS)))
    return Comparer(Reference(profile(training), chunks)).compare(profile(live))


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate, print the tables, and write the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="without changes; half as many with them (default: 200)")
    parser.add_argument("--size-runs", type=int, default=20, help="for each number of rows; 0 for none (default: 20)")
    parser.add_argument("--reference", type=int, default=REFERENCE, help="rows (default: %(default)s)")
    parser.add_argument("--live", type=int, default=LIVE, help="rows (default: %(default)s)")
    args = parser.parse_args(argv)
    with ProcessPoolExecutor() as pool:
        print(f"{args.reference:,} rows of the reference, {args.live:,} live rows\n")
        print("| data | unchanged: alarms | changed: all named first | no other field named | verdict drift |")
        print("| --- | --: | --: | --: | --: |")
        for kind in KINDS:
            sizes = args.reference, args.live
            alarms = list(filter(None, pool.map(unchanged, [(kind, seed, *sizes) for seed in range(args.runs)])))
            seeds = range(args.runs, args.runs + args.runs // 2)
            results = list(pool.map(changed, [(kind, seed, *sizes) for seed in seeds]))
            counts = [f"{sum(column)} of {len(results)}" for column in zip(*results, strict=True)]
            print(f"| {kind} | {len(alarms)} of {args.runs} | {' | '.join(counts)} |", flush=True)
        tasks = [(seed, size) for size in SIZES for seed in range(args.size_runs)]
        found = [each for group in pool.map(by_size, tasks) for each in group]
    if found:
        _print_sizes(found)
        _plot(found, PLOT)


def _print_sizes(found: list[tuple[str, int, str, float]]) -> None:
    print(f"\n| rows | {' | '.join(CASES)} |")
    print(f"| --: |{' --- |' * len(CASES)}")
    for size in SIZES:
        cells = []
        for case in CASES:
            verdicts = Counter(verdict for name, rows, verdict, _ in found if (name, rows) == (case, size))
            cells.append(", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common()))
        print(f"| {size:,} | {' | '.join(cells)} |")


def _plot(found: list[tuple[str, int, str, float]], path: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - slow to import

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "fastmar"  # the same file from the same figures
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axis = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for case in CASES:
        values = [[psi for name, rows, _, psi in found if (name, rows) == (case, size)] for size in SIZES]
        [line] = axis.plot(SIZES, [np.median(each) for each in values], marker="o", markersize=3, label=case)
        low, high = [min(each) for each in values], [max(each) for each in values]
        axis.fill_between(SIZES, low, high, alpha=0.15, color=line.get_color())
    axis.set_xscale("log")
    axis.set_yscale("symlog", linthresh=0.01)
    axis.axhline(0.1, color="grey", linewidth=0.8, linestyle="--")
    axis.axhline(0.25, color="grey", linewidth=0.8, linestyle="--")
    axis.set_xlabel("rows")
    axis.set_ylabel("PSI beyond chance: median, range")
    axis.set_ylim(0, 1)
    figure.legend(fontsize=7, ncols=3, loc="outside upper center")
    figure.savefig(path, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
