"""Dates that add_datepart replaced before training: answers for a date equal fastai's answers for its parts."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastai.tabular.all import Categorify, FillMissing, RegressionBlock, add_datepart, cont_cat_split, tabular_config
from tests.export.tables import ROWS, Case, as_record, make_learner, table
from tests.export.test_tabular_parity import TOLERANCE, exported, fastai_answer
from tests.runtime.tiny import DATE_PARTS, date_spec

from fastmar_contract.date_parts import date_of
from fastmar_contract.values import DATE
from fastmar_export.exporter import ExportResult, Options, export_learner
from fastmar_export.modalities.tabular import MODALITY
from fastmar_export.modalities.tabular.converters.add_datepart import add_datepart as steps_for
from fastmar_export.modalities.tabular.converters.add_datepart import parts_without_date
from fastmar_export.modalities.tabular.golden import golden_records
from fastmar_monitor.drift import measure
from fastmar_monitor.verdicts import NONE
from fastmar_runtime.operations.explainer import EXPLAIN
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.profiles.profile import Profile
from fastmar_runtime.profiles.reporting import reference_of
from fastmar_runtime.profiles.variables import FIELD, NUMBER
from fastmar_runtime.spec import Field

DAYS = np.random.default_rng(4).permutation(np.arange(ROWS) / ROWS)  # positions in a span of dates, from 0 to 1
NO_STATISTICS: dict[str, Any] = {
    "procs": [Categorify, FillMissing],
    "learner": {"config": tabular_config(use_bn=False, bn_cont=False)},
}


def days(first: str, count: int) -> pd.Series:
    return pd.Series(pd.Timestamp(first) + pd.to_timedelta((DAYS * count).astype(int), unit="D"))


def date_case(dates: Any, y: str = "label", without: tuple[str, ...] = (), **others: Any) -> Case:
    """A case with the `saledate` `dates`, and with columns by fastai's `cont_cat_split`; some may be left out."""

    def change(df: pd.DataFrame) -> pd.DataFrame:
        df = df[["size", "label", "price"]].assign(saledate=dates)
        return add_datepart(df.rename(columns={"price": "sale"}), "saledate").drop(columns=[*without])

    numbers, categories = cont_cat_split(change(table()), dep_var=["label", "sale"])
    return Case(cats=categories, conts=numbers, y=y, change=change, **others)


def train_and_export(case: Case, folder: Path) -> tuple[ExportResult, Predictor, Any, pd.DataFrame]:
    learn, df = make_learner(case)
    result, predictor = exported(learn, folder)
    return result, predictor, learn, df


def divisor(result: ExportResult) -> int:
    [step] = [step for step in result.spec.steps if step["step"] == "add_datepart"]
    return int(step["elapsed_divisor"]) if "Elapsed" in step["parts"] else 0


def divisor_from_statistics(case: Case) -> int:
    """The divisor, from the statistics that Normalize and Categorify would compute for a case's table."""
    df = case.change(table())
    typical = {name: (float(df[name].mean()), float(df[name].std(ddof=0))) for name in case.conts}
    vocabularies = {name: sorted(df[name].unique().tolist()) for name in case.cats}
    [step] = steps_for([*case.cats, *case.conts], ["label"], typical, vocabularies)
    return int(step["elapsed_divisor"]) if "Elapsed" in step["parts"] else 0


def assert_dates_answer_as_fastai(
    case: Case, dates: pd.Series, folder: Path, seconds: int, *, send: tuple[str, ...] = ()
) -> ExportResult:
    """Compare answers for every 17th date, sent with the columns `send`, with `learn.predict` for its parts."""
    result, predictor, learn, df = train_and_export(case, folder)
    assert divisor(result) == seconds
    for index in range(0, ROWS, 17):
        row = df.iloc[index][[*case.cats, *case.conts]].to_dict()
        whole = {name: value for name, value in as_record(row).items() if name in ("size", *send)}
        [answer] = predictor.predict([whole | {"saledate": pd.Timestamp(dates[index]).isoformat()}])
        assert answer.get("warnings") == [], answer
        _, theirs = fastai_answer(learn, row)
        ours = list(answer["probabilities"].values()) if "probabilities" in answer else answer["prediction"]
        assert np.abs(np.atleast_1d(ours) - theirs).max() <= TOLERANCE
    return result


