"""`fastmar.load`: a model that answers in this process. Needs neither a server nor torch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, overload

from fastmar_client.encoding import MASK_SIZES, Picture, as_read, is_one
from fastmar_client.errors import RecordRefused
from fastmar_client.frames import Frame, records_in
from fastmar_client.records import prepare, with_record_number
from fastmar_client.schema import Schema
from fastmar_contract.errors import RecordError
from fastmar_runtime.golden import replay_golden
from fastmar_runtime.pictures import MASK_SIZE, MODEL_SIZE
from fastmar_runtime.pictures import Picture as ReadPicture
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.schema import describe
from fastmar_runtime.spec import Spec

Record = Mapping[str, Any]
Answer = dict[str, Any]
MaskSize = Literal["model", "original"]


def load(path: str | os.PathLike[str], *, verify: bool = True, threads: int = 1) -> Model:
    """Open an archive.

    model = fastmar.load("model_store/adult.mar")
    model.predict({"age": 49, "workclass": " Private"})["prediction"]

    Args:
        path: the archive (`.mar`), or the folder that it was unpacked to.
        verify: whether to check first that the answers recorded at export are reproduced on this machine.
        threads: threads that one prediction uses.

    Raises:
        BundleError: the archive can't be read, or was written for another version; of `fastmar_runtime.errors`.
        GoldenMismatch: a kind of BundleError: the recorded answers are not reproduced.
    """
    predictor = Predictor.open(os.fspath(path), threads=threads)
    if verify:
        replay_golden(predictor)
    return Model(predictor)


class Model:
    """A model in this process. Safe to use from several threads; there is nothing to close.

    Attributes:
        spec: what the archive says of the model: its columns, steps, labels.
        schema: what the model takes and gives, as JSON Schema; the same as `Client.schema`.
    """

    def __init__(self, predictor: Predictor) -> None:
        """Use `fastmar.load`."""
        self.spec: Spec = predictor.spec
        self.schema: dict[str, Any] = describe(predictor.spec)
        self._predictor = predictor
        self._checks = Schema(self.schema)

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

    @overload
    def predict(  # type: ignore[overload-overlap]  # a str is a sequence of str too; it is taken as one record
        self, record: Record | Picture, *, mask_size: MaskSize | None = None
    ) -> Answer: ...

    @overload
    def predict(
        self, record: Sequence[Record | Picture] | Frame, *, mask_size: MaskSize | None = None
    ) -> list[Answer]: ...

    @overload
    def predict(self, record: Any, *, mask_size: MaskSize | None = None) -> Any: ...

    def predict(self, record: Any, *, mask_size: MaskSize | None = None) -> Any:
        """The answer to a record or a picture; to several, or a DataFrame, a list in their order.

        Records, pictures and answers are those of `fastmar_client.Client.predict`. In a list, a record that can't be
        scored is answered with `{"error": {...}}` in its place.

        Args:
            record: a dict or other mapping, a picture (the `Path` of its file, its bytes, an open file, a PIL image, an
                array of pixels), an iterable of them, or a DataFrame.
            mask_size: "model" or "original": the size of masks that answer pictures; None for the model's own.

        Raises:
            RecordError: the one record can't be scored; of `fastmar_contract.errors`.
            TypeError: it is a file of text, or an image or array that is no picture.
        """
        if mask_size is not None and mask_size not in MASK_SIZES:
            raise ValueError(f"mask_size is {mask_size!r}. Fix: give 'model' or 'original'.")
        if not is_one(record):
            return list(self._answers(records_in(record), mask_size))
        [answer] = self._predictor.predict([self._read(record, mask_size)])
        if "error" in answer:
            raise RecordError.from_dict(answer["error"])
        return answer

    def _answers(self, records: Iterable[Any], mask_size: str | None) -> Iterator[Answer]:
        """An answer to each record. They are read in chunks, so that few pictures are in memory at a time."""
        rest = iter(records)
        done = 0
        while chunk := [self._read(record, mask_size) for record in islice(rest, self._predictor.preprocess.chunk)]:
            for answer in self._predictor.predict(chunk):
                yield with_record_number(answer, done)
                done += 1

    def _read(self, record: Any, mask_size: str | None) -> Any:
        """A record as the predictor takes it; the error in the place of one that can't be read."""
        try:
            if isinstance(record, Mapping):
                plain = as_read(record)
                return plain if mask_size is None else {MASK_SIZE: mask_size, **plain}
            one = prepare(record, self._checks)
        except RecordRefused as refusal:
            return RecordError(refusal.code, refusal.message, fix=refusal.fix, field=refusal.field)
        return ReadPicture(one.data, one.name, mask_size or MODEL_SIZE)
