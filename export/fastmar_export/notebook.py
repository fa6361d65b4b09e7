"""`fastmar.export`: exports a learner in memory, and returns a summary for notebooks."""

from __future__ import annotations

import html
import os
import pickle
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fastmar_export.errors import ExportError
from fastmar_export.exporter import ExportResult, export_learner, next_step
from fastmar_export.modalities import modalities
from fastmar_export.options import FIRST_VERSION, Options
from fastmar_runtime.spec import Spec


class Learner(Protocol):
    """The part of a fastai learner's interface that is used here."""

    dls: Any
    opt: Any

    def export(self, fname: Any) -> Any:
        """Write the pickle."""


class Frame(Protocol):
    """The part of a pandas DataFrame's interface that is used here."""

    def to_json(self, path_or_buf: Any, **options: Any) -> Any:
        """Write JSON."""


@dataclass(frozen=True)
class Summary:
    """The result of an export; a notebook shows it as a table.

    Attributes:
        path: path of the archive.
        spec: the archive's spec.
        difference: largest difference between outputs of the graph and of the torch network on the golden records.
    """

    path: Path
    spec: Spec
    difference: float

    def __str__(self) -> str:
        spec = self.spec
        fields = "\n".join(f"  {name}: {what}" for name, what in _rows(spec))
        notes = "".join(f"\nNote: {text}" for text in _notes(spec))
        head = f"{self.path}  {spec.name} {spec.version}, {spec.kind}"
        return f"{head}\n{fields}\n{self._proof()}{notes}\nNext: {self.command}"

    __repr__ = __str__

    @property
    def command(self) -> str:
        """The command to run next, in a terminal."""
        return next_step(self.path, self.spec.version)

    def _repr_html_(self) -> str:
        """The table that a notebook shows."""
        spec, escape = self.spec, html.escape
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(what)}</td></tr>"
            for name, what in _rows(spec)
        )
        notes = "".join(f"<li>{escape(text)}</li>" for text in _notes(spec))
        return (
            f"<h4>{escape(spec.name)} {escape(spec.version)}: {escape(spec.kind)}</h4>"
            f"<p>{escape(str(self.path))}, {self.path.stat().st_size / 1024:,.0f} KB. {escape(self._proof())}</p>"
            f"<table>{rows}</table>"
            + (f"<ul>{notes}</ul>" if notes else "")
            + f"<p>Next: <code>{escape(self.command)}</code></p>"
        )

    def _proof(self) -> str:
        return f"Predicts {', '.join(self.spec.targets)}; graph and network differ by {self.difference:.1g}."