SPANS = {
    "recent": ("2010-01-01", 3000),
    "a week": ("2019-12-29", 7),
    "births": ("1950-01-01", 15000),
    "around 1970": ("1968-01-01", 1500),
    "a year around 1970": ("1969-06-01", 400),
    "centuries": ("1700-01-01", 110_000),
}
UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("span", SPANS)
def test_unit_of_elapsed_is_that_of_pandas(span: str, unit: str) -> None:
    assert divisor_from_statistics(date_case(days(*SPANS[span]).astype(f"datetime64[{unit}]"))) == UNITS[unit]


@pytest.mark.parametrize(
    ("span", "unit"),
    [
        ("recent", "s"),
        ("a week", "us"),
        ("births", "ns"),
        ("around 1970", "us"),
        ("a year around 1970", "ms"),
        ("centuries", "s"),
    ],
)
def test_answers_for_dates_of_each_unit_equal_fastai(span: str, unit: str, tmp_path: Path) -> None:
    dates = days(*SPANS[span]).astype(f"datetime64[{unit}]")
    assert_dates_answer_as_fastai(date_case(dates), dates, tmp_path, UNITS[unit])


@pytest.mark.parametrize("unit", ["ns", "us"])
def test_answers_for_dates_without_the_year_equal_fastai(unit: str, tmp_path: Path) -> None:
    dates = days(*SPANS["recent"]).astype(f"datetime64[{unit}]")
    assert_dates_answer_as_fastai(date_case(dates, without=("saleYear",)), dates, tmp_path, UNITS[unit])


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("span", [*SPANS, "days of 1970"])
def test_without_the_year_the_unit_is_right_or_unknown(span: str, unit: str) -> None:
    first, count = SPANS.get(span, ("1970-01-14", 5))  # in nanoseconds, like microseconds of recent years
    dates = days(first, count).astype(f"datetime64[{unit}]")
    found = divisor_from_statistics(date_case(dates, without=("saleYear",)))
    is_recent = span in ("recent", "a week")
    assert found == (UNITS[unit] if is_recent and unit in ("ns", "us") else 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda texts: [date.fromisoformat(text) for text in texts],
        lambda texts: np.array(texts, dtype="datetime64[D]"),
        lambda texts: pd.to_datetime(pd.Series(texts)),
        lambda texts: pd.to_datetime([datetime.fromisoformat(f"{t}T00:00Z").timestamp() for t in texts], unit="s"),
    ],
    ids=["date", "numpy", "text", "seconds"],
)
def test_unit_is_found_for_all_types_of_dates(make: Any) -> None:
    texts = [str(day.date()) for day in days("2010-01-01", 3000)]
    dates = pd.Series(make(texts))
    dates = dates if dates.dtype.kind == "M" else pd.to_datetime(dates)
    seconds = UNITS[np.datetime_data(dates.dtype)[0]]
    assert divisor_from_statistics(date_case(make(texts))) == seconds


@pytest.mark.parametrize(("span", "unit"), [("recent", "s"), ("births", "ns")])
def test_unit_is_found_from_batch_norm_statistics(span: str, unit: str, tmp_path: Path) -> None:
    dates = days(*SPANS[span]).astype(f"datetime64[{unit}]")
    case = date_case(dates, procs=[Categorify, FillMissing])
    assert_dates_answer_as_fastai(case, dates, tmp_path, UNITS[unit])


@pytest.mark.parametrize("unit", ["ns", "s"])
def test_unit_is_found_with_missing_dates(unit: str, tmp_path: Path) -> None:
    dates = days("2005-01-01", 9000).astype(f"datetime64[{unit}]")
    dates[pd.Series(range(ROWS)) % 5 == 1] = pd.NaT
    result, *_ = train_and_export(date_case(dates), tmp_path)
    assert divisor(result) == UNITS[unit]


