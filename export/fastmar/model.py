"""`fastmar.load`: a model that predicts in this process, without a server and without torch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, overload

from fastmar._extras import extra
from fastmar.summary import summary_html
from fastmar_client.encoding import JSON, Picture, as_read, is_one
from fastmar_client.errors import RecordRefused
from fastmar_client.explaining import explain_record
from fastmar_client.frames import Frame, records_in
from fastmar_client.generation import embed_record, generate_record
from fastmar_client.item_lists import recommend_record, similar_record
from fastmar_client.records import prepare, with_record_number
from fastmar_client.schema import Schema
from fastmar_contract.errors import RecordError
from fastmar_contract.machine import usable_cores
from fastmar_contract.masks import MASK_SIZE, MODEL_SIZE, MaskSize, check_mask_size
from fastmar_contract.urls import is_url
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.golden import replay_golden
from fastmar_runtime.pictures import Picture as ReadPicture
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.schema import describe
from fastmar_runtime.spec import Spec

if TYPE_CHECKING:
    from fastmar.form import Form
    from fastmar_bulk.in_memory import FrameScorer

Record = Mapping[str, Any]
Answer = dict[str, Any]


def load(path: str | os.PathLike[str], *, verify: bool = True, threads: int = 1, gpu: int | None = None) -> Model:
    """Open an archive.

    model = fastmar.load("model_store/adult.mar")
    model.predict({"age": 49, "workclass": " Private"})["prediction"]

    Args:
        path: the archive (`.mar`), or the folder that it was unpacked to.
        verify: whether to check first that this machine reproduces the answers recorded at export.
        threads: number of threads for one prediction.
        gpu: number of the CUDA device, where onnxruntime-gpu is installed; None for the processor.

    Raises:
        BundleError: the archive can't be read, or needs another version of fastmar; from `fastmar_runtime.errors`.
        GoldenMismatch: a BundleError: this machine does not reproduce the recorded answers.
    """
    if is_url(str(path)):
        raise BundleUnreadable(
            f"{path} is a URL.",
            fix="for a server, use fastmar_client.Client(url); to load an archive, copy it to this machine first.",
            code="bundle_is_url",
        )
    predictor = Predictor.open(os.fspath(path), threads=threads, gpu=gpu)
    if verify:
        replay_golden(predictor)
    return Model(predictor)


class Model:
    """A model in this process. Thread-safe; it does not have to be closed.

    Attributes:
        spec: the archive's description of the model: columns, steps, labels.
        schema: JSON Schema of the model's records and answers; the same as `Client.schema`.
    """

    def __init__(self, predictor: Predictor) -> None:
        """Use `fastmar.load` instead."""
        self.spec: Spec = predictor.spec
        self.schema: dict[str, Any] = describe(predictor.spec)
        self._predictor = predictor
        self._checks = Schema(self.schema)
        self._bulk: FrameScorer | None = None  # made by the first `score`

    @property
    def name(self) -> str:
        """The model's name."""
        return self.spec.name

    @property
    def version(self) -> str:
        """The model's version."""
        return self.spec.version

    def __repr__(self) -> str:
        return f"<fastmar.Model {self.name} {self.version}, {self.spec.kind}>"

    def _repr_html_(self) -> str:
        """The summary that a notebook shows."""
        return summary_html(self.schema)

    def form(self) -> Form:
        """A form for a notebook, which predicts while you change its values.

        The fields are those of the web app's form. `form.fields` has the widgets, `form.record` the record, and
        `form.answer` the answer to it.

        Raises:
            ModuleNotFoundError: ipywidgets is not installed; it comes with `fastmar[notebook]`.
        """
        with extra("Model.form", "notebook"):
            from fastmar.form import Form  # noqa: PLC0415
        return Form(self)

    @overload
    def predict(  # type: ignore[overload-overlap]  # a str is also a sequence of str; it counts as one record
        self, record: Record | Picture, *, mask_size: MaskSize | None = None
    ) -> Answer: ...

    @overload
    def predict(
        self, record: Sequence[Record | Picture] | Frame, *, mask_size: MaskSize | None = None
    ) -> list[Answer]: ...

    @overload
    def predict(self, record: Any, *, mask_size: MaskSize | None = None) -> Any: ...

    def predict(self, record: Any, *, mask_size: MaskSize | None = None) -> Any:
        """Predict for one record or picture, or for several.

        Records, pictures and answers have the types of `fastmar_client.Client.predict`.

        Args:
            record: a dict or other mapping, a text for a model of one text column, a picture (the `Path` of its file,
                its bytes, an open file, a PIL image, an array of pixels), an iterable of them, or a DataFrame.
            mask_size: size of predicted masks: "model" or "original"; None for the model's default.

        Returns:
            The answer, or for several records the list of their answers in the same order, where
            `{"error": {...}}` stands for a record that can't be scored.

        Raises:
            RecordError: the single record can't be scored; from `fastmar_contract.errors`.
            TypeError: a file is opened as text, or an image or array is not a picture.
        """
        check_mask_size(mask_size)
        if not is_one(record):
            return list(self._answers(records_in(record), mask_size))
        [answer] = self._predictor.predict([self._read(record, mask_size)])
        if "error" in answer:
            raise RecordError.from_dict(answer["error"])
        return answer

    def score(
        self,
        table: Any,
        *,
        column: str | None = None,
        keep: str | Sequence[str] = "all",
        columns: Sequence[str] | None = None,
        errors: str = "column",
        workers: int | None = None,
    ) -> Any:
        """Predict for all rows of a table, on all cores: much faster than `predict` for many rows.

        answers = model.score(pandas.read_parquet("people.parquet"), keep=["id"])

        Answers are those of `predict`. Columns that the model does not use are ignored without a warning. For a model
        of pictures, a column has the paths of files, relative to the current folder, or the files' bytes.

        Args:
            table: a DataFrame of pandas or Polars, an Arrow table, or another object with `__arrow_c_stream__`.
            column: the column with the pictures or texts of a picture or text model; None for the column `image` or
                `path`, the column with the name of the model's field, or the only column.
            keep: columns of the table in the result: "all", or names.
            columns: columns of answers in the result: "prediction", "probability" (of the prediction), "probabilities"
                (of each label), "index", "warnings", "error", "error_code", "error_field"; None for prediction,
                probability, warnings and error.
            errors: "column": the result has the errors of rows that can't be scored; "fail": the first one is raised.
            workers: number of threads; None for one per core.

        Returns:
            A table of the same kind, with a row for each row of `table`. If a row can't be scored, its prediction is
            null and its error is set. A column of answers whose name the table has too is named `fastmar_NAME`.

        Raises:
            TableUnreadable: the table does not have a column that the model needs, or not a column of `keep`; from
                `fastmar_contract.errors`.
            RecordError: a row can't be scored, and `errors` is "fail".
            TypeError: `table` is not a table.
            ModuleNotFoundError: pyarrow is not installed; it comes with `fastmar[bulk]`.
        """
        with extra("Model.score", "bulk"):
            from fastmar_bulk.in_memory import FrameScorer  # noqa: PLC0415
        if self._bulk is None:
            self._bulk = FrameScorer(self._predictor)
        workers = workers or usable_cores()
        return self._bulk(table, column=column, keep=keep, columns=columns, errors=errors, workers=workers)

    def recommend(self, user: Any, k: int = 10, *, seen: Iterable[Any] = ()) -> Answer:
        """The items with the highest predictions for a user; arguments and answer are those of `Client.recommend`.

        model = fastmar.load("model_store/films.mar")
        model.recommend(7, k=10, seen=["Alien (1979)"])["recommendations"]

        Raises:
            RecordError: the model does not rank items, or an argument is invalid.
        """
        with _record_errors():
            answer: Answer = self.predict(recommend_record(self.schema, user, k, seen))
        return answer

    def similar(self, item: Any, k: int = 10) -> Answer:
        """The items that are most similar to an item; arguments and answer are those of `Client.similar`.

        Raises:
            RecordError: the model does not compare items, does not know the item, or `k` is out of range.
        """
        with _record_errors():
            answer: Answer = self.predict(similar_record(self.schema, item, k))
        return answer

    def explain(self, record: Record | Picture) -> Answer:
        """The answer to a row or a picture, and what it depends on; the answer is that of `Client.explain`.

        The columns are in the order of their effects:

            model = fastmar.load("model_store/adult.mar")
            model.explain(record)["columns"]

        Raises:
            RecordError: the model does not explain its answers, or the record is invalid.
        """
        with _record_errors():
            answer: Answer = self.predict(explain_record(self.schema, record))
        return answer

    def generate(
        self,
        text: str | Record,
        tokens: int = 50,
        *,
        temperature: float = 1.0,
        min_p: float | None = None,
        no_unk: bool = True,
        seed: int | None = None,
    ) -> Answer:
        """A text, continued by a language model; arguments and answer are those of `Client.generate`.

            model = fastmar.load("model_store/stories.mar")
            model.generate("Once upon a time", 20, temperature=0.7)["text"]

        Raises:
            RecordError: the model does not generate texts, or an argument is invalid.
        """
        with _record_errors():
            answer: Answer = self.predict(generate_record(self.schema, text, tokens, temperature, min_p, no_unk, seed))
        return answer

    def embed(self, text: str | Record) -> Answer:
        """The encoding of a text by a language model; the answer is that of `Client.embed`.

        Raises:
            RecordError: the model is not a language model, or can't read the text.
        """
        with _record_errors():
            answer: Answer = self.predict(embed_record(self.schema, text))
        return answer

    def _answers(self, records: Iterable[Any], mask_size: str | None) -> Iterator[Answer]:
        """The answer to each record. Records are read in chunks, to limit the pictures in memory."""
        rest = iter(records)
        done = 0
        while chunk := [self._read(record, mask_size) for record in islice(rest, self._predictor.preprocess.chunk)]:
            for answer in self._predictor.predict(chunk):
                yield with_record_number(answer, done)
                done += 1

    def _read(self, record: Any, mask_size: str | None) -> Any:
        """A record in the predictor's form, or the error if it can't be read."""
        try:
            with _record_errors():
                if isinstance(record, Mapping):
                    plain = as_read(record)
                    return plain if mask_size is None else {MASK_SIZE: mask_size, **plain}
                one = prepare(record, self._checks)
        except RecordError as error:
            return error
        if one.media_type == JSON:  # a text
            return json.loads(one.data)
        return ReadPicture(one.data, one.name, mask_size or MODEL_SIZE)


@contextmanager
def _record_errors() -> Iterator[None]:
    """Raise refusals of the client as errors of the runtime, which `Model` documents."""
    try:
        yield
    except RecordRefused as refusal:
        raise RecordError(refusal.code, refusal.message, fix=refusal.fix, field=refusal.field) from refusal