def export(
    learn: Learner,
    output: str | Path = "model_store",
    *,
    name: str,
    version: str = FIRST_VERSION,
    ui: str | Path | None = None,
    reference: str | Path | Frame | None = None,
    activation: str | None = None,
    ignored_callbacks: Iterable[str] = (),
    exif_transpose: bool = False,
    picture_size: tuple[int, int] | None = None,
    max_pixels: int | None = None,
    precision: str | None = None,
    max_changed: float | None = None,
    calibration: str | Path | None = None,
    tta: int | None = None,
    tta_beta: float | None = None,
    tta_use_max: bool | None = None,
    with_samples: int | None = None,
    modules: Iterable[str] = (),
    force: bool = False,
    on_stage: Callable[[str], None] = lambda _: None,
) -> Summary:
    """Export a fastai learner to a TorchServe archive.

    The function writes the learner's pickle to a temporary folder and exports that, so the archive is the same as from
    `learn.export()` and `fastmar export`. The learner is not changed.

    Args:
        learn: the learner.
        output: folder of the archive.
        name: name of the model in URLs.
        version: version of the model.
        ui: YAML file with the presentation of the model in forms.
        reference: training data (a DataFrame; CSV, JSON lines, Parquet, or a folder of pictures or texts), for the
            defaults and ranges of the fields and for the profile; no row is stored.
        activation: softmax, sigmoid or identity, for a loss that does not determine it.
        ignored_callbacks: class names of callbacks that do not change answers.
        exif_transpose: whether to rotate photos by their EXIF orientation, which fastai does not do.
        picture_size: width and height of all pictures, for a learner without Resize whose network needs one size.
        max_pixels: limit of a picture's pixels, for a learner without Resize; None for the default limit.
        precision: ``"int8"`` for a text or picture model; None for float32. The change is measured on `reference`
            for texts, and on `calibration` for pictures.
        max_changed: largest share of the measured predictions that `precision` may change; None for 0.02.
        calibration: folder of about a hundred typical pictures.
        tta: number of augmented copies of each picture, for the answers of `learn.tta`; None for `learn.predict`.
        tta_beta: with `tta`, the weight of the plain picture in the answer; None for 0.25.
        tta_use_max: with `tta`, whether the answer is the maximum of all copies instead of a mean.
        with_samples: number of small copies of pictures in the folder `reference` that the archive contains, for forms;
            everyone who can reach the model can see them. None for no copies.
        modules: packages of your own with layers of the network.
        force: whether to replace an archive of another version or learner. Without it, only an archive of the same
            version with the same network and transforms is replaced.
        on_stage: called before each stage with its description.

    Raises:
        FastmarError: the learner can't be converted or verified; no archive is written.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder).resolve() / "learner.pkl"
        options = Options(
            name=name,
            version=version,
            output=Path(output),
            ui=Path(ui) if ui is not None else None,
            reference=_reference(reference, path.with_name("reference.jsonl")),
            activation=activation,
            ignored_callbacks=tuple(ignored_callbacks),
            exif_transpose=exif_transpose,
            picture_size=picture_size,
            max_pixels=max_pixels,
            precision=precision,
            max_changed=max_changed,
            calibration=Path(calibration) if calibration is not None else None,
            tta=tta,
            tta_beta=tta_beta,
            tta_use_max=tta_use_max,
            with_samples=with_samples,
            modules=tuple(modules),
            force=force,
            live=True,
        )
        on_stage("Writing the learner's pickle")
        _write(learn, path)
        exported: ExportResult = export_learner(path, options, on_stage)
    return Summary(exported.path, exported.spec, exported.difference)


def _reference(reference: str | Path | Frame | None, path: Path) -> Path | None:
    """The path of the reference data; a DataFrame is written to `path`, without its index."""
    if reference is None:
        return None
    if isinstance(reference, str | os.PathLike):
        return Path(reference)
    try:
        reference.to_json(path, orient="records", lines=True, date_format="iso", double_precision=15)
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ExportError(
            f"reference is a {type(reference).__name__} that can't be read as a table: {error}.",
            fix="pass a DataFrame with distinct columns of numbers, texts and dates, or the path of a file.",
            code="reference_unreadable",
        ) from error
    return path


def _write(learn: Learner, path: Path) -> None:
    """Call `learn.export(path)`, and restore the learner's data and optimizer.

    fastai removes both before pickling, and does not restore them after an error.
    """
    dls, opt = learn.dls, learn.opt
    try:
        learn.export(path)
    except Exception as error:
        causes = _unpicklable_attributes(learn, error)
        details, fix = "", f"remove the object that can't be pickled, or free space in {path.parent.parent}"
        if causes:
            details, fix = f" {', '.join(causes)} can't be pickled.", f"remove {' and '.join(causes)}"
        raise ExportError(
            f"learn.export() fails with {type(error).__name__}: {error}.{details}",
            fix=f"{fix}, and export again; learn.remove_cb removes a callback.",
            code="learner_not_picklable",
        ) from error
    finally:
        learn.dls, learn.opt = dls, opt


def _unpicklable_attributes(learn: Learner, error: Exception) -> list[str]:
    """Attributes of the learner and its callbacks whose pickling fails with the message of `error`."""
    callbacks = vars(learn).get("cbs", ())
    values = [(f"learn.{name}", value) for name, value in vars(learn).items() if name not in ("cbs", "lock")]
    values += [(f"{type(each).__name__}.{name}", value) for each in callbacks for name, value in vars(each).items()]
    found = []
    for name, value in values:
        if any(value is each for each in (learn, *callbacks)):
            continue  # it refers to all the others
        try:
            with Path(os.devnull).open("wb") as null:
                pickle.dump(value, null)
        except Exception as other:
            if str(other) == str(error):
                found.append(name)
    return found


def _rows(spec: Spec) -> list[tuple[str, str]]:
    return modalities()[spec.kind].summary(spec)


def _notes(spec: Spec) -> list[str]:
    return [notice["message"] for notice in spec.notices]