def test_elapsed_of_unknown_unit_must_be_sent(tmp_path: Path) -> None:
    dates = days("2010-01-01", 3000)
    # scaled, because the network has no norm
    plain = date_case(dates, **NO_STATISTICS)
    scaled = Case(
        **{**vars(plain), "change": lambda df: plain.change(df).assign(saleElapsed=lambda d: d["saleElapsed"] / 1e9)}
    )
    result = assert_dates_answer_as_fastai(scaled, dates, tmp_path, 0, send=("saleElapsed",))
    field = next(f for f in result.spec.fields if f.name == "saleElapsed")
    assert not field.optional
    [notice] = [n for n in result.spec.notices if n["code"] == "elapsed_unit_unknown"]
    assert notice["field"] == "saleElapsed"
    predictor = Predictor.open(result.path)
    [without] = predictor.predict([{"size": "S", "saledate": "2012-03-04"}])
    assert (without["error"]["code"], without["error"]["field"]) == ("missing_column", "saleElapsed")


ALWAYS = ["Year", "Month", "Week", "Day", "Dayofweek", "Dayofyear", "Is_month_end"]


def units(elapsed: tuple[float, float], parts: dict[str, Any], without: str = "") -> int:
    """The divisor for mean and standard deviation of Elapsed and statistics of other parts; 0 if it is unknown."""
    columns = [*(part for part in ALWAYS if part != without), "Elapsed"]
    numbers = {"Elapsed": elapsed} | {name: value for name, value in parts.items() if isinstance(value, tuple)}
    vocabularies = {name: value for name, value in parts.items() if isinstance(value, list)}
    [step] = steps_for(["sale" + part for part in columns], (), prefixed(numbers), prefixed(vocabularies))
    return step["elapsed_divisor"] if "Elapsed" in step["parts"] else 0


def prefixed(parts: dict[str, Any]) -> dict[str, Any]:
    return {"sale" + name: value for name, value in parts.items()}


@pytest.mark.parametrize(
    "parts",
    [["Year", "Month", "Day"], ["Month", "Dayofweek", "Day"], ["Dayofyear", "Is_month_end", "Year", "Elapsed"]],
    ids=" ".join,
)
def test_three_parts_are_a_date(parts: list[str], tmp_path: Path) -> None:
    dates = days("2010-01-01", 3000).astype("datetime64[s]")
    whole = date_case(dates)
    kept = {f"sale{part}" for part in parts}

    def change(df: pd.DataFrame) -> pd.DataFrame:
        frame = whole.change(df)
        return frame[[name for name in frame if name in kept or not name.startswith("sale")]]

    case = Case(
        cats=[name for name in whole.cats if name in kept or name == "size"],
        conts=[name for name in whole.conts if name in kept],
        y="label",
        change=change,
    )
    seconds = UNITS["s"] if "Elapsed" in parts else 0
    result = assert_dates_answer_as_fastai(case, dates, tmp_path, seconds)
    predictor = Predictor.open(result.path)
    row = as_record(change(table()).iloc[17].to_dict()) | {"size": "S"}
    sent = {name: value for name, value in row.items() if name in (*case.cats, *case.conts)}
    [of_parts] = predictor.predict([sent])
    [of_date] = predictor.predict([{"size": "S", "saledate": dates[17].isoformat()}])
    assert of_parts["probabilities"] == of_date["probabilities"], "the parts themselves are accepted, too"


@pytest.mark.parametrize(
    ("columns", "typical", "vocabularies"),
    [
        (["saleYear", "saleMonth"], {}, {}),  # two are few
        (["Year", "Month", "Day"], {}, {}),  # no prefix
        (["saleMonth", "saleDay", "saleDayofweek", "saleElapsed"], {}, {}),  # unit of Elapsed not known
        (["saleYear", "saleMonth", "saleDay"], {}, {"saleMonth": ["Jan", "Feb"]}),
        (["saleYear", "saleMonth", "saleDay"], {}, {"saleDay": [1, 45]}),
        (["saleYear", "saleMonth", "saleDay"], {"saleMonth": (2400.0, 3.0)}, {}),
    ],
)
def test_columns_with_the_names_of_parts_are_no_date(columns: list[str], typical: Any, vocabularies: Any) -> None:
    assert steps_for(columns, ["label"], typical, vocabularies) == []
    unrecognised = parts_without_date(columns, [])
    assert [set(each) for each in unrecognised] == ([set(columns)] if columns[0].startswith("sale") else [])


def test_parts_that_must_be_sent_have_a_notice(tmp_path: Path) -> None:
    change = date_case(days("2010-01-01", 3000)).change
    learn, _ = make_learner(Case(cats=["saleIs_month_end"], conts=["saleElapsed", "saleDay"], change=change))
    result, _ = exported(learn, tmp_path)
    [notice] = [n for n in result.spec.notices if n["code"] == "date_parts_required"]
    assert "'saleElapsed'" in notice["message"]
    assert DATE not in {field.kind for field in result.spec.fields}


YEAR = 31556952


class TestAmbiguousUnits:
    def test_without_the_year(self) -> None:
        assert units((45 * YEAR, 2 * YEAR), {"Year": (2014.5, 2.0)}) == 1
        assert units((45 * YEAR, 2 * YEAR), {}, without="Year") == 0

    def test_elapsed_that_the_user_converted_without_the_year(self) -> None:
        """Seconds since 1970 of dates from 1990 to 2040, in other units; those of pandas are known."""
        all_days = {"Dayofyear": (183.0, 105.0)}
        for years in range(20, 70):
            for size in (1e-3, 60, 3600, 86400, 7 * 86400, YEAR / 12, YEAR):
                elapsed = (years * YEAR / size, 2 * YEAR / size)
                assert units(elapsed, all_days, without="Year") == 0, (years, size)

    def test_a_year_of_text(self) -> None:
        assert units((45 * YEAR, 2 * YEAR), {"Year": ["2014", "2015"]}) == 0

    def test_elapsed_that_the_user_converted(self) -> None:
        for mean, std in [(16000.0, 700.0), (45.0, 2.0), (0.0, 1.0)]:
            assert units((mean, std), {"Year": (2014.5, 2.0)}) == 0
        assert units((10.0, 4000.0), {"Year": (1969.6, 11.0), "Dayofyear": (183.0, 105.0)}) == 0

    def test_days_of_1970(self) -> None:
        hours = (4 * 3600.0, 2 * 3600.0)  # as microseconds, these would be days of the whole year
        assert units(hours, {"Year": [1970], "Dayofyear": [1]}) == 1
        assert units(hours, {"Year": [1970]}, without="Dayofyear") == 0
        new_year = (0.0, 86400.0)  # December 31 and January 1
        assert units(new_year, {"Year": (1969.5, 0.5), "Dayofyear": (183.0, 182.0)}) == 0
        assert units((0.5 * YEAR / 1000, 0.29 * YEAR / 1000), {"Year": [1970], "Dayofyear": (183.0, 105.0)}) == 1000

    def test_statistics_that_are_nan(self) -> None:
        nan = float("nan")
        assert units((nan, nan), {"Year": (2014.5, 2.0)}) == 0
        assert units((45 * YEAR, 2 * YEAR), {"Year": (nan, nan)}) == 0


def test_each_column_of_add_datepart_is_a_part_of_its_date() -> None:
    for date_name in ("saledate", "saleDate", "sale", "date", "when"):
        frame = add_datepart(pd.DataFrame({date_name: days("2010-01-01", 30)}), date_name, time=True)
        assert {date_of(name, ["price", date_name]) for name in frame} == {date_name}
        assert [date_of(name, ["price", "cost"]) for name in frame] == [None] * len(frame.columns)


def test_golden_records_for_dates_at_the_ends_of_the_calendar() -> None:
    for default in ("0001-02-03", "9999-12-30"):
        fields = (Field("when", DATE, default=default, spread=1e12),)
        dates = {record["when"].strip() for record in golden_records(fields, ())}
        assert {"0001-01-01", "9999-12-31"} <= dates


@pytest.fixture(scope="module")
def predictor_of_sale(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A predictor whose columns, such as `saleYear`, may come from `saledate` or `sale`; here `sale` is the target."""
    case = date_case(days("2010-01-01", 3000), y="sale", loaders={"y_block": RegressionBlock()})
    return train_and_export(case, tmp_path_factory.mktemp("target"))[1]


def test_target_is_not_an_alias_of_the_date(predictor_of_sale: Predictor) -> None:
    [field] = [f for f in predictor_of_sale.spec.fields if f.kind == DATE]
    assert (field.name, field.aliases) == ("saledate", ("saleDate",))


def test_training_row_with_its_target_is_answered(predictor_of_sale: Predictor) -> None:
    row = as_record(date_case(days("2010-01-01", 3000)).change(table()).astype(object).iloc[3].to_dict())
    parts = {name: value for name, value in row.items() if name not in ("sale", "label")}
    [whole], [bare] = predictor_of_sale.predict([row]), predictor_of_sale.predict([parts])
    assert whole["prediction"] == bare["prediction"]
    assert [(w["field"], w["code"]) for w in whole["warnings"]] == [("label", "extra_column")]


def test_a_summary_has_the_date_and_not_its_parts() -> None:
    [(name, description)] = MODALITY.summary(date_spec())
    assert name == "saledate"
    assert f" {len(DATE_PARTS)} " in description


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a learner, and its table with dates (`raw`) and with fastai's parts of them (`parts`)."""
    folder = tmp_path_factory.mktemp("reference")
    case = date_case(days("2010-01-01", 3000), y="label")
    learn, df = make_learner(case)
    learn.export(folder / "learner.pkl")
    raw = df[["size", "label"]].assign(saledate=days("2010-01-01", 3000))
    for name, frame in (("raw", raw), ("parts", df)):
        frame.to_csv(folder / f"{name}.csv", index=False)
        frame.to_parquet(folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="module")
def archives(tables: Path) -> dict[str, Path]:
    """An archive for each table as reference."""
    return {
        name: export_learner(
            tables / "learner.pkl", Options("dates", output=tables / f"store of {name}", reference=tables / name)
        ).path
        for name in ("raw.csv", "parts.csv", "raw.parquet", "parts.parquet")
    }


def counted_fields(profile: Profile) -> dict[str, list[int]]:
    return {
        variable.name: counts.tolist()
        for variable, counts in zip(profile.variables, profile.counts, strict=True)
        if variable.source == FIELD
    }


def test_reference_with_dates_or_with_parts_gives_the_same_profile(tables: Path, archives: dict[str, Path]) -> None:
    references = {name: reference_of(Predictor.open(path)) for name, path in archives.items()}
    profiles = [each.profile for each in references.values() if each is not None]
    assert len(profiles) == len(archives)
    assert all(counted_fields(each) == counted_fields(profiles[0]) for each in profiles)
    assert {each.variables for each in profiles} == {profiles[0].variables}
    of_fastai = pd.read_csv(tables / "parts.csv")
    fields = {variable.name: variable for variable in profiles[0].variables if variable.source == FIELD}
    assert fields.keys() == set(of_fastai) - {"label"}
    for name, counts in counted_fields(profiles[0]).items():
        if fields[name].kind == NUMBER:
            expected = np.histogram(of_fastai[name], fields[name].edges)[0].tolist()
            assert counts == [0, 0, *expected, 0], name
        else:
            values = of_fastai[name].value_counts()
            assert counts[3:] == [values[category] for category in fields[name].categories], name
            assert counts[:2] == [0, 0], name


@pytest.mark.parametrize("live", ["raw.csv", "parts.csv", "raw.parquet"])
def test_drift_of_dates_and_of_parts(tables: Path, archives: dict[str, Path], live: str) -> None:
    found = measure(archives["raw.csv"], str(tables / live))
    assert found.comparison.verdict == NONE
    reference = reference_of(Predictor.open(archives["raw.csv"]))
    assert reference is not None
    assert {each.variable.name: each.live.tolist() for each in found.comparison.fields} == counted_fields(
        reference.profile
    )


def test_explanation_of_a_date_and_of_its_parts(tables: Path, archives: dict[str, Path]) -> None:
    predictor = Predictor.open(archives["raw.csv"])
    for name in ("raw", "parts"):
        record = as_record(pd.read_csv(tables / f"{name}.csv").astype(object).iloc[3].drop("label").to_dict())
        [plain], [explained] = predictor.predict([record]), predictor.predict([{**record, EXPLAIN: True}])
        assert explained["answer"] == {key: value for key, value in plain.items() if key != "warnings"}
        assert {each["column"] for each in explained["columns"]} == record.keys()
